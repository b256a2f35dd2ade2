"""A redis that forks to save, purges, and writes and deletes a lot while its
memory arrives."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from harness import tools
from harness.namespaces import Host, Process
from harness.redis_workload import RedisWorkload, connection, exchange
from harness.waiting import nothing, wait_until

from .redis_churn import Churn, Victims, ask

_SECOND_PORT = 6380


class BusyRedis(RedisWorkload):
    """What it saved while it was restored is checked, and loaded by another
    redis whose every value is compared."""

    # So that each save can have a file of its own.
    options = ("--enable-protected-configs", "yes")

    def __init__(self) -> None:
        super().__init__()
        self._victims = Victims()

    def start(self, host: Host, state: Path) -> None:
        super().start(host, state)
        with connection(host, nothing) as redis:
            for batch in self._victims.load:
                exchange(redis, batch)

    @contextlib.contextmanager
    def load(self, guest: Host, state: Path) -> Iterator[None]:
        churn = Churn(guest, self._victims)
        try:
            with super().load(guest, state):
                yield
        finally:
            churn.stop()
        churn.raise_if_wrong()
        for saved in churn.saved:
            guest.run([tools.system("redis-check-rdb"), state / saved])
        self._load_elsewhere(guest, state, churn.saved[0])

    def _load_elsewhere(self, guest: Host, state: Path, saved: str) -> None:
        second = guest.start(
            "second redis-server",
            [tools.system("redis-server"), "--port", str(_SECOND_PORT),
             "--bind", "127.0.0.1", "--save", "", "--dir", state,
             "--dbfilename", saved], state / "second-log")
        self._compare_all(guest, second)
        second.send_signal(signal.SIGTERM)
        second.wait(60)

    def _compare_all(self, guest: Host, second: Process) -> None:
        with connection(guest, second.raise_if_ended, _SECOND_PORT) as redis:
            # Connections are taken before all is loaded.
            wait_until("saved data being loaded",
                       lambda: b"\r\nloading:0" in ask(redis, b"INFO",
                                                       b"persistence"),
                       meanwhile=second.raise_if_ended)
            for batch in self.data.read:
                exchange(redis, batch)
