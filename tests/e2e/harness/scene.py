"""Where a case plays: a folder, two hosts joined by a cable, and their end."""

import contextlib
import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from .namespaces import Host, join_with_cable

_LOG_LINES = 12
_CABLE_SHARES = 4  # A power of two.
_TELLING = re.compile(r"\bError\b|\bWarn|WRONG|FAIL|fatal|\b[EFW]\d{4}\b")


class Scene(contextlib.AbstractContextManager["Scene"]):
    """Two hosts that share a folder. Leaving it ends all that runs in them;
    the folder stays if the case failed or `keep` is set."""

    def __init__(self, name: str, keep: bool = False) -> None:
        prefix = "pagelift-e2e." + name.replace("/", "-") + "."
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self._keep = keep
        self._stack = contextlib.ExitStack()
        self._restores = itertools.count(1)
        with contextlib.ExitStack() as stack:
            self.source = self._host(stack, "source")
            self.destination = self._host(stack, "destination")
            join_with_cable(self.source, self.destination)
            self._stack = stack.pop_all()

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end()
        if kind is None and not self._keep:
            shutil.rmtree(self.folder)

    def end(self) -> None:
        """Ends all that runs in the hosts. May be called twice."""
        self._stack.close()

    def make_cable_thin(self, megabits: int) -> None:
        """What the source sends takes its time, so that memory is still
        arriving while a program does a lot. Connections get equal shares, so
        that faults need not queue behind what nobody waits for."""

        def tc(what: str, options: str) -> None:
            self.source.run(["tc", what, "add", "dev", "cable",
                             *options.split()])

        tc("qdisc", "root handle 1: htb default 10")
        tc("class", f"parent 1: classid 1:1 htb rate {megabits}mbit")
        for i in range(_CABLE_SHARES):
            tc("class", f"parent 1:1 classid 1:1{i} htb quantum 3000 rate "
               f"{max(1, megabits // _CABLE_SHARES)}mbit ceil {megabits}mbit")
            # Ports that the kernel chooses for a destination are two apart.
            tc("filter", f"parent 1: u32 match ip dport {2 * i} "
               f"{2 * (_CABLE_SHARES - 1)} flowid 1:1{i}")

    def make_folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True)
        return path

    def next_restore_name(self) -> str:
        return f"restore-{next(self._restores)}"

    def telling_log_lines(self) -> str:
        """The ends of all logs, and the lines before that speak of errors."""
        parts = []
        for log in sorted(self.folder.rglob("*log")):
            lines = log.read_text(errors="replace").splitlines()
            if not lines:
                continue
            end = max(0, len(lines) - _LOG_LINES)
            told = [line for line in lines[:end] if _TELLING.search(line)]
            parts.append(f"--- {log}\n")
            parts += [f"    {line}\n" for line in told[:_LOG_LINES]]
            parts += [f"    {line}\n" for line in lines[end:]]
        return "".join(parts)

    @staticmethod
    def _host(stack: contextlib.ExitStack, name: str) -> Host:
        host = Host(name)
        stack.callback(host.close)
        return host


def copy_folder(folder: Path, to: Path) -> None:
    """With owners, and with what is no file."""
    subprocess.run(["cp", "--archive", "--no-target-directory", folder, to],
                   check=True)
