"""Kills pageliftd's worker again and again, at moments that nobody chose."""

import os
import random
import re
import signal
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

_GOES_ON = re.compile(r"ts=(\S+)Z .*session in .* goes on with [1-9]")


class WorkerKiller(threading.Thread):
    """Runs until close(). The times between two kills are exponentially
    distributed, so that none is more likely than another."""

    def __init__(self, holder_pid: int, mean_seconds: float, seed: int,
                 log: Path) -> None:
        super().__init__(daemon=True)
        self._children = Path(f"/proc/{holder_pid}/task/{holder_pid}/children")
        self._mean = mean_seconds
        self._random = random.Random(seed)
        self._log = log
        self._ended = threading.Event()
        self._killed_at: list[float] = []
        self.start()

    def run(self) -> None:
        while not self._ended.wait(self._random.expovariate(1 / self._mean)):
            try:
                workers = self._children.read_text().split()
                if not workers:
                    continue  # Between two of them.
                os.kill(int(workers[0]), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue
            self._killed_at.append(time.time())

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
