"""What control_file.h is to targets in C++."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

POLL_SECONDS = 0.02


def answer_commands(state: Path, obey: Callable[[], str]) -> NoReturn:
    """Answers command 0, and each other with what `obey` then says."""
    command = 0
    answer(state, command, "OK filled")
    while True:
        command = wait_for_command_after(state, command)
        try:
            answer(state, command, obey())
        except Exception as error:  # A damaged heap can raise anything.
            answer(state, command, f"WRONG {error!r}")


def answer(state: Path, number: int, text: str) -> None:
    draft = state / "result.draft"
    draft.write_text(f"{number} {text}\n")
    draft.rename(state / "result")


def wait_for_command_after(state: Path, previous: int) -> int:
    while True:
        try:
            number = int((state / "command").read_text())
        except FileNotFoundError:
            number = 0
        if number > previous:
            return number
        time.sleep(POLL_SECONDS)


def take_over_standard_streams(state: Path) -> None:
    out = os.open(state / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for wanted, fd in ((0, null), (1, out), (2, out)):
        os.dup2(fd, wanted)
    os.close(out)
    os.close(null)
