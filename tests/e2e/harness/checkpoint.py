"""Checkpoints: made by `criu dump`, kept in a folder or parked in the dump."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import tools
from .namespaces import FIRST_TARGET_PID, Failed, Process
from .scene import Scene, copy_folder
from .waiting import PATIENCE_SECONDS, wait_for_byte

PARKED_PORT = 27000


@dataclass(frozen=True)
class Checkpoint:
    """What was dumped, and the target's state folder as it was then.

    `pids` are those of its tasks that were alive. `parked` is the dump that
    still holds the lazy pages, if one does.
    """

    images: Path
    state: Path
    saved_state: Path
    pids: frozenset[int]
    parked: Process | None = None

    def finish(self) -> None:
        """Expects a parked dump to have ended well: all its pages are out."""
        if self.parked is None:
            return
        code = self.parked.wait(PATIENCE_SECONDS)
        if code != 0:
            raise Failed(f"the parked dump exited with {code}; its log is in "
                         f"{self.images / 'dump.log'}")


def dump(scene: Scene, state: Path, comm: str,
         dump_as: Sequence[str | Path] = ()) -> Checkpoint:
    """Dumps the target on the source host, which ends there."""
    pids = scene.source.pids_called(comm)
    images = scene.make_folder("images")
    dumping = scene.source.start("criu dump",
                                 [*dump_as,
                                  *dump_command(images, tools.criu())],
                                 scene.folder / "dump-output.log")
    if dumping.wait(PATIENCE_SECONDS) != 0:
        raise Failed(f"criu dump failed; its log is in {images / 'dump.log'}")
    return Checkpoint(images, state, _save(scene, state), pids)


def park(scene: Scene, state: Path, comm: str) -> Checkpoint:
    """Starts a dump on the source host that keeps the target frozen, and its
    memory for whoever asks at PARKED_PORT."""
    pids = scene.source.pids_called(comm)
    images = scene.make_folder("images")
    dumping = start_parked(lambda status_fd: scene.source.start(
        "criu dump --lazy-pages",
        [*dump_command(images, tools.criu_serving_pages()), "--lazy-pages",
         "--address", scene.source.address, "--port", str(PARKED_PORT),
         "--status-fd", str(status_fd)],
        scene.folder / "dump-output.log", pass_fds=[status_fd]))
    return Checkpoint(images, state, _save(scene, state), pids, dumping)


def start_parked(start: Callable[[int], Process]) -> Process:
    """Starts a dump, which is given a status descriptor, and returns when it
    serves."""
    status_read, status_write = os.pipe()
    try:
        dumping = start(status_write)
        os.close(status_write)
        wait_for_byte(f"{dumping.name} serving", status_read,
                      meanwhile=dumping.raise_if_ended)
        return dumping
    finally:
        os.close(status_read)


def dump_command(images: Path, criu: Path) -> list[str | Path]:
    return [criu, "dump", "--tree", str(FIRST_TARGET_PID),
            "--images-dir", images, "-v4", "--log-file", "dump.log"]


def _save(scene: Scene, state: Path) -> Path:
    saved = scene.folder / "saved-state"
    copy_folder(state, saved)
    return saved
