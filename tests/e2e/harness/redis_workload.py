"""A redis that is read and written while its memory arrives."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import tools
from .namespaces import Host
from .redis_commands import Batch, DataSet, encode
from .waiting import PATIENCE_SECONDS, nothing, wait_until
from .workloads import Workload, WrongMemory

PORT = 6379
_LOAD_KEYS = 500
_COUNTER = b"load:counter"


class RedisWorkload(Workload):
    """Compares every value of a DataSet; the load has keys of its own."""

    comm = "redis-server"
    options: tuple[str, ...] = ()

    def __init__(self, data: DataSet | None = None,
                 address: str = "127.0.0.1") -> None:
        self.data = data or DataSet()
        self._address = address

    def start(self, host: Host, state: Path) -> None:
        self.start_and_load(host, state)
        assert self.data.read  # Made now, and not while memory arrives.

    def start_and_load(self, host: Host, state: Path) -> None:
        """Without what verify() wants to have in its own memory."""
        host.start_target(
            [tools.system("redis-server"), "--port", str(PORT), "--bind",
             self._address, "--save", "", "--appendonly", "no", "--daemonize",
             "no", "--protected-mode", "no", "--dir", state, "--logfile",
             state / "log",
             *self.options], state / "log")
        with self._connection(host, nothing) as redis:
            for batch in self.data.loading():
                exchange(redis, batch)

    def verify(self, guest: Host, state: Path,
               meanwhile: Callable[[], None] = nothing) -> str:
        del state
        with self._connection(guest, meanwhile) as redis:
            for batch in self.data.read:
                exchange(redis, batch)
        return f"OK keys={self.data.keys}"

    def _connection(self, host: Host, meanwhile: Callable[[], None]
                    ) -> contextlib.AbstractContextManager[socket.socket]:
        return connection(host, meanwhile, address=self._address)

    @contextlib.contextmanager
    def load(self, guest: Host, state: Path) -> Iterator[None]:
        del state
        load = _Load(guest)
        try:
            yield
        finally:
            load.stop()
        load.raise_if_wrong()


class _Load:
    """A client that writes, reads back and counts, on keys of its own."""

    def __init__(self, guest: Host) -> None:
        self._guest = guest
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._rounds = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def raise_if_wrong(self) -> None:
        if self._error is not None:
            raise self._error
        if self._rounds == 0:
            raise WrongMemory("redis served no request of the load")

    def _run(self) -> None:
        try:
            with connection(self._guest, self._give_up_if_stopping) as redis:
                for number in itertools.count(1):
                    if self._stopping.is_set():
                        return
                    self._round(redis, number)
                    self._rounds = number
        except Exception as error:  # For the thread that asks.
            self._error = error

    def _give_up_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise WrongMemory("redis did not come alive under load")

    def _round(self, redis: socket.socket, number: int) -> None:
        key = b"load:%d" % (number % _LOAD_KEYS)
        value = b"%d-" % number * 100
        for command, reply in (
            ([b"SET", key, value], b"+OK\r\n"),
            ([b"GET", key], b"$%d\r\n%b\r\n" % (len(value), value)),
            ([b"INCR", _COUNTER], b":%d\r\n" % number),
        ):
            name = b" ".join(command[:2])
            exchange(redis, Batch(encode(command), reply, [name],
                                  [len(reply)]))


@contextlib.contextmanager
def connection(host: Host, meanwhile: Callable[[], None], port: int = PORT,
               address: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection from `host` to redis, once it listens."""

    def connect() -> socket.socket | None:
        with host.network(), contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection((address, port))
        return None

    redis = wait_until("redis listening", connect, PATIENCE_SECONDS, meanwhile)
    with redis:
        redis.settimeout(PATIENCE_SECONDS)
        redis.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield redis


def exchange(redis: socket.socket, batch: Batch) -> None:
    """Sends a batch and compares what comes back, byte for byte."""
    redis.sendall(batch.request)
    got = bytearray()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(got) < len(batch.reply) and time.monotonic() < deadline:
        part = redis.recv(len(batch.reply) - len(got))
        if not part:
            raise WrongMemory(f"redis ended during {batch.name_at(len(got))}")
        got += part
        if not batch.reply.startswith(got):
            break
    if got != batch.reply:
        at = next((i for i, (a, b) in enumerate(zip(got, batch.reply))
                   if a != b), len(got))
        raise WrongMemory(
            f"redis answered {batch.name_at(at)} with "
            f"{bytes(got[at:at + 40])!r}, not {batch.reply[at:at + 40]!r}")
