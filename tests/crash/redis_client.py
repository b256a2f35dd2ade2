"""A client of redis that notices whatever its server goes through."""

import threading
import time

from harness.namespaces import Failed, Host
from harness.redis_commands import Batch, encode
from harness.redis_workload import connection, exchange
from harness.waiting import nothing


class Client:
    """Asks redis one thing after the other, and takes the times."""

    def __init__(self, guest: Host) -> None:
        self._guest = guest
        self._stopping = threading.Event()
        self._seconds: list[float] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Raises if a command failed."""
        self._stopping.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        if not self._seconds:
            raise Failed("redis served no command")

    def told(self) -> str:
        """What it has noticed."""
        taken = sorted(1000 * seconds for seconds in self._seconds)
        return (f"{len(taken)} commands, 0 failed, longest pause "
                f"{taken[-1]:.0f} ms, p99.9 "
                f"{taken[len(taken) * 999 // 1000]:.1f} ms")

    def _run(self) -> None:
        try:
            with connection(self._guest, nothing) as redis:
                number = 0
                while not self._stopping.is_set():
                    number += 1
                    key = b"client:%d" % (number % 1000)
                    value = b"%d" % number
                    for command, reply in (
                            ([b"SET", key, value], b"+OK\r\n"),
                            ([b"GET", key],
                             b"$%d\r\n%b\r\n" % (len(value), value))):
                        batch = Batch(encode(command), reply,
                                      [b" ".join(command[:2])], [len(reply)])
                        start = time.monotonic()
                        exchange(redis, batch)
                        self._seconds.append(time.monotonic() - start)
        except Exception as error:  # For the thread that asks.
            self._error = error
