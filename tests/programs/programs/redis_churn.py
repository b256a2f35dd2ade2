"""A client that has redis fork, free memory and give it back."""

import random
import socket
import threading

from harness.namespaces import Host
from harness.redis_commands import Batch, encode
from harness.redis_workload import connection, exchange
from harness.waiting import wait_until
from harness.workloads import WrongMemory

_VICTIMS = 30_000
_AT_ONCE = 500
_MOST_SAVES = 3
_CHURN_KEYS = 4000


class Victims:
    """Keys that are there to be read once and deleted."""

    def __init__(self) -> None:
        pool = random.Random(_VICTIMS).randbytes(1 << 16)
        self._values = [b"%d:" % i + pool[i:i + 200 + i * 11 % 1800]
                        for i in range(_VICTIMS)]
        self.load = [
            _batch([([b"SET", _victim(i), self._values[i]], b"+OK\r\n")
                    for i in part])
            for part in _parts(list(range(_VICTIMS)))]

    def deaths(self) -> list[Batch]:
        """All of them, in an order of its own each time."""
        order = list(range(_VICTIMS))
        random.shuffle(order)
        return [
            _batch([exchange for i in part for exchange in (
                ([b"GET", _victim(i)], _bulk(self._values[i])),
                ([b"DEL", _victim(i)], b":1\r\n"))])
            for part in _parts(order)]


class Churn:
    """Works until it is stopped. `saved` are files in redis's folder, each
    written by a child that was forked meanwhile."""

    def __init__(self, guest: Host, victims: Victims) -> None:
        self.saved: list[str] = []
        self._guest = guest
        self._deaths = iter(victims.deaths())
        self._random = random.Random()
        self._values: dict[bytes, bytes] = {}
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def raise_if_wrong(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with connection(self._guest, self._give_up_if_stopping) as redis:
                while not self._stopping.is_set():
                    self._round(redis)
                for batch in self._deaths:
                    exchange(redis, batch)
                _expect(redis, b"OK", b"MEMORY", b"PURGE")
                wait_until("the last save", lambda: _has_saved(redis))
                self._compare(redis, list(self._values))
        except Exception as error:  # For the thread that asks.
            self._error = error

    def _give_up_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise WrongMemory("redis did not come alive under churn")

    def _round(self, redis: socket.socket) -> None:
        if len(self.saved) < _MOST_SAVES and (not self.saved
                                              or _has_saved(redis)):
            name = f"saved-{len(self.saved)}.rdb"
            _expect(redis, b"OK", b"CONFIG", b"SET", b"dbfilename",
                    name.encode())
            _expect(redis, b"Background saving started", b"BGSAVE")
            self.saved.append(name)
        for batch in [*self._some_deaths(), self._writes()]:
            exchange(redis, batch)
        self._compare(redis, self._random.sample(list(self._values), 100))
        _expect(redis, b"OK", b"MEMORY", b"PURGE")

    def _some_deaths(self) -> list[Batch]:
        batch = next(self._deaths, None)
        return [batch] if batch else []

    def _writes(self) -> Batch:
        """New keys, old ones that grow or shrink, and fewer of them."""
        exchanges = []
        for _ in range(_AT_ONCE):
            key = b"churn:%d" % self._random.randrange(_CHURN_KEYS)
            if key in self._values and self._random.random() < 0.4:
                del self._values[key]
                exchanges.append(([b"UNLINK", key], b":1\r\n"))
            else:
                value = self._random.randbytes(self._random.randrange(1, 6000))
                self._values[key] = value
                exchanges.append(([b"SET", key, value], b"+OK\r\n"))
        return _batch(exchanges)

    def _compare(self, redis: socket.socket, keys: list[bytes]) -> None:
        for part in _parts(keys):
            exchange(redis, _batch([([b"GET", key], _bulk(self._values[key]))
                                    for key in part]))


def ask(redis: socket.socket, *command: bytes) -> bytes:
    """The reply to a command, if it is a line or a string."""
    redis.sendall(encode(list(command)))
    with redis.makefile("rb", buffering=0) as replies:
        line = replies.readline().rstrip(b"\r\n")
        if not line.startswith(b"$"):
            return line
        wanted = int(line[1:]) + 2
        got = b""
        while len(got) < wanted:
            part = replies.read(wanted - len(got))
            if not part:
                raise WrongMemory(f"redis ended during {command!r}")
            got += part
        return b"\r\n" + got


def _expect(redis: socket.socket, reply: bytes, *command: bytes) -> None:
    got = ask(redis, *command)
    if got != b"+" + reply:
        raise WrongMemory(f"redis answered {command!r} with {got!r}")


def _has_saved(redis: socket.socket) -> bool:
    told = ask(redis, b"INFO", b"persistence")
    if b"rdb_last_bgsave_status:ok" not in told:
        raise WrongMemory(f"redis could not save: {told!r}")
    return b"rdb_bgsave_in_progress:0" in told


def _victim(i: int) -> bytes:
    return b"victim:%d" % i


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _parts(items: list) -> list[list]:
    return [items[i:i + _AT_ONCE] for i in range(0, len(items), _AT_ONCE)]


def _batch(exchanges: list[tuple[list[bytes], bytes]]) -> Batch:
    ends, at = [], 0
    for _, reply in exchanges:
        at += len(reply)
        ends.append(at)
    return Batch(b"".join(encode(command) for command, _ in exchanges),
                 b"".join(reply for _, reply in exchanges),
                 [b" ".join(command[:2]) for command, _ in exchanges], ends)
