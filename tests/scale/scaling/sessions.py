"""Many sessions of one pageliftd at the same time."""

import concurrent.futures
import contextlib
import time

from harness.namespaces import Failed
from harness.scene import Scene
from harness.workloads import CommandedTarget

from . import usage
from .stage import Restored, Stage

_SESSIONS = 64
_MIB = 4
_RESTORES_AT_A_TIME = 4  # Of CRIU, which has the processor to itself for long.


def sixty_four_at_once(scene: Scene) -> str:
    """Nothing but what is touched comes until all of them run. Then all targets
    read everything while the rest is brought."""
    stage = Stage(scene, CommandedTarget("verifying_target", "--mib",
                                         str(_MIB), "--threads", "2"))
    with contextlib.ExitStack() as stack:
        peaks = stack.enter_context(usage.Peaks(stage.daemon_pid))
        private_before = peaks.private
        start = time.monotonic()
        targets = _restore_all(stage, stack)
        running = time.monotonic()
        missing = _expect_all_open(stage)
        commands = [target.command() for target in targets]
        attempts = stage.complete_all()
        told = {target.answer(command)
                for target, command in zip(targets, commands)}
        done = time.monotonic()
        faults, fetched = _expect_all_complete(stage)
        for target in targets:
            target.verify()
    stage.close()
    return (f"{_SESSIONS} sessions, {missing} pages missing when all ran\n"
            f"{running - start:.1f} s to restore, {done - running:.1f} s more "
            f"until all was read and there\n"
            f"{faults} faults, {fetched} fetched by demand, pagelift complete "
            f"was answered at attempt {attempts}\n"
            f"pageliftd: peak {peaks.resident:.1f} MiB, of it private "
            f"{peaks.private:.1f} MiB ({private_before:.1f} before the first), "
            f"{peaks.threads} threads\n"
            f"each target: {', '.join(sorted(told))}")


def _restore_all(stage: Stage, stack: contextlib.ExitStack) -> list[Restored]:
    """They run until `stack` is left."""
    with concurrent.futures.ThreadPoolExecutor(_RESTORES_AT_A_TIME) as pool:
        restoring = [pool.submit(stage.restore, "off", stage.url)
                     for _ in range(_SESSIONS)]
    targets = []
    for restore in restoring:
        if restore.exception() is None:
            targets.append(restore.result())
            stack.callback(targets[-1].close)
    for restore in restoring:
        restore.result()
    return targets


def _expect_all_open(stage: Stage) -> int:
    """How many pages they miss."""
    sessions = stage.sessions()
    states = {session["state"] for session in sessions}
    if len(sessions) != _SESSIONS or states != {"draining"}:
        raise Failed(f"{len(sessions)} sessions, {states}")
    if not all(session["pages_missing"] for session in sessions):
        raise Failed("one has all its memory, though nobody asked for it")
    return sum(session["pages_missing"] for session in sessions)


def _expect_all_complete(stage: Stage) -> tuple[int, int]:
    sessions = stage.sessions()
    if {session["state"] for session in sessions} != {"complete"}:
        raise Failed(f"not complete: {sessions}")
    return (sum(session["faults"] for session in sessions),
            sum(session["demand_fetches"] for session in sessions))
