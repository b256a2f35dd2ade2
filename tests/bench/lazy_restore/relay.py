"""Stands between a client and a server, and delays what passes.

    relay.py LISTEN PORT CONNECT PORT MILLISECONDS --ready-fd FD

Every byte arrives so many milliseconds later, in either direction, however many
are under way: a long cable, not a thin one.
"""

import contextlib
import os
import queue
import socket
import sys
import threading
import time

_CHUNK = 1 << 18


def main() -> None:
    listen, port, connect, to_port, milliseconds, _, ready = sys.argv[1:]
    with socket.create_server((listen, int(port))) as server:
        os.write(int(ready), b"\n")
        os.close(int(ready))
        while True:
            left, _ = server.accept()
            right = socket.create_connection((connect, int(to_port)))
            for end in (left, right):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((left, right), (right, left)):
                _delay(source, sink, float(milliseconds) / 1000)


def _delay(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def receive() -> None:
        data = b"more"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            under_way.put((time.monotonic() + seconds, data))

    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = under_way.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)

    for work in (receive, send):
        threading.Thread(target=work, daemon=True).start()


if __name__ == "__main__":
    main()
