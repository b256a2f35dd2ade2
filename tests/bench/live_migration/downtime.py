"""How long a process stands still when it moves, by how much memory it has."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from harness import tools
from harness.migration import Stage, stage
from lazy_restore.workload import command, wait_for_answer, wrong_pages

from .ways import Clock, Pagelift, StopAndCopy, Way, warm_up

SIZES_MIB = (1, 64, 256, 1024, 4096)  # The first is as good as none.
_PROGRAM = "touch_target"
_FILL_SECONDS = 120.0
_VERIFY_SECONDS = 120.0


class _WithoutSpool(Pagelift):
    """Memory is there twice, and not three times."""

    options = ("--spool", "none")


class _PlainCriu(StopAndCopy):
    """criu dump and criu restore one after the other, without a copy."""

    name = "CRIU dump + restore"

    def move(self) -> dict:
        with self._folders() as (images, _):
            clock = Clock()
            self._dump(images)
            clock.note("dump_ms")
            self._restore(images)
            clock.note("running_ms")
            told = clock.told
            return told | {
                "downtime_ms": told["running_ms"],
                "phases_ms": {
                    "dump": told["dump_ms"],
                    "restore": told["running_ms"] - told["dump_ms"]}}


def measure(sizes_mib: list[int], repetitions: int) -> Iterator[dict]:
    """The runs, ready for JSON. Before each is one of plain CRIU with no memory
    to speak of: neighbours come and go."""
    for repetition in range(repetitions):
        todo: list[tuple[type[Way], int]] = []
        for mib in sizes_mib:
            todo += [(_PlainCriu, SIZES_MIB[0]), (_WithoutSpool, mib)]
        for kind, mib in todo:
            run = {"way": kind.name, "mib": mib, "repetition": repetition,
                   "load_before": os.getloadavg()[0]}
            try:
                with stage("bench-downtime", checked=False) as here:
                    run |= _run(kind, here, mib)
                told = (f"downtime {run['downtime_ms']:.0f} ms, "
                        f"missed {run['pause_ms']:.0f} ms")
            except Exception as error:
                run["error"] = told = f"{type(error).__name__}: {error}"
            print(f"  {mib} MiB, {kind.name}: {told}", file=sys.stderr,
                  flush=True)
            yield run


def _run(kind: type[Way], here: Stage, mib: int) -> dict:
    state: Path = here.scene.make_folder("state")
    here.left.host.start_target(
        [tools.bench(_PROGRAM), "--state", state, "--mib", str(mib)],
        state / "log")
    wait_for_answer(state, 0, _FILL_SECONDS)
    warm_up(here)
    moved = kind(here).move()
    # By its own clock, until it has what it runs in.
    command(state, "1 pause")
    pause = wait_for_answer(state, 1, _VERIFY_SECONDS)["nanoseconds"]
    if wrong := wrong_pages(state, _VERIFY_SECONDS):
        raise ValueError(f"{wrong} pages are wrong")
    return moved | {"pause_ms": pause / 1e6}
