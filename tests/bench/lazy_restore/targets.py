"""What a run of the bench is to show, and whether it did."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .comparison import FAULTS, Setting
from .contenders import LOCAL, REMOTE, Link
from .flooding import BesideBomb, BesideComputing, BesideForking
from .flooding import BesideRemoving

Get = Callable[[dict], float | None]


def field(*path: str) -> Get:
    """What lies there in a run, if it does."""

    def get(run: dict) -> float | None:
        value = run
        for name in path:
            value = value.get(name)
            if value is None:
                return None
        return value

    return get


@dataclass(frozen=True)
class Target:
    """A number of ours against one of somebody else's, of medians."""

    what: str
    most: float  # What the first may be of the second.
    first: tuple[str, str, Get]  # A setting's title, who, what.
    second: tuple[str, str, Get]

    def ratio(self, runs: list[dict]) -> float | None:
        """Nothing if one of the two was not measured."""
        first = _median(runs, *self.first)
        second = _median(runs, *self.second)
        return None if first is None or not second else first / second


def _median(runs: list[dict], title: str, who: str,
            get: Get) -> float | None:
    values = [value for run in runs
              if run["setting"] == title and run["contender"] == who
              and (value := get(run)) is not None]
    return statistics.median(values) if values else None


def _cpu(run: dict) -> float | None:
    parts = [field(role, "cpu_s_per_gib")(run) for role in ("daemon", "server")]
    return None if None in parts else sum(parts)


def _one(_: dict) -> float:
    return 1


_TOUCHED = field("touch_ms")
_ALL_IN = field("all_in_ms")
_P50 = field("blocked_us", "p50")
_P99 = field("blocked_us", "p99")
_WIRE = field("wire_per_byte")
_FETCHES = field("demand_fetches")
_REPLY = field("reply_ms")


def reply_targets(program: str) -> list[Target]:
    title = f"{program}, time to first reply"
    second = "second restore"
    return [
        Target(f"{program}: faults, second / no prefetch", 0.05,
               (title, second, _FETCHES), (title, "no prefetch", _FETCHES)),
        Target(f"{program}: first reply / all local", 1.2,
               (title, second, _REPLY), (title, "all local", _REPLY)),
    ]


def targets(mib: int, link_mib: int) -> list[Target]:
    remote = Setting(REMOTE, "random", mib).title
    local = Setting(LOCAL, "random", mib).title
    delayed = Setting(REMOTE, "random", link_mib, Link(10)).title
    faults = Setting(REMOTE, "random", link_mib, faults=FAULTS).title
    floods = Setting(REMOTE, "random", link_mib, faults=FAULTS,
                     floods=True).title

    def against(what: str, most: float, title: str, get: Get, whom: str,
                than: Get | None = None) -> Target:
        return Target(what, most, (title, "ours", get),
                      (title, whom, than or get))

    return [
        against("remote: finish / CRIU's", 1 / 4, remote, _TOUCHED, "CRIU"),
        against("remote: all in / CRIU's", 1 / 3, remote, _ALL_IN, "CRIU"),
        against("remote: all in / floor's", 2, remote, _ALL_IN, "floor"),
        against("local: finish / CRIU's", 1, local, _TOUCHED, "CRIU"),
        against("local: all in / CRIU's", 1, local, _ALL_IN, "CRIU"),
        against("one fault, p50 / floor's", 1.5, faults, _P50, "floor"),
        against("one fault, p99 / floor's", 3, faults, _P99, "floor"),
        Target("p99 under full bulk / alone", 2, (remote, "ours", _P99),
               (faults, "ours", _P99)),
        *(Target(f"p99 {flood.name} / one that computes", 2,
                 (floods, flood.name, _P99),
                 (floods, BesideComputing.name, _P99))
          for flood in (BesideRemoving, BesideForking, BesideBomb)),
        against("+10 ms: finish / CRIU's", 1 / 20, delayed, _TOUCHED, "CRIU"),
        against("CPU, daemon + server / CRIU's", 1.2, remote, _cpu, "CRIU"),
        against("wire bytes / image", 1.02, remote, _WIRE, "ours", _one),
        against("no prefetch: wire / touched", 1.10, faults, _WIRE, "ours",
                _one),
    ]


def verdicts(runs: list[dict], mib: int, link_mib: int) -> Iterator[str]:
    """A line for each target that was measured."""
    good = [run for run in runs if "error" not in run]
    programs = dict.fromkeys(run["program"] for run in good
                             if "program" in run)
    for target in [*targets(mib, link_mib),
                   *(t for p in programs for t in reply_targets(p))]:
        ratio = target.ratio(good)
        if ratio is None:
            continue
        met = "met" if ratio <= target.most else "MISSED"
        yield f"{target.what:38} {ratio:8.3f}   at most {target.most:<6.3g} {met}"
