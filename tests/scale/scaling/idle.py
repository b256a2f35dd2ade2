"""What the daemon costs while there is nothing to do."""

import os
import time

from harness.namespaces import Failed
from harness.scene import Scene
from harness.workloads import CommandedTarget

from . import usage
from .stage import Restored, Stage, expect_complete

_SECONDS = 5
_MOST_TICKS = 5  # One in a hundred: nothing that polls keeps to that.


def next_to_no_processor_time(scene: Scene) -> str:
    """One session has all its memory, and its process runs on; another waits
    for a page, and its page server says nothing."""
    stage = Stage(scene, CommandedTarget("verifying_target", "--mib", "8"))
    told = []
    with (stage.restored("full", stage.url) as complete,
          stage.restored("off", stage.url_by_link) as stalled):
        complete.verify()
        stage.complete(complete)
        told.append(f"complete: {_expect_idle(stage)}")
        command = _stall(stage, stalled)
        try:
            told.append(f"and one stalled: {_expect_idle(stage)}")
            _expect_stalled(stage, stalled)
        finally:
            stage.thaw_link()
        told.append(f"thawed: {stalled.answer(command)}")
        stage.complete(stalled)
        for target in (complete, stalled):
            target.verify()
            expect_complete(stage.session_of(target))
    stage.close()
    return "\n".join(told)


def _stall(stage: Stage, target: Restored) -> int:
    """Returns when it waits for a page that does not come; tells the command
    that it is at."""
    stage.freeze_link()
    command = target.command()
    stage.wait_for_threads_in_faults(1)
    return command


def _expect_idle(stage: Stage) -> str:
    pid = stage.daemon_pid
    before = usage.processor_of(pid)
    time.sleep(_SECONDS)  # This is what is measured.
    used = usage.processor_of(pid).since(before)
    said = (f"{used.ticks} ticks of {1000 // os.sysconf('SC_CLK_TCK')} ms in "
            f"{_SECONDS} s ({used.milliseconds:.1f} ms, {used.wakeups} "
            "wake-ups)")
    if used.ticks > _MOST_TICKS:
        raise Failed(f"pageliftd had nothing to do: {said}")
    return said


def _expect_stalled(stage: Stage, target: Restored) -> None:
    session = stage.session_of(target)
    if session["state"] != "draining" or not session["pages_missing"]:
        raise Failed(f"somebody else brought its pages: {session}")
    stage.wait_for_threads_in_faults(1)  # Still.
