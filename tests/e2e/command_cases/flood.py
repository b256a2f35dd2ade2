"""Opens many connections from one address, and asks what another one gets.

    flood.py PORT CONNECTIONS

Prints a JSON object.
"""

import json
import resource
import select
import socket
import sys
import time

# What a client of HTTP/2 says first, and a server answers with its own settings.
_PREFACE = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
_SETTINGS = 4


def main() -> None:
    port, count = map(int, sys.argv[1:])
    limit = count + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    flood = []
    for _ in range(count):
        flood.append(socket.create_connection(("127.0.0.1", port), 10))
    time.sleep(1)
    told = {"connections": count, "closed": sum(map(_is_closed, flood))}
    start = time.monotonic()
    told["other_client_is_served"] = _is_served("127.0.0.2", port)
    told["other_client_ms"] = round((time.monotonic() - start) * 1000, 1)
    told["same_client_is_served"] = _is_served("127.0.0.1", port)
    for connection in flood:
        connection.close()
    time.sleep(1)
    told["same_client_is_served_later"] = _is_served("127.0.0.1", port)
    print(json.dumps(told))


def _is_closed(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))


def _is_served(client: str, port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 10,
                                      source_address=(client, 0)) as connection:
            connection.sendall(_PREFACE)
            frame = connection.recv(9, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(frame) == 9 and frame[3] == _SETTINGS


if __name__ == "__main__":
    main()
