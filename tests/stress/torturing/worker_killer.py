"""Kills pageliftd's worker, and its holder, again and again, at moments that
nobody chose."""

import contextlib
import os
import random
import re
import signal
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from harness.namespaces import Host
from harness.workers import HOLDER, WORKER

_GOES_ON = re.compile(r"ts=(\S+)Z .*session in .* goes on with [1-9]")


# Of the kills, if holders are killed at all.
_HOLDERS_SHARE = 0.3


class WorkerKiller(threading.Thread):
    """Runs until close(). The times between two kills are exponentially
    distributed, so that none is more likely than another."""

    def __init__(self, host: Host, mean_seconds: float, seed: int,
                 log: Path, holders: bool) -> None:
        super().__init__(daemon=True)
        self._host = host
        self._holders = holders
        self._mean = mean_seconds
        self._random = random.Random(seed)
        self._log = log
        self._ended = threading.Event()
        self._killed_at: list[float] = []
        self.start()

    def run(self) -> None:
        while not self._ended.wait(self._random.expovariate(1 / self._mean)):
            holder = self._holders and self._random.random() < _HOLDERS_SHARE
            pids = self._host.pids_out_here(HOLDER if holder else WORKER)
            # Both at once is what a service manager is for: the other has to
            # be there, and has to have seen who its holder is.
            if len(pids) != 1 or (holder and not self._settled()):
                continue
            try:
                os.kill(pids[0], signal.SIGKILL)
            except ProcessLookupError:
                continue
            self._killed_at.append(time.time())

    def _settled(self) -> bool:
        """The worker watches its holder."""
        for pid in self._host.pids_out_here(WORKER):
            for comm in Path(f"/proc/{pid}/task").glob("*/comm"):
                with contextlib.suppress(OSError):
                    if comm.read_text().strip() == "pl-holder":
                        return True
        return False

    def close(self) -> list[float]:
        """How long targets had nobody who serves them, in milliseconds, after
        each kill that befell a session with targets."""
        self._ended.set()
        self.join()
        goes_on = [
            datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
            .timestamp()
            for found in map(_GOES_ON.search, self._log.read_text().splitlines())
            if found]
        stalls = []
        for began, limit in zip(self._killed_at,
                                self._killed_at[1:] + [float("inf")]):
            ended = [at for at in goes_on if began < at < limit]
            if ended:
                stalls.append(1000 * (ended[-1] - began))
        return stalls

    @property
    def kills(self) -> int:
        return len(self._killed_at)
