"""pageliftd's processes: the holder, which is the one that was started, and the
worker, which does all the work."""

from collections.abc import Iterable
from pathlib import Path

from .namespaces import Failed, Host

# As the kernel calls them.
HOLDER = "pageliftd"
WORKER = "pageliftd-work"


def worker_of(pid: int) -> int:
    """The worker of the holder `pid`; of another program, itself."""
    for child in _children(pid):
        try:
            if Path(f"/proc/{child}/comm").read_text().strip() == WORKER:
                return child
        except FileNotFoundError:
            pass  # It has just died.
    return pid


def raise_if_crashed(log: Path) -> None:
    """A worker that dies is replaced, and nobody would notice. `log` is
    pageliftd's; those that were killed from outside do not count."""
    for line in log.read_text(errors="replace").splitlines():
        if "level=fatal" in line or (
                "the process before this one ended" in line
                and "by signal 9," not in line):
            raise Failed(f"a worker of pageliftd has crashed: {line}")


def _children(pid: int) -> list[int]:
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in told.split()]


def signal_all(host: Host, name: str, pids: Iterable[int]) -> None:
    """As one after the other comes to its turn: where a holder has died,
    systemd may have ended its worker before."""
    try:
        host.run(["kill", f"-{name}", *map(str, pids)])
    except Failed:
        if all(Path(f"/proc/{pid}").exists() for pid in pids):
            raise
