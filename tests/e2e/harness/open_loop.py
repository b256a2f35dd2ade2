"""A client that asks redis at fixed times, however late the replies are.

    open_loop.py --address A --connections N --rate N --keys N --longer N
                 --output FILE

Asks for keys of a DataSet, and counts on a key of each connection's own: a
command that is lost or done twice is seen. Every reply is compared. Makes FILE
when its connections are there. SIGTERM ends it once all replies have come;
FILE then has a 64-bit time at which each request was due and one at which its
reply had come, of CLOCK_MONOTONIC in ns. Exit code 1 if a connection broke or
a reply was wrong.
"""

import argparse
import array
import collections
import random
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.redis_commands import DataSet, encode  # noqa: E402

_PORT = 6379
_COUNT_EVERY = 10
_LAST_REPLY_SECONDS = 120.0
_BYTES = 1 << 18


class Broken(Exception):
    """A connection, or what came through it."""


@dataclass(frozen=True)
class Reply:
    """When it was due, and when it came."""

    due_ns: int
    came_ns: int


@dataclass
class _Connection:
    socket: socket.socket
    counter: bytes
    count: int = 0
    unsent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    # When each is due, and what is foreseen.
    awaited: collections.deque[tuple[int, bytes]] = field(
        default_factory=collections.deque)

    def ask(self, due_ns: int, request: bytes, reply: bytes) -> None:
        self.awaited.append((due_ns, reply))
        self.unsent += request
        self.send()

    def send(self) -> None:
        while self.unsent:
            try:
                sent = self.socket.send(self.unsent)
            except BlockingIOError:
                return
            del self.unsent[:sent]

    def receive(self) -> list[Reply] | None:
        """Some of the replies that are there now; None if nothing is."""
        try:
            part = self.socket.recv(_BYTES)
        except BlockingIOError:
            return None
        if not part:
            raise Broken("redis closed a connection")
        came_ns = time.monotonic_ns()
        self.received += part
        found = []
        while self.awaited:
            due_ns, reply = self.awaited[0]
            got = self.received[:len(reply)]
            if got != reply[:len(got)]:
                raise Broken(f"redis answered {bytes(got[:40])!r}, not "
                             f"{reply[:40]!r}")
            if len(got) < len(reply):
                break
            del self.received[:len(reply)]
            self.awaited.popleft()
            found.append(Reply(due_ns, came_ns))
        if self.received and not self.awaited:
            raise Broken("redis answered what nobody asked")
        return found


class Client:
    def __init__(self, options: argparse.Namespace) -> None:
        self._interval_ns = 1_000_000_000 // options.rate
        self._data = DataSet(options.keys, options.longer)
        self._chance = random.Random(1)
        self._poll = select.epoll()
        self._replies = array.array("Q")
        self._connections: dict[int, _Connection] = {}
        for number in range(options.connections):
            connected = socket.create_connection((options.address, _PORT))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            self._poll.register(connected, select.EPOLLIN | select.EPOLLOUT
                                | select.EPOLLET)
            self._connections[connected.fileno()] = _Connection(
                connected, b"open-loop:%d" % number)
        self._stopping = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> array.array:
        turns = list(self._connections.values())
        asked = 0
        due_ns = time.monotonic_ns()
        while not self._stopping:
            now_ns = time.monotonic_ns()
            while due_ns <= now_ns:
                self._ask(turns[asked % len(turns)], due_ns,
                          asked // len(turns))
                asked += 1
                due_ns += self._interval_ns
            self._serve((due_ns - now_ns) / 1e9)
        end = time.monotonic() + _LAST_REPLY_SECONDS
        while any(c.awaited for c in turns):
            if time.monotonic() > end:
                raise Broken("a reply never came")
            self._serve(0.1)
        return self._replies

    def _ask(self, connection: _Connection, due_ns: int, number: int) -> None:
        if number % _COUNT_EVERY == 0:
            connection.count += 1
            connection.ask(due_ns, encode([b"INCR", connection.counter]),
                           b":%d\r\n" % connection.count)
        else:
            key = self._chance.randrange(self._data.keys)
            connection.ask(due_ns, *self._data.question(key))

    def _serve(self, seconds: float) -> None:
        for descriptor, _ in self._poll.poll(max(0.0, seconds)):
            connection = self._connections[descriptor]
            connection.send()
            while (replies := connection.receive()) is not None:
                for reply in replies:
                    self._replies.append(reply.due_ns)
                    self._replies.append(reply.came_ns)


def replies_in(output: Path) -> list[Reply]:
    """What a client has left, in the order in which it came."""
    times = array.array("Q")
    times.frombytes(output.read_bytes())
    pairs = iter(times)
    return [Reply(due, came) for due, came in zip(pairs, pairs)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--address", required=True)
    parser.add_argument("--output", type=Path, required=True)
    for name in ("connections", "rate", "keys", "longer"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    try:
        client = Client(options)
        options.output.touch()
        replies = client.run()
    except (Broken, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    draft = options.output.with_suffix(".draft")
    draft.write_bytes(replies.tobytes())
    draft.rename(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
