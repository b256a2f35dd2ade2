"""What came of it: medians, with the least and the most."""

import statistics
from collections.abc import Iterator, Sequence

from .downtime import SIZES_MIB
from .ways import CriuLazy, Pagelift, StopAndCopy

_FIRST, _OTHER, _RATIO = 34, 24, 12
_STALL_MOST = 1 / 3
_TOTAL_MOST = 1.0
_DOWNTIME_MOST = 1.2
_ROWS = [
    ("longest stall of a request, ms", "stall_ms"),
    ("longest without any reply, ms", "gap_ms"),
    ("start to replies again, ms", "replies_again_ms"),
    ("latency p50, ms", "p50_ms"),
    ("latency p99, ms", "p99_ms"),
    ("latency p99.9, ms", "p99.9_ms"),
    ("requests over 10 ms", "late_over_10_ms"),
    ("start to running there, ms", "running_ms"),
    ("start to all memory there, ms", "all_in_ms"),
    ("start to over, ms", "over_ms"),
]
_PHASES = ("preparing", "parking", "shipping", "restoring", "committing",
           "resuming")


def render_service(runs: list[dict]) -> Iterator[str]:
    names = [way.name for way in (StopAndCopy, CriuLazy, Pagelift)]
    good = [run for run in runs if "error" not in run]
    yield _line(["  median (least–most)", *names, "ours/copy", "ours/lazy"])
    for label, key in _ROWS:
        values = {name: [run[key] for run in good if run["way"] == name]
                  for name in names}
        copy, lazy, ours = (values[name] for name in names)
        yield _line([label, *(_spread(values[name]) for name in names),
                     _ratio(ours, copy), _ratio(ours, lazy)])
    ours = [run for run in good if run["way"] == Pagelift.name]
    yield from _phases("  of pagelift", ours)


def render_downtime(runs: list[dict]) -> Iterator[str]:
    good = [run for run in runs if "error" not in run]
    plain = [run for run in good if run["way"] != Pagelift.name]
    floor = [run["downtime_ms"] for run in plain]
    dump, restore = ([run["phases_ms"][what] for run in plain]
                     for what in ("dump", "restore"))
    pause = [run["pause_ms"] for run in plain]
    yield (f"criu dump + criu restore of {SIZES_MIB[0]} MiB: {_spread(floor)} "
           f"ms, of which dump {_spread(dump)}, restore {_spread(restore)}; "
           f"missed {_spread(pause)}")
    widths = (12, 18, 8, 18, 8, *(11 for _ in _PHASES))
    yield _line(["memory, MiB", "downtime, ms", "/ CRIU", "missed, ms",
                 "/ CRIU", *(f"{phase}" for phase in _PHASES)], widths)
    for mib in sorted({run["mib"] for run in good}):
        ours = [run for run in good
                if run["mib"] == mib and run["way"] == Pagelift.name]
        if not ours:
            continue
        downtime = [run["downtime_ms"] for run in ours]
        missed = [run["pause_ms"] for run in ours]
        yield _line([f"{mib}", _spread(downtime), _ratio(downtime, floor),
                     _spread(missed), _ratio(missed, pause),
                     *(_median_of([run["phases_ms"].get(phase, 0)
                                   for run in ours]) for phase in _PHASES)],
                    widths)


def verdicts(service: list[dict], downtime: list[dict]) -> Iterator[str]:
    """A line for each target that was measured."""
    def values(way: str, key: str) -> list[float]:
        return [run[key] for run in service
                if run["way"] == way and "error" not in run]

    def floor() -> list[float]:
        return [run["downtime_ms"] for run in downtime
                if run["way"] != Pagelift.name and "error" not in run]

    todo = [("longest stall / CRIU lazy's", _STALL_MOST,
             values(Pagelift.name, "stall_ms"),
             values(CriuLazy.name, "stall_ms")),
            ("all memory there / stop and copy's", _TOTAL_MOST,
             values(Pagelift.name, "all_in_ms"),
             values(StopAndCopy.name, "all_in_ms"))]
    for mib in sorted({run["mib"] for run in downtime}):
        todo.append((f"downtime, {mib} MiB / CRIU's of none", _DOWNTIME_MOST,
                     [run["downtime_ms"] for run in downtime
                      if run["mib"] == mib and run["way"] == Pagelift.name
                      and "error" not in run], floor()))
    for what, most, ours, theirs in todo:
        if not ours or not theirs:
            continue
        ratio = statistics.median(ours) / statistics.median(theirs)
        met = "met" if ratio <= most else "MISSED"
        yield f"{what:38} {ratio:8.3f}   at most {most:<6.3g} {met}"


def _phases(title: str, runs: list[dict]) -> Iterator[str]:
    if runs:
        yield f"{title}, medians: " + ", ".join(
            f"{phase} " + _median_of([run["phases_ms"].get(phase, 0)
                                      for run in runs])
            for phase in _PHASES) + " ms"


def _line(cells: Sequence[str], widths: Sequence[int] = (
        _FIRST, _OTHER, _OTHER, _OTHER, _RATIO, _RATIO)) -> str:
    first, *rest = cells
    return (first.ljust(widths[0]) + "".join(
        cell.rjust(width) for cell, width in zip(rest, widths[1:]))).rstrip()


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    least, middle, most = map(
        _number, (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least}–{most})"


def _median_of(values: list[float]) -> str:
    return _number(statistics.median(values))


def _ratio(ours: list[float], theirs: list[float]) -> str:
    if not ours or not theirs or statistics.median(theirs) == 0:
        return "–"
    return f"{statistics.median(ours) / statistics.median(theirs):.2f}"


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
