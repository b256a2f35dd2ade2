"""What a process uses, as /proc tells."""

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path


class Peaks(contextlib.AbstractContextManager["Peaks"]):
    """The most that a process has while this lasts, but for its mapped files
    and what it shares: those count from its beginning. In MiB."""

    _SAMPLE_SECONDS = 0.02

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self.resident = self.private = 0.0
        self.threads = 0
        self._look()
        self._sampler.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._sampler.join()
        self._look()

    def _sample(self) -> None:
        while not self._over.wait(self._SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError):  # Who asks next sees that it ended.
            lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines)
            self.resident = _mebibytes(fields["VmHWM"])
            # The journals are shared memory.
            self.private = max(self.private, _mebibytes(fields["RssAnon"])
                               + _mebibytes(fields["RssShmem"]))
            self.threads = max(self.threads, int(fields["Threads"]))


def _mebibytes(text: str) -> float:
    return int(text.split()[0]) / 1024  # "1234 kB"


@dataclass(frozen=True)
class Processor:
    """Since the process began, of all its threads."""

    ticks: int  # User and system.
    milliseconds: float  # Of the threads that there are, by the scheduler.
    wakeups: int  # Likewise: how often one that slept went on.

    def since(self, before: "Processor") -> "Processor":
        return Processor(self.ticks - before.ticks,
                         self.milliseconds - before.milliseconds,
                         self.wakeups - before.wakeups)


def processor_of(pid: int) -> Processor:
    # The name, in parentheses, may have spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    nanoseconds = wakeups = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                wakeups += int(line.split()[1])
    return Processor(int(fields[11]) + int(fields[12]), nanoseconds / 1e6,
                     wakeups)


def threads_in_faults(pid: int) -> tuple[int, int]:
    """Of all userfaultfds that the process `pid` holds: how many threads wait
    for a page, and how many of their faults nobody has read yet."""
    waiting = unread = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if "userfaultfd" not in os.readlink(fd):
                continue
            text = Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
        except FileNotFoundError:
            continue  # It was open when we looked.
        fields = dict(line.split(":", 1) for line in text.splitlines())
        waiting += int(fields["total"])
        unread += int(fields["pending"])
    return waiting, unread
