"""What the cases have at hand, and what they bring back."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.checkpoint import Checkpoint
from harness.namespaces import Failed, Host, Process
from harness.scene import Scene
from harness.ways import criu_restore_command, start_when_ready, stop
from harness.workloads import Workload

# On the loopback of the guest, which is its own.
_PORT = 27001
_SECONDS = 60


@dataclass
class Result:
    code: int
    said: str


@dataclass(frozen=True)
class Case:
    """What is done, and what has to be in the message and the exit code."""

    do: Callable[["Setting"], Result]
    code: int
    words: tuple[str, ...]


class Setting:
    """A real checkpoint, a page server with it, and a guest to restore into."""

    def __init__(self, scene: Scene, guest: Host, checkpoint: Checkpoint,
                 workload: Workload) -> None:
        self.folder = scene.folder
        self.guest = guest
        self.workload = workload
        self.state = checkpoint.state
        self.images = checkpoint.images
        self.url = ""  # Of the same checkpoint at a page server.
        self._pids = checkpoint.pids
        self._saved_state = checkpoint.saved_state
        self._runs = 0
        self._ports = iter(range(_PORT, _PORT + 1000))

    def copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.images, self.folder / name,
                                    symlinks=True))

    def make_folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    @contextlib.contextmanager
    def serving(self, name: str, images: Path) -> Iterator[str]:
        """A pagelift-server with `images`; gives their URL."""
        address = f"127.0.0.1:{next(self._ports)}"
        server = start_when_ready(
            self.guest, "pagelift-server",
            [tools.pagelift("pagelift-server"), "--listen", address,
             "--image", f"{name}={images}"],
            "--ready-fd", self._next_log())
        yield f"grpc://{address}/{name}"
        stop(server)

    def run(self, *argv: str | Path) -> Result:
        log = self._next_log()
        return result_of(self.guest.start(str(argv[0]), argv, log))

    def restore(self, images: Path, *options: str | Path) -> Result:
        """`pagelift restore` with a daemon of its own; nothing may run after."""
        result = self.restore_and_run(images, *options)
        self.expect_nothing_runs(result)
        return result

    def restore_and_run(self, images: Path, *options: str | Path) -> Result:
        return self.run(
            tools.pagelift("pagelift"), "restore", "--images", images,
            "--control", self.folder / "control" / "socket", *options)

    def lazy_pages(self, work: Path, *options: str | Path) -> Result:
        """`pagelift lazy-pages` that is to fail at its start: a restore has
        nobody to connect to, then."""
        result = self.run(tools.pagelift("pagelift"), "lazy-pages", "-W", work,
                          *options)
        if self.criu_restore(work).code == 0:
            raise Failed("criu restore went well without lazy-pages")
        self.expect_nothing_runs(result)
        return result

    def start_lazy_pages(self, *options: str | Path) -> Process:
        """Returns once its socket listens."""
        return start_when_ready(
            self.guest, "pagelift lazy-pages",
            [tools.pagelift("pagelift"), "lazy-pages", *options],
            "--status-fd", self._next_log())

    def criu_restore(self, work: Path, images: Path | None = None) -> Result:
        return self.run(*criu_restore_command(images or self.images, work))

    def running(self) -> frozenset[int]:
        return self.guest.pids_called(self.workload.comm)

    def expect_nothing_runs(self, result: Result) -> None:
        running = self.running()
        if running:
            raise Failed(f"the process runs all the same: {running}; "
                         f"{result.said}")

    def expect_death_at_next_touch(self) -> None:
        """Has the restored process look at all its memory, which it must not
        survive: it answers if it may read what is not there."""
        if self._pids - self.running():
            raise Failed("it died before")
        try:
            answer = self.workload.verify(self.guest, self.state,
                                          self._raise_if_dead)
        except _Died:
            return
        finally:
            shutil.rmtree(self.state)
            shutil.copytree(self._saved_state, self.state)
        raise Failed(f"nothing was lost: {answer}")

    def _raise_if_dead(self) -> None:
        if self._pids - self.running():
            raise _Died

    def _next_log(self) -> Path:
        self._runs += 1
        return self.folder / f"output-{self._runs}.log"


class _Died(Exception):
    """A restored process is no more."""


def result_of(process: Process) -> Result:
    """Waits for its end."""
    return Result(process.wait(_SECONDS),
                  process.log.read_text(errors="replace"))


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
