"""One pageliftd, a page server with one checkpoint, TCP over loopback between
them, and the guests that the checkpoint is restored into."""

import itertools
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import checkpoint as checkpoints
from harness import tools
from harness.images import copy_without_lazy_pages
from harness.namespaces import FIRST_TARGET_PID, Failed, Host, Process
from harness.scene import Scene, copy_folder
from harness.waiting import PATIENCE_SECONDS, wait_until
from harness.ways import start_when_ready, stop
from harness.workers import raise_if_crashed, worker_of
from harness.workloads import CommandedTarget

from . import usage

_SERVER_PORT = 27001
_LINK_PORT = 27002
_SECONDS_BETWEEN_LOOKS = 0.5
_NOT_IN_TIME = "Deadline Exceeded"
_MOST_ATTEMPTS = 20

Session = dict[str, Any]


class Restored:
    """A restored process, alone in a guest. Its session's name is `session`."""

    def __init__(self, workload: CommandedTarget, guest: Host, state: Path,
                 session: str) -> None:
        self.session = session
        self._workload = workload
        self._guest = guest
        self._state = state
        self._next_look = 0.0

    def command(self) -> int:
        """Gives it a command, and does not wait; tells which that is."""
        return self._workload.command(self._state)

    def answer(self, command: int) -> str:
        """Waits for it; raises if the target's memory is wrong, or it died."""
        return self._workload.wait_for_answer(self._state, command, self._watch)

    def verify(self) -> str:
        return self.answer(self.command())

    def mapped_gib(self) -> float:
        """How large its address space is."""
        return int(self._guest.run(["ps", "-o", "vsz=", "-p",
                                    str(FIRST_TARGET_PID)])) / (1 << 20)

    def close(self) -> None:
        self._guest.close()

    def _watch(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        if not self._guest.pids_called(self._workload.comm):
            raise Failed(f"the target of {self.session} died")


class Stage:
    """All of it on the destination host of a scene. `url_by_link` leads over a
    link that can be frozen."""

    def __init__(self, scene: Scene, workload: CommandedTarget) -> None:
        self._scene = scene
        self._workload = workload
        state = scene.make_folder("state")
        workload.start(scene.source, state)
        self._checkpoint = checkpoints.dump(scene, state, workload.comm)
        self.images = self._checkpoint.images
        # A page that was not fetched cannot be right: these do not have it.
        self._eager_images = scene.folder / "images-at-destination"
        copy_without_lazy_pages(self.images, self._eager_images)
        server, link = (f"127.0.0.1:{port}" for port in (_SERVER_PORT,
                                                         _LINK_PORT))
        self.url, self.url_by_link = (f"grpc://{address}/checkpoint"
                                      for address in (server, link))
        self._server = self._start(
            *tools.sandboxed("pagelift-server"), "--listen", server, "--image",
            f"checkpoint={self.images}")
        self._link = self._start(tools.bench("link_proxy"), link, server)
        self._control = scene.folder / "control" / "socket"
        self._daemon = self._start(*tools.sandboxed("pageliftd"),
                                   "--control", self._control)

    def _start(self, program: Path, *options: str | Path) -> Process:
        return start_when_ready(
            self._scene.destination, program.name, [program, *options],
            "--ready-fd", self._scene.folder / f"{program.name}.log")

    @property
    def daemon_pid(self) -> int:
        """Of the process that does the work."""
        pid = self._daemon.pid()
        if pid is None:
            raise Failed("pageliftd ended")
        return worker_of(pid)

    def restore(self, prefetch: str, url: str) -> Restored:
        """Returns when the process runs. Thread-safe."""
        name = self._scene.next_restore_name()
        folder = self._scene.make_folder(name)
        work, state = folder / "work", folder / "state"
        work.mkdir()
        copy_folder(self._checkpoint.saved_state, state)
        guest = Host(name, inside=self._scene.destination)
        try:
            guest.mount_over(state, self._checkpoint.state)
            session = self._restore(guest, work, prefetch, url)
            return Restored(self._workload, guest, state, session)
        except BaseException:
            guest.close()
            raise

    def _restore(self, guest: Host, work: Path, prefetch: str,
                 url: str) -> str:
        output = work / "restore.json"
        restoring = guest.start(
            "pagelift restore",
            ["/bin/sh", "-c", f'exec "$@" >{output}', "sh",
             tools.pagelift("pagelift"), "restore", "--images",
             self._eager_images, "--source", url, "--work-dir", work, "--criu",
             tools.criu(), "--control", self._control, "--prefetch", prefetch,
             "--json", "--", "-v4", "--log-file", "restore.log"],
            work / "pagelift.log")
        restoring.wait(PATIENCE_SECONDS)
        restoring.raise_if_failed()
        return str(json.loads(output.read_text())["session"])

    @contextmanager
    def restored(self, prefetch: str, url: str) -> Iterator[Restored]:
        """One restore, which ends when left."""
        target = self.restore(prefetch, url)
        try:
            yield target
        finally:
            target.close()

    def sessions(self, *names: str) -> list[Session]:
        """What `pagelift status` says of one, or of all."""
        return self._command("status", "--json", *names)["sessions"]

    def session_of(self, target: Restored) -> Session:
        [session] = self.sessions(target.session)
        return session

    def complete(self, target: Restored) -> None:
        """Has all its memory brought, and returns when it is there."""
        [session] = self._command("complete", "--json",
                                  target.session)["sessions"]
        expect_complete(session)

    def complete_all(self) -> int:
        """The same for all that are open. On a machine that is busy enough the
        command takes the daemon for absent, and is repeated; tells how often
        it was started."""
        for attempt in itertools.count(1):
            completing = self._scene.destination.start(
                "pagelift complete",
                [tools.pagelift("pagelift"), "complete", "--control",
                 self._control], self._scene.folder / f"complete-{attempt}.log")
            if completing.wait(PATIENCE_SECONDS) == 0:
                return attempt
            said = completing.log.read_text()
            if _NOT_IN_TIME not in said or attempt >= _MOST_ATTEMPTS:
                raise Failed(f"pagelift complete failed: {said}")
        raise AssertionError("it counts on for ever")

    def _command(self, command: str, *arguments: str) -> dict[str, Any]:
        return json.loads(self._scene.destination.run(
            [tools.pagelift("pagelift"), command, "--control", self._control,
             *arguments]))

    def freeze_link(self) -> None:
        self._link.send_signal(signal.SIGUSR1)

    def thaw_link(self) -> None:
        self._link.send_signal(signal.SIGUSR2)

    def wait_for_threads_in_faults(self, least: int) -> None:
        """So many wait for a page, or more, and the daemon knows of all."""

        def all_wait() -> bool:
            waiting, unread = usage.threads_in_faults(self.daemon_pid)
            return waiting >= least and not unread

        wait_until(f"{least} threads waiting for a page", all_wait)

    def close(self) -> None:
        """Raises if anything has died."""
        for process in (self._daemon, self._link, self._server):
            stop(process)
        raise_if_crashed(self._scene.folder / "pageliftd.log")


def expect_complete(session: Session) -> None:
    if (session["state"], session["pages_missing"], session["pages_lost"]) != (
            "complete", 0, 0):
        raise Failed(f"not complete: {session}")
