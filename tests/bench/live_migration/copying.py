"""Copies a folder of files over the cable, as fast as one connection goes."""

import os
import socket
import struct
import threading
from pathlib import Path

from harness.namespaces import Host

_HEADER = struct.Struct("<HQ")
_PART = 1 << 20


class Copying:
    """One copy. The receiver listens from now on."""

    def __init__(self, source: Host, destination: Host, to: Path) -> None:
        self._source = source
        self._to = to
        with destination.network():
            self._listening = socket.create_server((destination.address, 0))
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def run(self, folder: Path) -> int:
        """Returns how many bytes there were, when all have arrived."""
        sent = 0
        with (self._source.network(),
              socket.create_connection(
                  self._listening.getsockname()) as connection):
            for path in sorted(folder.iterdir()):
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    name = path.name.encode()
                    connection.sendall(_HEADER.pack(len(name), size) + name)
                    connection.sendfile(file)
                    sent += size
        self._thread.join()
        self._listening.close()
        if self._error is not None:
            raise self._error
        return sent

    def _receive(self) -> None:
        try:
            connection, _ = self._listening.accept()
            with connection, connection.makefile("rb", _PART) as stream:
                buffer = bytearray(_PART)
                while header := stream.read(_HEADER.size):
                    length, size = _HEADER.unpack(header)
                    name = stream.read(length).decode()
                    with (self._to / name).open("wb", buffering=0) as file:
                        while size > 0:
                            part = memoryview(buffer)[:min(size, _PART)]
                            count = stream.readinto1(part)
                            if count == 0:
                                raise EOFError(f"{name} was cut off")
                            file.write(part[:count])
                            size -= count
        except Exception as error:  # For the thread that asks.
            self._error = error
