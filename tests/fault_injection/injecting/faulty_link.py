"""A link between a pager and a page server that does what links do on bad days."""

import random
import socket
import struct
import threading
import time

from harness.namespaces import Host

THERE = 0  # From the pager to the server.
BACK = 1
_CHUNK = 64 << 10
_SLICE_SECONDS = 0.002


class FaultyLink:
    """Accepts connections on a host and passes them on to a server there, no
    faster than so many bytes a second each way. Everything is from any thread;
    heal() ends whatever goes on."""

    def __init__(self, host: Host, port: int, server_port: int,
                 bytes_per_second: float, seed: int) -> None:
        self.address = f"{host.address}:{port}"
        self.flipped = 0
        self._host = host
        self._server = (host.address, server_port)
        self._rate = bytes_per_second
        self._random = random.Random(seed)
        self._lock = threading.Condition()
        self._held = [False, False]
        self._dribbling = False
        self._late_seconds = 0.0
        self._flips = 0
        self._cuts = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        with host.network():
            self._listener = socket.create_server((host.address, port),
                                                  backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.reset()
        self.heal()
        self._listener.close()

    # What may happen.

    def reset(self) -> None:
        """Every connection, both ends of it."""
        for pair in self._take_pairs():
            for end in pair:
                _quietly(end.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))
            _close(pair)

    def finish(self) -> None:
        """The same, as if both ends had said that they are through."""
        for pair in self._take_pairs():
            _close(pair)

    def hold(self, ways: tuple[int, ...]) -> None:
        """Nothing arrives that way, and nobody is told."""
        with self._lock:
            for way in ways:
                self._held[way] = True

    def dribble(self) -> None:
        """A byte at a time."""
        with self._lock:
            self._dribbling = True

    def flip(self, bits: int) -> None:
        """In what the server says next, anywhere in it."""
        with self._lock:
            self._flips += bits

    def cut(self) -> None:
        """The next of what the server says stops in the middle, and so does its
        connection."""
        with self._lock:
            self._cuts += 1

    def delay(self, seconds: float) -> None:
        """Everything is late by that."""
        with self._lock:
            self._late_seconds = seconds

    def heal(self) -> None:
        with self._lock:
            self._held = [False, False]
            self._dribbling = False
            self._late_seconds = 0.0
            self._flips = 0
            self._cuts = 0
            self._lock.notify_all()

    def _take_pairs(self) -> list[tuple[socket.socket, socket.socket]]:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        return pairs

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._host.network():
                    server = socket.create_connection(self._server)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self._lock:
                if self._closed:
                    _close(pair)
                    return
                self._pairs.append(pair)
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in (THERE, BACK):
                threading.Thread(target=self._pass_on, args=(pair, way),
                                 daemon=True).start()

    def _pass_on(self, pair: tuple[socket.socket, socket.socket],
                 way: int) -> None:
        taken, given = pair[way], pair[1 - way]
        try:
            while data := taken.recv(_CHUNK):
                began = time.monotonic()
                if not self._send(bytearray(data), given, way):
                    break
                left = began + len(data) / self._rate - time.monotonic()
                if left > _SLICE_SECONDS:
                    time.sleep(left)
            self._await_release(way)
            _quietly(given.shutdown, socket.SHUT_WR)
        except OSError:
            _close(pair)

    def _send(self, data: bytearray, to: socket.socket, way: int) -> bool:
        """False if that was the last."""
        self._await_release(way)
        with self._lock:
            late, dribbling = self._late_seconds, self._dribbling
            if way == BACK and self._flips > 0:
                self._flips -= 1
                self.flipped += 1
                bit = self._random.randrange(8 * len(data))
                data[bit // 8] ^= 1 << (bit % 8)
            cut = way == BACK and self._cuts > 0
            if cut:
                self._cuts -= 1
                del data[len(data) // 2:]
        if late:
            time.sleep(late)
        at = 0
        while dribbling and at < len(data):
            to.sendall(data[at:at + 1])
            at += 1
            time.sleep(0.0005)
            with self._lock:
                dribbling = self._dribbling
        to.sendall(data[at:])
        if cut:
            to.shutdown(socket.SHUT_RDWR)
        return not cut

    def _await_release(self, way: int) -> None:
        with self._lock:
            while self._held[way]:
                self._lock.wait()


def _close(pair: tuple[socket.socket, socket.socket]) -> None:
    for end in pair:
        # Wakes the threads that wait for it; closing alone does not.
        _quietly(end.shutdown, socket.SHUT_RDWR)
        end.close()


def _quietly(call: object, *arguments: object) -> None:
    try:
        call(*arguments)
    except OSError:
        pass
