"""How an image is made bad, and what has to come of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.setting import Result, Setting


@dataclass(frozen=True)
class Case:
    """What is done, and what has to be in the message and the exit code."""

    do: Callable[[Setting], Result]
    code: int
    words: tuple[str, ...]


def truncate_by_a_page(images: Path) -> None:
    pages = next(images.glob("pages-*.img"))
    os.truncate(pages, pages.stat().st_size - 4096)


def make_foreign(images: Path) -> None:
    (images / "inventory.img").write_bytes(b"#!/bin/sh\nexit 0\n")


def make_another(images: Path) -> None:
    """Another checkpoint: of a process by another name."""
    for core in images.glob("core-*.img"):
        core.write_bytes(core.read_bytes().replace(b"verifying_targ",
                                                   b"verifying_tarh"))
