"""Ways to restore a checkpoint lazily. One restores any number of times."""

import abc
import itertools
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import tools
from .checkpoint import PARKED_PORT, Checkpoint
from .images import copy_without_lazy_pages
from .certificates import Authority
from .namespaces import Failed, Host, Process
from .scene import Scene
from .waiting import PATIENCE_SECONDS, wait_for_byte, wait_until
from .workers import raise_if_crashed

# Where the lazy pages come from.
EMBEDDED = "embedded"  # The images, read on the destination host.
REMOTE = "remote"  # The way's own page server on the source host.
PAGE_SERVER = "page-server"  # `criu page-server --lazy-pages` there.
PARKED = "parked"  # `criu dump --lazy-pages` there.
PLACES = (EMBEDDED, REMOTE, PAGE_SERVER, PARKED)

_FIRST_PAGE_SERVER_PORT = 27100
_SERVER_PORT = 27001
_IMAGE_NAME = "checkpoint"
_NOBODY = 65534
# What `pagelift restore --json` tells, at least.
_REPORTED = frozenset({
    "session", "time_to_running_ms", "time_to_complete_ms", "faults",
    "fault_latency_us", "pages_installed", "pages_zeroed", "bytes_received",
    "state"})


@dataclass
class Restore:
    """One restore under way: the process that restores, and what serves it."""

    restoring: Process
    serving: list[Process] = field(default_factory=list)
    output: Path | None = None  # Of `restoring`, JSON if it succeeds.

    def raise_if_failed(self) -> None:
        """Call it while waiting for the restored program to do something."""
        self.restoring.raise_if_failed()
        for process in self.serving:
            process.raise_if_failed()

    def wait_complete(self) -> None:
        """Waits until no page is missing; raises if that cannot be."""
        for process in [self.restoring, *self.serving]:
            wait_until(f"{process.name} ending",
                       lambda p=process: p.exit_code() is not None,
                       PATIENCE_SECONDS, self.raise_if_failed)
            process.raise_if_failed()

    def report(self) -> str:
        """What the way itself has measured, once complete. Raises if that is
        less than it promises."""
        if self.output is None:
            return ""
        text = self.output.read_text()
        missing = _REPORTED - json.loads(text).keys()
        if missing:
            raise Failed(f"{self.restoring.name} --json does not tell "
                         f"{', '.join(sorted(missing))}")
        return text.strip()


class RestoreWay(abc.ABC):
    """Restores `checkpoint` into guests of the destination host."""

    name: str
    places: tuple[str, ...]

    def __init__(self, scene: Scene, checkpoint: Checkpoint, place: str):
        self._scene = scene
        self._place = place
        self._images = checkpoint.images
        if place != EMBEDDED:
            # The destination host has what CRIU reads, but not the lazy pages.
            self._images = scene.folder / "images-at-destination"
            copy_without_lazy_pages(checkpoint.images, self._images)
        self._full_images = checkpoint.images

    @abc.abstractmethod
    def restore(self, guest: Host, work: Path) -> Restore:
        """Starts to restore into `guest`, and does not wait for it."""

    def close(self) -> None:
        """Stops what serves all restores; raises if it had died."""


def criu_restore_command(images: Path, work: Path) -> list[str | Path]:
    return [*criu_plain_restore_command(images, work), "--lazy-pages"]


def criu_plain_restore_command(images: Path, work: Path) -> list[str | Path]:
    return [tools.criu(), "restore", "--images-dir", images, "--work-dir", work,
            "--restore-detached", "-v4", "--log-file", "restore.log"]


