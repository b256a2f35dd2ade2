"""A small checkpoint, for cases that are about commands and not about memory:
what they have at hand, and what they bring back."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import checkpoint, tools
from .checkpoint import Checkpoint
from .namespaces import Failed, Host, Process
from .scene import Scene
from .waiting import wait_until
from .ways import criu_restore_command, start_when_ready, stop
from .workloads import CommandedTarget, Workload

# On the loopback of the guest, which is its own.
_PORT = 27001
_SECONDS = 60


@dataclass
class Result:
    code: int
    said: str

    def expect(self, code: int, *words: str) -> str:
        """Returns what was said; raises if that is not all of `words`."""
        if self.code != code:
            raise Failed(f"exit code {self.code}, not {code}: {self.said}")
        for word in words:
            if word not in self.said:
                raise Failed(f"does not say {word!r}: {self.said}")
        return self.said


class Setting:
    """A real checkpoint, a page server with it, and a guest to restore into."""

    def __init__(self, scene: Scene, guest: Host, checkpoint: Checkpoint,
                 workload: Workload) -> None:
        self.folder = scene.folder
        self.guest = guest
        self.workload = workload
        self.state = checkpoint.state
        self.images = checkpoint.images
        self.control = self.folder / "control" / "socket"  # Of pageliftd.
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
    def serving(self, name: str, images: Path,
                *options: str) -> Iterator[str]:
        """A pagelift-server with `images`; gives their URL."""
        url, server = self.start_server(name, images, *options)
        yield url
        stop(server)

    def start_server(self, name: str, images: Path, *options: str,
                     privileges: Sequence[str | Path] = ()
                     ) -> tuple[str, Process]:
        """`privileges` starts it with others than ours."""
        address = f"127.0.0.1:{next(self._ports)}"
        return (f"grpc://{address}/{name}",
                self.start_server_at(address, name, images, *options,
                                     privileges=privileges))

    def start_server_at(self, address: str, name: str, images: Path,
                        *options: str, privileges: Sequence[str | Path] = ()
                        ) -> Process:
        return start_when_ready(
            self.guest, "pagelift-server",
            [*privileges, *tools.sandboxed("pagelift-server"), "--listen",
             address, "--image", f"{name}={images}", *options],
            "--ready-fd", self.next_log())

    def run(self, *argv: str | Path) -> Result:
        return result_of(self.start(str(argv[0]), argv))

    def script(self, name: str, commands: str) -> Path:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{commands}\n")
        path.chmod(0o755)
        return path

    def start(self, name: str, argv: Sequence[str | Path]) -> Process:
        return self.guest.start(name, argv, self.next_log())

    def restore(self, images: Path, *options: str | Path) -> Result:
        """`pagelift restore` with a daemon of its own; nothing may run after."""
        result = self.restore_and_run(images, *options)
        self.expect_nothing_runs(result)
        return result

    def restore_and_run(self, images: Path, *options: str | Path) -> Result:
        return self.run(*self.restore_command(images, *options))

    def restore_command(self, images: Path,
                        *options: str | Path) -> list[str | Path]:
        return [tools.pagelift("pagelift"), "restore", "--images", images,
                "--control", self.control, *options]

    def lazy_pages(self, work: Path, *options: str | Path) -> Result:
        """`pagelift lazy-pages` that is to fail at its start: a restore has
        nobody to connect to, then."""
        result = self.run(tools.pagelift("pagelift"), "lazy-pages", "-W", work,
                          *options)
        if self.criu_restore(work).code == 0:
            raise Failed("criu restore went well without lazy-pages")
        self.expect_nothing_runs(result)
        return result

    def start_lazy_pages(self, *options: str | Path,
                         program: Path | None = None) -> Process:
        """Returns once its socket listens."""
        return start_when_ready(
            self.guest, "lazy-pages",
            [program or tools.pagelift("pagelift"), "lazy-pages", *options],
            "--status-fd", self.next_log())

    def criu_restore(self, work: Path, images: Path | None = None) -> Result:
        return self.run(*criu_restore_command(images or self.images, work))

    def session_status(self, session: str) -> dict:
        """What `pagelift status` tells of it."""
        result = self.run(tools.pagelift("pagelift"), "status", "--json",
                          "--control", self.control, session)
        result.expect(0)
        [status] = json.loads(result.said)["sessions"]
        return status

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
            answer = self.verify()
        except _Died:
            return
        raise Failed(f"nothing was lost: {answer}")

    def verify(self) -> str:
        """All memory of the restored process."""
        return self.workload.verify(self.guest, self.state,
                                    self._raise_if_dead)

    def reset(self) -> None:
        """Ends what was restored; another restore finds things as this did."""
        pids = self.running()
        if pids:
            self.guest.run(["kill", "-KILL", *map(str, pids)])
            wait_until("the target's end", lambda: not self.running())
        shutil.rmtree(self.state)
        shutil.copytree(self._saved_state, self.state)

    def _raise_if_dead(self) -> None:
        if self._pids - self.running():
            raise _Died

    def next_log(self) -> Path:
        self._runs += 1
        return self.folder / f"output-{self._runs}.log"


class _Died(Exception):
    """A restored process is no more."""


def result_of(process: Process) -> Result:
    """Waits for its end."""
    return Result(process.wait(_SECONDS),
                  process.log.read_text(errors="replace"))


@contextlib.contextmanager
def one_checkpoint(name: str) -> Iterator[Setting]:
    """Makes it, and ends all that runs when left."""
    with Scene(name) as scene, contextlib.ExitStack() as stack:
        workload = CommandedTarget("verifying_target", "--mib", "8")
        state = scene.make_folder("state")
        workload.start(scene.source, state)
        dumped = checkpoint.dump(scene, state, workload.comm)
        guest = Host("guest", inside=scene.destination)
        stack.callback(guest.close)
        setting = Setting(scene, guest, dumped, workload)
        with setting.serving("checkpoint", dumped.images) as url:
            setting.url = url
            yield setting
