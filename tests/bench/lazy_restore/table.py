"""The comparison as people read it."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from .comparison import Comparison
from .contenders import CONTENDERS
from .targets import field, verdicts

_WIDTHS = (30, 22, 22, 22, 11, 12)


_ROWS: list[tuple[str, Callable[[dict], float | None]]] = [
    ("touched, ms", field("touch_ms")),
    ("all pages in, ms", field("all_in_ms")),
    ("  and the daemon done, ms", field("let_go_ms")),
    ("restore begun to touched, ms", field("start_to_touched_ms")),
    ("touches that waited", field("blocked_us", "count")),
    ("  p50, µs", field("blocked_us", "p50")),
    ("  p90, µs", field("blocked_us", "p90")),
    ("  p99, µs", field("blocked_us", "p99")),
    ("  p99.9, µs", field("blocked_us", "p99.9")),
    ("  longest, µs", field("blocked_us", "max")),
    ("fetched by demand, pages", field("demand_fetches")),
    ("wire bytes / touched", field("wire_per_byte")),
    ("CPU of the daemon, s/GiB", field("daemon", "cpu_s_per_gib")),
    ("CPU of the server, s/GiB", field("server", "cpu_s_per_gib")),
    ("peak of the daemon, MiB", field("daemon", "peak_mib")),
    ("  not of files", field("daemon", "peak_private_mib")),
    ("peak of the server, MiB", field("server", "peak_mib")),
    ("  not of files", field("server", "peak_private_mib")),
]


_REPLY_ROWS: list[tuple[str, Callable[[dict], float | None]]] = [
    ("restore begun to reply, ms", field("reply_ms")),
    ("fetched by demand, pages", field("demand_fetches")),
    ("all pages in, ms", field("all_in_ms")),
]


_FLOOD_ROWS = [row for row in _ROWS if row[0].strip() in (
    "p50, µs", "p90, µs", "p99, µs", "p99.9, µs", "longest, µs",
    "peak of the daemon, MiB")]


def render(comparison: Comparison, mib: int, link_mib: int) -> str:
    """Medians, with the least and the most."""
    lines = [*_machine_lines(comparison)]
    titles = dict.fromkeys(run["setting"] for run in comparison.runs)
    for title in titles:
        runs = [run for run in comparison.runs if run["setting"] == title]
        if "program" in runs[0]:
            lines += ["", *_named_block(title, runs, _REPLY_ROWS)]
        elif runs[0]["floods"]:
            lines += ["", *_named_block(title, runs, _FLOOD_ROWS)]
        else:
            lines += ["", *_block(title, runs)]
    lines += ["", "CPU and memory of the floor are of its pager and of the "
              "program that touches, in one process."]
    lines += ["", "targets:", *verdicts(comparison.runs, mib, link_mib)]
    lines += [f"FAILED {run['setting']}, {run['contender']}: {run['error']}"
              for run in comparison.failures]
    return "\n".join(lines)


def _machine_lines(comparison: Comparison) -> Iterator[str]:
    machine = comparison.machine
    yield (f"Linux {machine['kernel']}, {machine['cpus']} CPUs, "
           f"{machine['memory_mib']} MiB")
    noise = comparison.noise
    if noise:
        eventfd, tcp = (
            " / ".join(_spread([sample[what][point] for sample in noise])
                       for point in ("p50", "p99"))
            for what in ("eventfd_us", "tcp_us"))
        yield (f"noise meanwhile, p50 / p99 in µs: eventfd ping-pong {eventfd}, "
               f"TCP 32 B for 4 KiB {tcp}; load "
               + _spread([sample["load"] for sample in noise]))
    for place in dict.fromkeys(part["place"] for part in comparison.parts):
        parts = [p for p in comparison.parts if p["place"] == place]
        p50, p99 = (_spread([p["faults"]["blocked_us"][point] for p in parts])
                    for point in ("p50", "p99"))
        stream = _spread([p["stream"]["all_in_ms"] for p in parts])
        yield (f"floor alone, {place}: fault {p50} / {p99} µs (p50 / p99), "
               f"stream of {parts[0]['mib']} MiB {stream} ms")


def _block(title: str, runs: list[dict]) -> Iterator[str]:
    names = [contender.name for contender in CONTENDERS]
    repetitions = 1 + max(run["repetition"] for run in runs)
    yield _line([f"{title}", *names, "ours/CRIU", "ours/floor"])
    yield _line([f"  {repetitions} repetitions: median (least–most)"])
    for label, get in _ROWS:
        values = {name: [value for run in runs if run["contender"] == name
                         and (value := get(run)) is not None]
                  for name in names}
        if not any(values.values()):
            continue
        ours, criu, floor = (values[name] for name in names)
        yield _line([label, *(_spread(values[name]) for name in names),
                     _ratio(ours, criu), _ratio(ours, floor)])


def _named_block(title: str, runs: list[dict],
                 rows: list[tuple[str, Callable[[dict], float | None]]]
                 ) -> Iterator[str]:
    names = list(dict.fromkeys(run["contender"] for run in runs))
    widths = (_WIDTHS[0], *(_WIDTHS[1] for _ in names))
    yield title
    yield _line(["  median (least–most)", *names], widths)
    for label, get in rows:
        values = {name: [value for run in runs if run["contender"] == name
                         and (value := get(run)) is not None]
                  for name in names}
        yield _line([label, *(_spread(values[name]) for name in names)], widths)


def _line(cells: list[str], widths: Sequence[int] = _WIDTHS) -> str:
    first, *rest = cells
    if len(first) > widths[0]:
        # The title of a block has a line of its own.
        return first + "\n" + _line(["", *rest])
    return (first.ljust(widths[0]) + "".join(
        cell.rjust(width) for cell, width in zip(rest, widths[1:]))).rstrip()


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    least, middle, most = map(
        _number, (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least}–{most})"


def _ratio(ours: list[float], theirs: list[float]) -> str:
    if not ours or not theirs or statistics.median(theirs) == 0:
        return "–"
    return f"{statistics.median(ours) / statistics.median(theirs):.2f}"


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