class LazyPagesWay(RestoreWay):
    """A lazy-pages daemon for each restore, and an ordinary `criu restore`."""

    def __init__(self, scene: Scene, checkpoint: Checkpoint, place: str):
        super().__init__(scene, checkpoint, place)
        self._ports = itertools.count(_FIRST_PAGE_SERVER_PORT)

    def _program(self) -> Path:
        raise NotImplementedError

    def _source_options(self, work: Path) -> tuple[list[str], list[Process]]:
        """Options that say where pages come from, and what was started."""
        if self._place == EMBEDDED:
            return [], []
        if self._place == PARKED:
            return self._page_server_options(PARKED_PORT), []
        # One client, then it ends: a server for each restore.
        port = next(self._ports)
        server = start_when_ready(
            self._scene.source, "criu page-server --lazy-pages",
            [tools.criu_serving_pages(), "page-server", "--lazy-pages", "--images-dir",
             self._full_images, "--work-dir", work, "--address",
             self._scene.source.address, "--port", str(port), "-v4",
             "--log-file", "page-server.log"],
            "--status-fd", work / "page-server-output.log")
        return self._page_server_options(port), [server]

    def _page_server_options(self, port: int) -> list[str]:
        return ["--page-server", "--address", self._scene.source.address,
                "--port", str(port)]

    def restore(self, guest: Host, work: Path) -> Restore:
        options, servers = self._source_options(work)
        daemon = start_when_ready(
            self._scene.destination, f"{self.name} lazy-pages",
            [self._program(), "lazy-pages", "-D", self._images, "-W", work,
             "-v4", "-o", "lazy-pages.log", *options],
            "--status-fd", work / "lazy-pages-output.log")
        restoring = guest.start("criu restore",
                                criu_restore_command(self._images, work),
                                work / "restore-output.log")
        return Restore(restoring, [daemon, *servers])


class CriuWay(LazyPagesWay):
    """Plain CRIU, the yardstick. Its own page server is the remote one."""

    name = "criu"
    places = PLACES

    def _program(self) -> Path:
        return tools.criu()


class PageliftServer:
    """`pagelift-server` on the source host, with one checkpoint in it; in plain
    text, or over TLS."""

    def __init__(self, scene: Scene, images: Path, tls: bool = False) -> None:
        address = f"{scene.source.address}:{_SERVER_PORT}"
        if tls:
            authority = Authority(scene.folder)
            server = authority.issue("server", f"IP:{scene.source.address}")
            client = authority.issue("pager")
            self.url = f"grpcs://{address}/{_IMAGE_NAME}?tls={client}"
            security = ["--tls", server]
        else:
            self.url = f"grpc://{address}/{_IMAGE_NAME}?insecure"
            security = ["--insecure"]
        self.process = start_when_ready(
            scene.source, "pagelift-server",
            [*tools.sandboxed("pagelift-server"), "--listen", address,
             "--image", f"{_IMAGE_NAME}={images}", *security],
            "--ready-fd", scene.folder / "pagelift-server.log")

    def close(self) -> None:
        stop(self.process)


class PageliftLazyPagesWay(LazyPagesWay):
    """`pagelift lazy-pages` where `criu lazy-pages` would be."""

    name = "lazy-pages"
    places = PLACES

    def __init__(self, scene: Scene, checkpoint: Checkpoint, place: str):
        super().__init__(scene, checkpoint, place)
        self._server = (PageliftServer(scene, checkpoint.images)
                        if place == REMOTE else None)

    def _program(self) -> Path:
        return tools.pagelift("pagelift")

    def _source_options(self, work: Path) -> tuple[list[str], list[Process]]:
        if self._server is not None:
            return ["--source", self._server.url], []
        return super()._source_options(work)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class PageliftRestoreWay(RestoreWay):
    """`pagelift restore`, all restores by one pageliftd."""

    name = "restore"
    places = (EMBEDDED, REMOTE)

    def __init__(self, scene: Scene, checkpoint: Checkpoint, place: str):
        super().__init__(scene, checkpoint, place)
        self._server = (PageliftServer(scene, checkpoint.images, tls=True)
                        if place == REMOTE else None)
        # The daemon makes it, for its own user only.
        self._control = self._daemon_folder() / "control" / "socket"
        self._start_daemon()

    def _start_daemon(self) -> None:
        self._daemon = start_when_ready(
            self._scene.destination, "pageliftd",
            [*self._privileges(), *tools.sandboxed("pageliftd"), "--control",
             self._control, *self._daemon_options()],
            "--ready-fd", self._scene.folder / "pageliftd.log")

    def _stop_daemon(self) -> None:
        stop(self._daemon)

    def _daemon_folder(self) -> Path:
        """Where the daemon may make its own."""
        return self._scene.folder

    def _privileges(self) -> list[str | Path]:
        """What starts the daemon with other privileges than ours."""
        return []

    def _daemon_options(self) -> list[str]:
        return []

    def restore(self, guest: Host, work: Path) -> Restore:
        source = (self._server.url if self._server is not None
                  else f"criu:{self._images}")
        output = work / "pagelift-restore.json"
        command = ["/bin/sh", "-c", f'exec "$@" >{output}', "sh",
                   tools.pagelift("pagelift"), "restore",
                   "--images", self._images, "--source", source,
                   "--work-dir", work, "--criu", tools.criu(),
                   "--control", self._control, "--wait", "--json",
                   "--", "-v4", "--log-file", "restore.log"]
        restoring = guest.start("pagelift restore", command,
                                work / "pagelift-restore.log")
        return Restore(restoring, output=output)

    def status(self) -> dict[str, object]:
        """What `pagelift status` says of all sessions."""
        return json.loads(self._scene.destination.run(
            [tools.pagelift("pagelift"), "status", "--json", "--control",
             self._control]))

    def pages_missing(self) -> int:
        sessions = self.status()["sessions"]
        return sum(session["pages_missing"] for session in sessions)

    def close(self) -> None:
        self._stop_daemon()
        raise_if_crashed(self._scene.folder / "pageliftd.log")
        if self._server is not None:
            self._server.close()


