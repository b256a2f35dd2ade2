"""Waiting for conditions, with a deadline and without fixed sleeps."""

import os
import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Long enough for a busy machine of two cores; nothing waits that long if well.
PATIENCE_SECONDS = 180.0
_POLL_SECONDS = 0.01


class TimedOut(Exception):
    """A condition did not come true in time."""


def nothing() -> None:
    """The default for `meanwhile`."""


def wait_until(
    what: str,
    condition: Callable[[], T | None],
    seconds: float = PATIENCE_SECONDS,
    meanwhile: Callable[[], None] = nothing,
) -> T:
    """Polls `condition` until it gives something true, and returns that.

    `meanwhile` is called between polls; it raises if waiting on is in vain.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        meanwhile()
        if time.monotonic() > deadline:
            raise TimedOut(f"{what}: not within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


def wait_for_byte(
    what: str,
    fd: int,
    seconds: float = PATIENCE_SECONDS,
    meanwhile: Callable[[], None] = nothing,
) -> None:
    """Waits until a byte can be read from `fd`, and reads it."""

    def ready() -> bool:
        return bool(select.select([fd], [], [], 0)[0])

    wait_until(what, ready, seconds, meanwhile)
    if not os.read(fd, 1):
        meanwhile()
        raise TimedOut(f"{what}: the writer closed without saying so")
