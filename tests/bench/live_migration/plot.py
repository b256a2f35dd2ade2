"""Draws throughput over time, as SVG."""

from collections.abc import Iterator, Sequence
from html import escape

from .service import BEFORE_SECONDS, BIN_MS

_WIDTH, _HEIGHT = 800, 190  # Of one way's plot.
_LEFT, _TOP, _BOTTOM = 70, 34, 36
_COLOURS = ("#b3541e", "#2a6f97", "#2d6a4f")
_TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


def draw(title: str, series: dict[str, tuple[Sequence[int], Sequence[float]]],
         seconds: float, most: int) -> str:
    """Of each name the replies a second in each bin, and the milliseconds since
    the start that are to be marked. One below the other, on the same scales;
    `seconds` after the start are drawn, and what is above `most` is cut off."""
    bins = round((BEFORE_SECONDS + seconds) * 1000) // BIN_MS
    height = _TOP + len(series) * _HEIGHT + 10
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
             f'height="{height}" viewBox="0 0 {_WIDTH} {height}">',
             f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
             f'<text x="{_LEFT}" y="20" {_TEXT} font-weight="bold">'
             f'{escape(title)}</text>']
    for number, (name, (rates, marks)) in enumerate(series.items()):
        lines += _panel(_TOP + number * _HEIGHT, name, rates[:bins], marks,
                        most, _COLOURS[number % len(_COLOURS)])
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(top: float, name: str, rates: Sequence[int],
           marks: Sequence[float], most: int, colour: str) -> Iterator[str]:
    bottom = top + _HEIGHT - _BOTTOM
    head = top + 18
    seconds = len(rates) * BIN_MS / 1000

    def x(at: float) -> float:
        """Of seconds since the start."""
        share = (at + BEFORE_SECONDS) / seconds
        return round(_LEFT + share * (_WIDTH - _LEFT - 20), 1)

    def y(rate: float) -> float:
        share = min(rate / most, 1)
        return round(bottom - share * (bottom - head), 1)

    yield f'<text x="{_LEFT}" y="{top + 12}" {_TEXT}>{escape(name)}</text>'
    for rate in (0, most // 2, most):
        yield (f'<text x="{_LEFT - 6}" y="{y(rate) + 4}" text-anchor="end" '
               f'{_TEXT}>{rate:,}</text>')
    yield (f'<path d="M{_LEFT} {head}V{bottom}H{_WIDTH - 20}" fill="none" '
           'stroke="#999"/>')
    for second in range(-int(BEFORE_SECONDS),
                        int(seconds - BEFORE_SECONDS) + 1):
        yield (f'<text x="{x(second)}" y="{bottom + 16}" text-anchor="middle" '
               f'{_TEXT}>{second} s</text>')
    for mark in marks:
        yield (f'<path d="M{x(mark / 1000)} {head}V{bottom}" fill="none" '
               'stroke="#999" stroke-dasharray="3 3"/>')
    # Steps: a bin's rate is that of all of it.
    points = []
    for number, rate in enumerate(rates):
        for at in (number, number + 1):
            points.append(f"{x(at * BIN_MS / 1000 - BEFORE_SECONDS)},"
                          f"{y(rate)}")
    yield (f'<polyline points="{" ".join(points)}" fill="none" '
           f'stroke="{colour}" stroke-width="1.3"/>')
