"""A redis under a steady load that moves, as its clients see it."""

import math
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from harness.lan import SERVICE, Load
from harness.migration import stage
from harness.open_loop import Reply, replies_in
from harness.redis_commands import DataSet
from harness.redis_workload import RedisWorkload

from .ways import WAYS, Way, warm_up

# Values of some 900 bytes each, three or four to a key.
_LONGER = 800
_KEYS_A_MEBIBYTE = 325
BIN_MS = 50
BEFORE_SECONDS = 1.0
AFTER_SECONDS = 10.0


@dataclass(frozen=True)
class ServiceSetting:
    mib: int
    rate: int
    connections: int

    @property
    def load(self) -> Load:
        return Load(self.rate, self.connections, self.mib * _KEYS_A_MEBIBYTE,
                    _LONGER)


def measure(setting: ServiceSetting, repetitions: int) -> Iterator[dict]:
    """The runs, ready for JSON; all ways in turn."""
    for repetition in range(repetitions):
        by = repetition % len(WAYS)
        for kind in WAYS[by:] + WAYS[:by]:
            run = {"way": kind.name, "repetition": repetition,
                   "load_before": os.getloadavg()[0]}
            try:
                run |= _run(kind, setting)
                told = (f"longest stall {run['stall_ms']:.0f} ms, over after "
                        f"{run['over_ms']:.0f} ms")
            except Exception as error:
                run["error"] = told = f"{type(error).__name__}: {error}"
            print(f"  {setting.mib} MiB, {kind.name}: {told}", file=sys.stderr,
                  flush=True)
            yield run


def _run(kind: type[Way], setting: ServiceSetting) -> dict:
    with stage("bench-migration", with_lan=True, checked=False) as here:
        load = setting.load
        redis = RedisWorkload(DataSet(load.keys, load.longer), SERVICE)
        redis.start_and_load(here.left.host, here.scene.make_folder("state"))
        [pid] = here.left.processes(redis.comm)
        resident_mib = _resident_mib(pid)
        warm_up(here)
        output = here.scene.folder / "replies"
        with here.lan.load(load, output):
            time.sleep(BEFORE_SECONDS)
            moved = kind(here).move()
            start_ns = moved["start_ns"]
            end_ns = start_ns + int(AFTER_SECONDS * 1e9)
            time.sleep(max(0.0, (end_ns - time.monotonic_ns()) / 1e9))
        return moved | {"resident_mib": resident_mib} | _seen_by_clients(
            replies_in(output), start_ns, end_ns)


def _seen_by_clients(replies: list[Reply], start_ns: int,
                     end_ns: int) -> dict:
    """From the start on; latencies count from when requests were due."""
    meant = [reply for reply in replies if start_ns <= reply.due_ns < end_ns]
    late = sorted((reply.came_ns - reply.due_ns) / 1e6 for reply in meant)
    came = [start_ns, *(reply.came_ns for reply in replies
                        if reply.came_ns >= start_ns)]
    gap, gap_end = max((after - before, after)
                       for before, after in zip(came, came[1:]))
    first_bin = -int(BEFORE_SECONDS * 1000) // BIN_MS
    bins = [0] * (int((BEFORE_SECONDS + AFTER_SECONDS) * 1000) // BIN_MS)
    for reply in replies:
        at = (reply.came_ns - start_ns) // (BIN_MS * 1_000_000) - first_bin
        if 0 <= at < len(bins):
            bins[at] += 1
    return {"gap_ms": gap / 1e6, "replies_again_ms": (gap_end - start_ns) / 1e6,
            "stall_ms": late[-1], "p50_ms": _quantile(late, 0.5),
            "p99_ms": _quantile(late, 0.99),
            "p99.9_ms": _quantile(late, 0.999),
            "late_over_10_ms": sum(ms > 10 for ms in late),
            "requests": len(meant),
            "replies_a_second": [count * 1000 // BIN_MS for count in bins]}


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def _resident_mib(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (
            1 << 20)


def middle_runs(runs: list[dict]) -> dict[str, dict]:
    """Of each way the run whose longest stall is the median one."""
    found = {}
    for name in dict.fromkeys(run["way"] for run in runs):
        good = sorted((run for run in runs
                       if run["way"] == name and "error" not in run),
                      key=lambda run: run["stall_ms"])
        if good:
            middle = statistics.median_low(r["stall_ms"] for r in good)
            found[name] = next(r for r in good if r["stall_ms"] == middle)
    return found
