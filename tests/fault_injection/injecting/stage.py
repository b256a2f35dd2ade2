"""A pageliftd under systemd, a page server, the link between them, and how each
of them is hurt and healed."""

import json
import signal
import time

from harness import tools
from harness.namespaces import Failed, Process
from harness.scene import Scene
from harness.systemd import CONTROL, UserManager
from harness.waiting import wait_until
from harness.ways import REMOTE, stop
from harness.workers import HOLDER, WORKER, signal_all
from torturing.in_place import Pager

from .faulty_link import BACK, THERE, FaultyLink
from .schedule import LINKS, Injection

_LINK_PORT = 27002
_SERVER_PORT = 27001
_REPLICA_PORT = 27003
# So that 32 MiB are still arriving when something happens.
_BYTES_PER_SECOND = 30e6
# Of both watchdogs.
_PATIENCE_SECONDS = 2
# A moment that does not come is not waited for: there is another one.
_SECONDS_FOR_A_MOMENT = 10


class ChaosPager(Pager):
    """Of `torturing`, with systemd and the link."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.link = FaultyLink(scene.source, _LINK_PORT, _SERVER_PORT,
                               _BYTES_PER_SECOND, seed)
        self._replica: Process | None = None
        super().__init__(scene, REMOTE, "auto" if seed % 2 else "always",
                         tls=seed % 4 < 2)
        # Every third time there is another server, which nobody hurts.
        if seed % 3 == 0:
            self._replica = self._started_server(self._address_of_replica())
        self.met: list[tuple[str, str]] = []

    def _start_daemon(self) -> None:
        self.control = CONTROL
        self._systemd = UserManager(self._scene.destination,
                                    self._scene.make_folder("home"))
        log = self._scene.folder / "pageliftd.log"
        log.touch()
        self._systemd.run_pageliftd(log, _PATIENCE_SECONDS, *self._options)

    def _stop(self) -> None:
        self._systemd.stop_pageliftd()
        self.link.close()
        if self._replica is not None:
            stop(self._replica)

    def _address_of_server(self) -> str:
        if self._replica is None:
            return self.link.address
        return f"{self.link.address},{self._address_of_replica()}"

    def _address_of_replica(self) -> str:
        return f"{self._scene.source.address}:{_REPLICA_PORT}"

    def inject(self, injection: Injection) -> None:
        """Waits for its moment, does it, and heals it."""
        moment = self._await(injection.moment)
        self.met.append((injection.fault, moment))
        if injection.fault in LINKS:
            self._hurt_link(injection.fault, injection.seconds)
            return
        kind, what = injection.fault.split()
        if what == "server":
            self._hurt_server(kind, injection.seconds)
        else:
            self._hurt_daemon(kind, what, injection)

    def _hurt_link(self, what: str, seconds: float) -> None:
        link = self.link
        {"reset": link.reset,
         "finish": link.finish,
         "blackhole": lambda: link.hold((THERE, BACK)),
         "one-way": lambda: link.hold((BACK,)),
         "dribble": link.dribble,
         "bit flips": lambda: link.flip(3),
         "truncate": link.cut,
         "delay": lambda: link.delay(min(seconds, 0.2))}[what]()
        if what not in ("reset", "finish"):
            time.sleep(seconds)
        link.heal()

    def _hurt_server(self, kind: str, seconds: float) -> None:
        server = self._server
        if kind == "kill":
            server.send_signal(signal.SIGKILL)
            server.wait(10)
            time.sleep(seconds)
            self._server = self._started_server(self._listens)
            return
        server.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        server.send_signal(signal.SIGCONT)
        server.resume()

    def _hurt_daemon(self, kind: str, what: str, injection: Injection) -> None:
        names = {"worker": [WORKER], "holder": [HOLDER],
                 "both": [HOLDER, WORKER]}[what]
        host = self._scene.destination
        pids = sorted(pid for name in names for pid in host.pids_called(name))
        if not pids:
            return
        self._signal("KILL" if kind == "kill" else "STOP", pids)
        if kind == "kill":
            return
        if injection.unattended:
            wait_until("the end of what was stopped",
                       lambda: not set(pids) & {
                           pid for name in names
                           for pid in host.pids_called(name)})
            return
        time.sleep(injection.seconds)
        self._signal("CONT", pids)

    def _signal(self, name: str, pids: list[int]) -> None:
        signal_all(self._scene.destination, name, pids)

    def _await(self, moment: str) -> str:
        """The moment that came: that one, if it did."""
        deadline = time.monotonic() + _SECONDS_FOR_A_MOMENT
        before: dict[str, int] | None = None
        while time.monotonic() < deadline:
            session = self._session()
            if session is not None and _is_now(moment, session, before):
                return moment
            before = session
        return "whenever"

    def _session(self) -> dict[str, int] | None:
        """The one whose targets run and lack memory."""
        try:
            sessions = json.loads(self._scene.destination.run(
                [tools.pagelift("pagelift"), "status", "--json", "--control",
                 self.control]))["sessions"]
        except Failed:
            return None
        return next((session for session in sessions
                     if session["state"] == "draining"), None)


def _is_now(moment: str, session: dict[str, int],
            before: dict[str, int] | None) -> bool:
    total, missing = session["pages_total"], session["pages_missing"]
    if before is not None and before["session"] != session["session"]:
        before = None
    if moment == "before the first fault":
        return before is None and 10 * missing > 9 * total
    if moment == "at the last page":
        return 0 < missing < total // 20
    if moment == "mid-bulk":
        return 0.2 * total < missing < 0.8 * total
    if before is None or not missing:
        return False
    grows = "forks" if moment == "during a fork" else "demand_fetches"
    return session[grows] > before[grows]
