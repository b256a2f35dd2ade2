"""pageliftd's processes: the holder, which is the one that was started, and the
worker, which does all the work."""

from pathlib import Path

from .namespaces import Failed

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
