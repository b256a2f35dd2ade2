"""Memory that is taken away from a process that runs, and handed to a pager."""

import os
from collections.abc import Callable
from pathlib import Path

from harness import tools
from harness.namespaces import FIRST_TARGET_PID, Failed, Host, Process
from harness.waiting import PATIENCE_SECONDS, wait_until


def take_memory_away(guest: Host, images: Path, work: Path,
                     restore: Callable[[], object]) -> None:
    """Of the first process in `guest`: `images` has it then. `restore` is to
    hand it to a pager, by `pagelift restore --work-dir` of `work` and with
    criu_that_hands_over as its criu."""
    for fifo in ("ask", "answer"):
        os.mkfifo(work / fifo)
    # Both ways at once, so that nobody waits for the other to open.
    ask = os.open(work / "ask", os.O_RDWR)
    answer = os.open(work / "answer", os.O_RDWR)
    try:
        lazify = guest.start(
            "lazify",
            ["/bin/sh", "-c", f'"$@" <{work}/ask >{work}/answer || '
             f'{{ echo failed >{work}/answer; exit 1; }}', "sh",
             tools.stress("lazify"), "--pid", str(FIRST_TARGET_PID),
             "--images", images], work / "lazify.log")
        stopped = _read_line(answer, lazify)
        if not stopped.startswith("stopped"):
            raise Failed(f"lazify said {stopped!r}")
        restore()
        if lazify.wait(PATIENCE_SECONDS) != 0:
            raise Failed(f"lazify failed: {work / 'lazify.log'}")
    finally:
        os.close(ask)
        os.close(answer)


def _read_line(fd: int, writer: Process) -> str:
    """One line, and no byte more: the next is for somebody else."""
    line = b""
    os.set_blocking(fd, False)

    def complete() -> bool | None:
        nonlocal line
        try:
            while not line.endswith(b"\n"):
                line += os.read(fd, 1)
            return True
        except BlockingIOError:
            writer.raise_if_ended()
            return None

    wait_until(f"a line from {writer.name}", complete, PATIENCE_SECONDS)
    return line.decode()
