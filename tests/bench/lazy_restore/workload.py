"""The checkpoint that all contenders restore, and the guests it runs in."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import checkpoint as checkpoints
from harness import tools
from harness.images import copy_without_lazy_pages
from harness.namespaces import Failed, Host
from harness.scene import Scene
from harness.waiting import nothing, wait_until

_PROGRAM = "touch_target"
_FILL_SECONDS = 60.0


@dataclass(frozen=True)
class Touching:
    """What the restored program is to do at once, and the first page's byte."""

    order: str  # "sequential" or "random".
    seed: int  # Of the random order.
    count: int | None = None  # Only so many pages.

    def command(self) -> str:
        count = "" if self.count is None else f" {self.count}"
        return f"1 {self.order} {self.seed}{count}\n"


class TouchWorkload:
    """A process of `mib` MiB of distinct pages, checkpointed once."""

    def __init__(self, scene: Scene, mib: int, seed: int) -> None:
        self.mib = mib
        self.seed = seed
        self._scene = scene
        state = scene.make_folder("state")
        scene.source.start_target(
            [tools.bench(_PROGRAM), "--state", state, "--mib", str(mib),
             "--seed", str(seed)], state / "log")
        wait_for_answer(state, 0, _FILL_SECONDS)
        self._checkpoint = checkpoints.dump(scene, state, _PROGRAM)
        self.images = self._checkpoint.images
        # What the other host has: all that CRIU reads, and spoiled pages.
        self.images_without_pages = scene.folder / "images-without-pages"
        copy_without_lazy_pages(self.images, self.images_without_pages)

    @property
    def pages(self) -> int:
        return self.mib * 256

    @contextlib.contextmanager
    def guest(self, touching: Touching) -> Iterator[tuple[Host, Path, Path]]:
        """A guest of the destination host in which the restored program finds
        its command at once; the program's state folder and one for work."""
        with guest_of(self._scene, self._checkpoint) as (guest, state, work):
            (state / "command").write_text(touching.command())
            yield guest, state, work


@contextlib.contextmanager
def guest_of(scene: Scene, checkpoint: checkpoints.Checkpoint
             ) -> Iterator[tuple[Host, Path, Path]]:
    """A guest of the destination host; the program's state folder and one for
    work."""
    name = scene.next_restore_name()
    folder = scene.make_folder(name)
    (folder / "work").mkdir()
    shutil.copytree(checkpoint.saved_state, folder / "state")
    guest = Host(name, inside=scene.destination)
    try:
        guest.mount_over(folder / "state", checkpoint.state)
        yield guest, folder / "state", folder / "work"
    finally:
        guest.close()
    shutil.rmtree(folder)  # Kept if something went wrong.


def wait_for_answer(state: Path, number: int, seconds: float,
                    meanwhile: Callable[[], None] = nothing) -> dict:
    """What the program answers to its command of that number."""

    def answer() -> str | None:
        with contextlib.suppress(FileNotFoundError):
            answered, text = (state / "result").read_text().split(" ", 1)
            if int(answered) == number:
                return text
        return None

    return json.loads(wait_until(f"{_PROGRAM}'s answer to command {number}",
                                 answer, seconds, meanwhile))


def command(state: Path, text: str) -> None:
    """Never seen in parts."""
    draft = state / "command.draft"
    draft.write_text(text + "\n")
    draft.rename(state / "command")


def wrong_pages(state: Path, seconds: float) -> int:
    """Has every byte of all pages compared."""
    command(state, "2 verify")
    return wait_for_answer(state, 2, seconds)["wrong_pages"]


class Deadline:
    """So much time for one run."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failed("the run took too long")
        return left
