"""Somebody connects to everything while a process moves."""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from harness import tools
from harness.beats import NAMES, network_of, size_of, stays, wait_for_beats
from harness.lan import SERVICE
from harness.migration import SERVER, Stage, Station, stage
from harness.namespaces import Failed, Host

from .crashing import TARGET, place_of, wait_for_step

_LOOPBACK = "127.0.0.1"
_PORTS = range(1, 1 << 16)
_STEPS = ("shipping", "restoring", "resuming", "spooling")
# Longer than all scans of one migration.
_GIVE_UP = "300s"
_SECONDS = 2.0
# What criu's page server takes for the end of a transfer: it kills the process.
_CRIU_CLOSE = struct.pack("<IIQQ", 0x1023, 0, 0, 0)
_CRIU_FORCE_CLOSE = struct.pack("<IIQQ", 0x1024, 0, 0, 0)
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_GARBAGE = (b"", b"\0", _CRIU_CLOSE, _CRIU_FORCE_CLOSE,
            b"GET / HTTP/1.1\r\n\r\n", _HTTP2 + b"\xff" * 64, bytes(range(256)) * 64)


class _NobodyThere(Exception):
    """No host has the address."""


@dataclass(frozen=True)
class _Scan:
    """From where, and at what."""

    at: Host
    address: str

    def run(self) -> list[int]:
        """Connects to every port, and disturbs who listens. Nobody does at an
        address that is on its way."""
        with self.at.network(), contextlib.suppress(_NobodyThere):
            found = [port for port in _PORTS if self._is_open(port)]
            for port in found:
                for garbage in _GARBAGE:
                    for reset in (False, True):
                        self._send(port, garbage, reset)
            return found
        return []

    def _is_open(self, port: int) -> bool:
        with socket.socket() as scanner:
            scanner.settimeout(_SECONDS)
            try:
                scanner.connect((self.address, port))
            except ConnectionRefusedError:
                return False
            except OSError as error:
                raise _NobodyThere from error
            # A port that was free may have been given to ourselves.
            return scanner.getsockname() != scanner.getpeername()

    def _send(self, port: int, garbage: bytes, reset: bool) -> None:
        with contextlib.suppress(OSError), socket.socket() as stranger:
            stranger.settimeout(_SECONDS)
            if reset:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            stranger.connect((self.address, port))
            stranger.sendall(garbage)


def strangers_connect_to_everything() -> str:
    """At each step, once with each side's worker standing still: the other
    side is at work while it is scanned."""
    with stage("migration-scanned", with_lan=True) as here:
        state = here.scene.make_folder("state")
        here.left.host.start_target(
            [tools.target(TARGET), "--state", state], state / "log")
        wait_for_beats(state, here.left.host)
        ends = here.left, here.right
        moves = 0
        found: set[int] = set()
        for step in _STEPS:
            for side in (0, 1):
                source, destination = ends[moves % 2], ends[1 - moves % 2]
                since = {name: size_of(state, name) for name in NAMES}
                migration = here.migrate(source, destination, "--hook",
                                         here.lan.hook, "--give-up-after",
                                         _GIVE_UP)
                wait_for_step(place_of(migration), step, migration)
                with standing_still((source, destination)[side]):
                    ports = _scan_all(here)
                if len(ports) < 2:
                    raise Failed(f"found {ports}, not our page server, too")
                told = migration.wait()
                if told["state"] != "released":
                    raise Failed(f"scanned while {step}, it ended as {told}")
                wait_for_beats(state, destination.host)
                for name in NAMES:
                    been = [stay.network
                            for stay in stays(state, name, since[name])]
                    if been != [network_of(source.host),
                                network_of(destination.host)]:
                        raise Failed(f"scanned while {step}: {name} has been "
                                     f"at {been}")
                found |= ports
                moves += 1
        return f"{moves} times, {len(found)} ports were open at times"


def _scan_all(here: Stage) -> set[int]:
    ends = here.left.host, here.right.host
    scans = [_Scan(host, _LOOPBACK) for host in ends]
    scans += [_Scan(here.lan.client, SERVICE)]
    scans += [_Scan(other, host.address) for host, other in
              zip(ends, ends[::-1])]
    return {port for scan in scans for port in scan.run()}


@contextlib.contextmanager
def standing_still(station: Station) -> Iterator[None]:
    """Its migration's worker, whatever it is about to do."""
    pids = station.processes(SERVER)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
