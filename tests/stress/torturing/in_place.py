"""A target that loses its memory again and again while it works, and gets it
back from a pager: no CRIU, so that thousands of times are cheap."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

from harness import tools
from harness.certificates import Authority
from harness.namespaces import FIRST_TARGET_PID, Failed, Host, Process
from harness.scene import Scene
from harness.waiting import PATIENCE_SECONDS, wait_until
from harness.ways import EMBEDDED, start_when_ready, stop
from harness.workers import HOLDER, raise_if_crashed
from harness.workloads import CommandedTarget

from .figures import Figures
from .taking import take_memory_away
from .worker_killer import WorkerKiller

_SHIM = Path(__file__).with_name("criu_that_hands_over")
_PORT = 27001
_AWAY = "cannot be reached"
_SECONDS_BETWEEN_TRIES = 0.1


class Pager:
    """A pageliftd and, on the other host, the page server it fetches from."""

    def __init__(self, scene: Scene, place: str, compression: str,
                 tls: bool = False) -> None:
        self._scene = scene
        self._tls = tls
        if tls:
            authority = Authority(scene.folder)
            self._server_tls = authority.issue(
                "server", f"IP:{scene.source.address}")
            self._client_tls = authority.issue("pager")
        self.images = scene.make_folder("images")
        self._server: Process | None = None
        if place != EMBEDDED:
            self._listens = f"{scene.source.address}:{_PORT}"
            self._server = self._started_server(self._listens)
        self._options = ["--check-invariants", "--compression", compression]
        self._start_daemon()

    def _started_server(self, listens: str) -> Process:
        return start_when_ready(
            self._scene.source, "pagelift-server",
            [*tools.sandboxed("pagelift-server"), "--listen", listens,
             "--root", self.images,
             *(["--tls", self._server_tls] if self._tls else ["--insecure"])],
            "--ready-fd", self._scene.folder / "pagelift-server.log")

    def _start_daemon(self) -> None:
        self.control = self._scene.folder / "control" / "socket"
        self._daemon = start_when_ready(
            self._scene.destination, "pageliftd",
            [*tools.sandboxed("pageliftd"), "--control", self.control,
             *self._options],
            "--ready-fd", self._scene.folder / "pageliftd.log")

    def source_of(self, name: str) -> str:
        if self._server is None:
            return f"criu:{self.images / name}"
        at = f"{self._address_of_server()}/{name}"
        return (f"grpcs://{at}?tls={self._client_tls}" if self._tls
                else f"grpc://{at}?insecure")

    def _address_of_server(self) -> str:
        return self._listens

    def kill_workers(self, mean_seconds: float, seed: int,
                     holders: bool) -> WorkerKiller:
        """Until that is closed."""
        return WorkerKiller(self._scene.destination, mean_seconds, seed,
                            self._scene.folder / "pageliftd.log", holders)

    def userfaultfds(self) -> int:
        """How many the daemon holds."""
        pid = self._holder()
        count = 0
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                count += "userfaultfd" in os.readlink(fd)
            except FileNotFoundError:
                pass  # It was open when we looked.
        return count

    def close(self) -> None:
        # Who reads images itself has one of its own: lib/uffd/refuse_holes.h.
        own = 1 if self._server is None else 0
        left = self.userfaultfds() - own
        if left > 0:
            raise Failed(f"pageliftd holds {left} userfaultfds of processes "
                         "that are complete or gone")
        self._stop()
        raise_if_crashed(self._scene.folder / "pageliftd.log")
        if self._server is not None:
            stop(self._server)

    def _holder(self) -> int:
        """Not the one that was started, if that was killed."""
        pids = self._scene.destination.pids_out_here(HOLDER)
        if len(pids) != 1:
            raise Failed(f"{len(pids)} holders of pageliftd are running")
        return pids[0]

    def _stop(self) -> None:
        if self._daemon.pid() == self._holder():
            return stop(self._daemon)
        os.kill(self._holder(), signal.SIGTERM)
        wait_until("the end of pageliftd", lambda: not self._scene.destination
                   .pids_out_here(HOLDER))
        return None


class InPlaceTarget:
    """A torture target in a guest of the destination host."""

    def __init__(self, scene: Scene, pager: Pager, options: list[str],
                 server_may_be_away: bool = False) -> None:
        self._scene = scene
        self._pager = pager
        self._server_may_be_away = server_may_be_away
        self._guest = Host("guest", inside=scene.destination)
        self._state = scene.make_folder("state")
        self._target = CommandedTarget("torture_target", *options)
        self._target.start(self._guest, self._state)
        self.figures = Figures(runs=1)

    def work(self, rounds: int) -> None:
        """Lets it work while its memory goes away and comes back; raises if
        anything was wrong."""
        answer = ""
        for _ in range(rounds):
            answer = self._one_round()
        self.figures.add_answer(answer)

    def _one_round(self) -> str:
        answers: list[str] = []
        errors: list[Exception] = []

        def wait_for_answer() -> None:
            try:
                answers.append(
                    self._target.verify(self._guest, self._state, self._look))
            except Exception as error:  # Told by the thread that joins.
                errors.append(error)

        waiting = threading.Thread(target=wait_for_answer)
        waiting.start()
        try:
            while waiting.is_alive():
                self._take_memory_away()
        except Failed:
            # Mostly because the target ended, which says more.
            waiting.join(PATIENCE_SECONDS)
            if not errors:
                raise
        waiting.join()
        if errors:
            raise errors[0]
        return answers[0]

    def _look(self) -> None:
        if FIRST_TARGET_PID not in self._guest.pids_called("torture_target"):
            raise Failed("the target died")

    def _take_memory_away(self) -> None:
        name = self._scene.next_restore_name()
        images = self._pager.images / name
        work = self._scene.make_folder(f"work/{name}")
        take_memory_away(self._guest, images, work,
                         lambda: self._restore(name, images, work))
        shutil.rmtree(images)
        shutil.rmtree(work)

    def _restore(self, name: str, images: Path, work: Path) -> None:
        # A server that is away when a restore begins is the operator's business:
        # he is told, nothing has happened yet, and he tries again.
        while not self._restored(name, images, work):
            time.sleep(_SECONDS_BETWEEN_TRIES)

    def _restored(self, name: str, images: Path, work: Path) -> bool:
        output = work / "restore.json"
        restoring = self._guest.start(
            "pagelift restore",
            ["/bin/sh", "-c", f'exec "$@" >{output}', "sh",
             tools.pagelift("pagelift"), "restore", "--images", images,
             "--source", self._pager.source_of(name), "--work-dir", work,
             "--criu", _SHIM, "--control", self._pager.control, "--wait",
             "--json"], work / "pagelift.log")
        try:
            code = restoring.wait(PATIENCE_SECONDS)
        except Exception as error:
            raise Failed(f"the session of {name} does not end: "
                         f"{self._status()}") from error
        told = (work / "pagelift.log").read_text()
        if (code != 0 and self._server_may_be_away and _AWAY in told
                and not (work / "lazy-pages.socket").exists()):
            (work / "pagelift.log").unlink()
            return False
        if code != 0:
            raise Failed(f"pagelift restore exited with {code}: "
                         f"{told}")
        report = output.read_text()
        if json.loads(report)["state"] != "complete":
            raise Failed(f"the session did not complete: {report}")
        self.figures.add_session(report)
        return True

    def _status(self) -> str:
        return self._scene.destination.run(
            [tools.pagelift("pagelift"), "status", "--json", "--control",
             self._pager.control])

    def close(self) -> None:
        self._guest.close()