class UnprivilegedRestoreWay(PageliftRestoreWay):
    """The same, by a pageliftd that is nobody and can become nobody else. Only
    CRIU has privileges."""

    name = "unprivileged"
    places = (REMOTE,)

    def _daemon_folder(self) -> Path:
        self._scene.folder.chmod(0o711)
        folder = self._scene.make_folder("daemon")
        os.chown(folder, _NOBODY, _NOBODY)
        return folder

    def _privileges(self) -> list[str | Path]:
        return [tools.system("setpriv"), f"--reuid={_NOBODY}",
                f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs",
                "--inh-caps=-all", "--bounding-set=-all"]

    def restore(self, guest: Host, work: Path) -> Restore:
        # The socket is made in there by the daemon.
        os.chown(work, _NOBODY, _NOBODY)
        work.parent.chmod(0o711)
        return super().restore(guest, work)


class CompressedRestoreWay(PageliftRestoreWay):
    """The same, with pages that are compressed on the way."""

    name = "compressed"
    places = (REMOTE,)

    def _daemon_options(self) -> list[str]:
        return ["--compression", "always"]


class ThinRestoreWay(PageliftRestoreWay):
    """The same, where nothing is at the destination but what `pagelift thin`
    takes there."""

    name = "thin"
    places = (REMOTE,)

    def __init__(self, scene: Scene, checkpoint: Checkpoint, place: str):
        super().__init__(scene, checkpoint, place)
        self._images = scene.folder / "thin-images"
        scene.source.run([tools.pagelift("pagelift"), "thin", checkpoint.images,
                          self._images])


WAYS: dict[str, type[RestoreWay]] = {
    way.name: way
    for way in (CriuWay, PageliftLazyPagesWay, PageliftRestoreWay,
                UnprivilegedRestoreWay, CompressedRestoreWay, ThinRestoreWay)
}


def start_when_ready(host: Host, name: str, argv: Sequence[str | Path],
                     ready_option: str, log: Path) -> Process:
    """Starts a server that writes a byte to the descriptor it is given with
    `ready_option` once it serves; returns then."""
    ready_read, ready_write = os.pipe()
    try:
        process = host.start(name, [*argv, ready_option, str(ready_write)], log,
                             pass_fds=[ready_write])
        os.close(ready_write)
        wait_for_byte(f"{name} serving", ready_read,
                      meanwhile=process.raise_if_ended)
        return process
    finally:
        os.close(ready_read)


def stop(process: Process) -> None:
    """Asks a server to stop; raises if it had died or does not end well."""
    process.raise_if_ended()
    process.send_signal(signal.SIGTERM)
    code = process.wait(PATIENCE_SECONDS)
    if code != 0:
        raise Failed(f"{process.name} exited with {code} after SIGTERM; its "
                     f"output is in {process.log}")
