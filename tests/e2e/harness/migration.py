"""Two hosts that take migrations, and a program that is moved between them."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import tools
from .lan import Lan
from .namespaces import FIRST_TARGET_PID, Failed, Host, Process
from .scene import Scene
from .waiting import PATIENCE_SECONDS, nothing, wait_until
from .workers import HOLDER, WORKER

_PORT = 7078
# As the kernel calls them.
GUARD = "pagelift-guard"
RECEIVER = "pagelift-recv"
SERVER = "pagelift-server"
CRIU = "criu"


@dataclass
class Station:
    """A host with a pageliftd that takes migrations."""

    host: Host
    folder: Path
    daemon: Process | None = None
    runs: int = 0
    # What both pageliftd and `pagelift migrate` are told of security.
    daemon_security: tuple[str | Path, ...] = ("--migration-insecure",)
    command_security: tuple[str | Path, ...] = ("--insecure",)
    hook: Path | None = None  # Of its pageliftd.
    # Whether that keeps looking whether all that it knows fits together: faults
    # wait meanwhile, which no time should be taken of.
    checked: bool = True

    @property
    def address(self) -> str:
        return f"{self.host.address}:{_PORT}"

    @property
    def control(self) -> Path:
        return self.folder / "control" / "socket"

    @property
    def incoming(self) -> Path:
        return self.folder / "incoming"

    @property
    def migrations(self) -> Path:
        return self.folder / "migrations"

    def start_daemon(self) -> None:
        """Returns when it takes migrations and opens sessions."""
        ready_read, ready_write = os.pipe()
        hook = ["--migration-hook", self.hook] if self.hook else []
        try:
            self.daemon = self.host.start(
                "pageliftd",
                [*tools.sandboxed("pageliftd"), "--control", self.control,
                 "--accept-migrations", self.address, *self.daemon_security,
                 *hook, "--migration-state", self.incoming, "--migration-criu",
                 tools.criu(), "--log-file", self.folder / "pageliftd.log",
                 "--ready-fd", str(ready_write),
                 *(["--check-invariants"] if self.checked else [])],
                self.folder / "pageliftd-output.log", pass_fds=[ready_write])
            os.close(ready_write)
            if os.read(ready_read, 1) != b"\n":
                raise Failed("pageliftd did not start; its output is in "
                             f"{self.folder / 'pageliftd-output.log'}")
        finally:
            os.close(ready_read)

    def processes(self, comm: str) -> list[int]:
        """Pids, out here, of the processes of that name in this host."""
        return self.host.pids_out_here(comm)

    def kill(self, comm: str) -> bool:
        """SIGKILL to all of that name; whether there were any."""
        pids = self.processes(comm)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)


@dataclass
class Migration:
    """A `pagelift migrate` under way."""

    command: Process
    output: Path
    source: Station
    destination: Station

    def lines(self) -> list[dict]:
        """What it has told so far."""
        if not self.output.exists():
            return []
        # The last line may be on its way.
        whole, _, _ = self.output.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()
                if line.startswith("{")]

    @property
    def id(self) -> str:
        """Once it is planned."""
        known = [path.name for path in self.source.migrations.glob("*")
                 if (path / "plan").exists()]
        if not known:
            return ""
        return max(known, key=lambda name: (
            self.source.migrations / name / "plan").stat().st_mtime_ns)

    def wait(self, code: int = 0) -> dict:
        """Waits for its end; gives the last that it has told."""
        wait_until("pagelift migrate ending",
                   lambda: self.command.exit_code() is not None,
                   PATIENCE_SECONDS)
        told = self.lines()
        if self.command.exit_code() != code:
            raise Failed(f"pagelift migrate exited with "
                         f"{self.command.exit_code()}, not {code}: "
                         f"{self.command.log.read_text()[-2000:]}")
        return told[-1] if told else {}

    def wait_for_state(self, *states: str) -> dict:
        """Waits until it tells of one of them."""

        def found() -> dict | None:
            return next((line for line in self.lines()
                         if line["state"] in states), None)

        def ended() -> None:
            if self.command.exit_code() is not None and not found():
                raise Failed(f"ended without being {' or '.join(states)}: "
                             f"{self.command.log.read_text()[-2000:]}")

        return wait_until(f"a migration {' or '.join(states)}", found,
                          PATIENCE_SECONDS, ended)


@dataclass
class Stage:
    """Two stations. Which one is the source changes with each migration."""

    scene: Scene
    left: Station
    right: Station
    lan: Lan | None = None
    migrations: list[Migration] = field(default_factory=list)

    def migrate(self, source: Station, destination: Station,
                *options: str | Path,
                pid: int = FIRST_TARGET_PID) -> Migration:
        source.runs += 1
        output = source.folder / f"migrate-{source.runs}.log"
        command = source.host.start(
            "pagelift migrate",
            [tools.pagelift("pagelift"), "migrate", "--pid", str(pid), "--to",
             destination.address, *source.command_security, "--json",
             "--state",
             source.migrations, "--criu", tools.criu(), *options], output)
        migration = Migration(command, output, source, destination)
        self.migrations.append(migration)
        return migration


@contextlib.contextmanager
def stage(name: str, keep: bool = False,
          prepare: Callable[[Station, Station], None] | None = None,
          with_lan: bool = False, checked: bool = True) -> Iterator[Stage]:
    """Both stations at work, with a client or without; `prepare` is called
    before they are."""
    with Scene(name, keep) as scene, contextlib.ExitStack() as stack:
        left, right = (
            Station(host, scene.make_folder(name), checked=checked)
            for host, name in ((scene.source, "left"),
                               (scene.destination, "right")))
        lan = None
        if with_lan:
            lan = Lan(scene)
            stack.callback(lan.close)
        try:
            if prepare is not None:
                prepare(left, right)
            for station in (left, right):
                station.hook = station.hook or (lan and lan.hook)
                station.folder.chmod(0o700)
                station.start_daemon()
            yield Stage(scene, left, right, lan)
        except BaseException:
            print(scene.telling_log_lines())
            print(f"everything is in {scene.folder}", flush=True)
            raise


def running(station: Station, comm: str) -> int:
    """How many live processes of that name there are that are not stopped: T
    by a signal, t by who traces it, or held where CRIU has restored them."""
    count = 0
    for pid in station.processes(comm):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            state = stat.rpartition(")")[2].split()[0]
            status = Path(f"/proc/{pid}/status").read_text()
            blocked = next(line.split()[1] for line in status.splitlines()
                           if line.startswith("SigBlk"))
            # CRIU's restorer blocks all but SIGKILL and SIGSTOP.
            in_restorer = int(blocked, 16) >> 8 == 0xfffffffffffbfe
            if state not in "Tt" and not in_restorer:
                count += 1
    return count
