"""pageliftd as a service of a real systemd."""

import shutil
from pathlib import Path

from . import tools
from .namespaces import Failed, Host
from .waiting import wait_until

_UNITS = Path(__file__).resolve().parents[3] / "deploy" / "systemd"
_SYSTEMD = "/lib/systemd/systemd"
_RUNTIME = Path("/run/user/0")  # On the host's own tmpfs.
# They take what the system's own manager has made in /run.
_NOT_HERE = "[Service]\nProtectKernelLogs=no\nProtectKernelTunables=no\n"
SERVICE = "pageliftd.service"
SOCKET = "pageliftd.socket"
# Where the units have it listen.
CONTROL = _RUNTIME / "pagelift" / "pageliftd.sock"


class UserManager:
    """`systemd --user` on a host, with the units of deploy/systemd."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._environment = ["env", f"XDG_RUNTIME_DIR={_RUNTIME}",
                             f"HOME={folder}", "SYSTEMD_PAGER="]
        units = folder / ".config" / "systemd" / "user"
        # With what only the system's manager is to have: we are root.
        shutil.copytree(_UNITS, units)
        for unit in units.glob("*.service"):
            text = unit.read_text()
            for program in ("pageliftd", "pagelift"):
                text = text.replace(f"/usr/bin/{program}\n",
                                    f"{tools.pagelift(program)}\n")
            unit.write_text(text)
        self._dropin = units / f"{SERVICE}.d"
        (self._dropin / "test-host.conf").write_text(_NOT_HERE)
        # It does not start where systemd does not run the machine.
        host.run(["mkdir", "-p", "/run/systemd/system", _RUNTIME])
        self._process = host.start(
            "systemd --user",
            [*self._environment, _SYSTEMD, "--user", "--log-target=console",
             "--unit=basic.target"], folder / "systemd.log")
        wait_until("systemd --user", lambda: self._is_up(),
                   meanwhile=self._process.raise_if_ended)

    def override(self, text: str) -> None:
        (self._dropin / "test.conf").write_text(text)
        self.ctl("daemon-reload")

    def ctl(self, *arguments: str) -> str:
        return self._host.run([*self._environment, "systemctl", "--user",
                               *arguments])

    def show(self, what: str, unit: str = SERVICE) -> str:
        return self.ctl("show", unit, "-P", what).strip()

    def _is_up(self) -> bool:
        try:
            self.ctl("is-active", "basic.target")
        except Failed:
            return False
        return True

    def run_pageliftd(self, log: Path, patience_seconds: float,
                      *options: str | Path) -> str:
        """Has the unit start ours, logging to `log`, with watchdogs that wait
        so long; returns what was overridden. Its socket listens then."""
        settings = (
            f"[Service]\nStandardError=append:{log}\n"
            f"ExecReload=\nExecReload={tools.pagelift('pagelift')} upgrade "
            f"--control {CONTROL}\n"
            "ExecStart=\nExecStart="
            f"{' '.join(map(str, tools.sandboxed('pageliftd')))} "
            f"--watchdog {patience_seconds}s {' '.join(map(str, options))}\n"
            f"WatchdogSec={patience_seconds}\nTimeoutAbortSec=1\n")
        self.override(settings)
        self.ctl("start", SOCKET)
        return settings

    def stop_pageliftd(self) -> None:
        self.ctl("stop", SOCKET, SERVICE)
        result = self.show("Result")
        if result != "success":
            raise Failed(f"{SERVICE} has ended with {result}")
