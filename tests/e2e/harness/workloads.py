"""What is checkpointed: programs that can tell if their memory is right."""

import abc
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import incremental, tools
from .namespaces import FIRST_TARGET_PID, Host
from .waiting import PATIENCE_SECONDS, nothing, wait_until

_SECONDS_BETWEEN_LOOKS = 0.5


class WrongMemory(Exception):
    """A restored process holds other bytes than it did."""


class Workload(abc.ABC):
    """A program to checkpoint. One object for all its restores; thread-safe
    once it has been started."""

    comm: str
    # As whom CRIU dumps it: a command that runs another.
    dump_as: Sequence[str | Path] = ()

    @abc.abstractmethod
    def start(self, host: Host, state: Path) -> None:
        """Starts it and returns when it has filled its memory."""

    @abc.abstractmethod
    def verify(self, guest: Host, state: Path,
               meanwhile: Callable[[], None] = nothing) -> str:
        """Has all its memory compared; tells how much that was. Raises
        WrongMemory. Waits for it to come alive, if need be."""

    def rework(self, images: Path) -> Path:
        """What is to be restored, if it is not what was dumped."""
        return images

    def judge(self, lazy_pages: int, during: str, report: dict) -> None:
        """Raises if what it answered during a restore, and what the way has
        measured, cannot be."""
        del lazy_pages, during, report

    def load(self, guest: Host,
             state: Path) -> contextlib.AbstractContextManager[None]:
        """Keeps the program busy for as long as the context lasts."""
        del guest, state
        return contextlib.nullcontext()


class CommandedTarget(Workload):
    """A program of tests/e2e/targets, which speaks through its state folder."""

    def __init__(self, program: str, *options: str) -> None:
        self.comm = program
        self._program = program
        self._options = options

    def start(self, host: Host, state: Path) -> None:
        host.start_target(self._command(state), state / "log")
        self.wait_until_started(state, self._watch_first_process(host))

    def wait_until_started(self, state: Path,
                           meanwhile: Callable[[], None] = nothing) -> None:
        self.wait_for_answer(state, 0, meanwhile)

    @staticmethod
    def _watch_first_process(host: Host) -> Callable[[], None]:
        next_look = 0.0

        def look() -> None:
            nonlocal next_look
            if time.monotonic() >= next_look:
                host.run(["ps", "-p", str(FIRST_TARGET_PID)])  # If it is there.
                next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS

        return look

    def _command(self, state: Path) -> list[str | Path]:
        return [tools.target(self._program), "--state", state, *self._options]

    def verify(self, guest: Host, state: Path,
               meanwhile: Callable[[], None] = nothing) -> str:
        return self.wait_for_answer(state, self.command(state), meanwhile)

    @staticmethod
    def command(state: Path) -> int:
        """Gives it the next command, and tells which that is."""
        number = _next_command(state)
        draft = state / "command.draft"
        draft.write_text(f"{number}\n")
        draft.rename(state / "command")
        return number

    def wait_for_answer(self, state: Path, number: int,
                        meanwhile: Callable[[], None] = nothing) -> str:
        """The answer to a command; raises WrongMemory as verify() does."""

        def answer() -> str | None:
            with contextlib.suppress(FileNotFoundError):
                answered, text = (state / "result").read_text().split(" ", 1)
                if int(answered) >= number:
                    return text.strip()
            return None

        text = wait_until(f"{self._program}'s answer to command {number}",
                          answer, PATIENCE_SECONDS, meanwhile)
        if not text.startswith("OK"):
            raise WrongMemory(f"{self._program}: {text}")
        return text


class IncrementalTarget(CommandedTarget):
    """The same, as if there had been three dumps of it."""

    def rework(self, images: Path) -> Path:
        return incremental.split(images, images.with_name("dumps"), 3,
                                 incremental.any_age)


def _next_command(state: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return int((state / "command").read_text()) + 1
    return 1
