"""What a beating_target has written down: when it was where."""

import itertools
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from .namespaces import Failed, Host
from .waiting import PATIENCE_SECONDS, wait_until

_RECORD = struct.Struct("<QQQ")
NAMES = ("parent", "child")


@dataclass(frozen=True)
class Stay:
    """So many beats in a row at one place."""

    network: int
    first_ns: int
    last_ns: int
    beats: int


def network_of(host: Host) -> int:
    """How a target in there calls the place."""
    with host.network():
        return os.stat("/proc/thread-self/ns/net").st_ino


def size_of(state: Path, name: str) -> int:
    """To look at nothing older than this."""
    path = state / f"beats-{name}"
    if not path.exists():
        return 0
    # A write over the end of a page grows the file twice.
    size = path.stat().st_size
    return size - size % _RECORD.size


def stays(state: Path, name: str, since: int = 0) -> list[Stay]:
    """Where it has been. Raises if its memory was wrong, or if time has gone
    backwards: two of them were there at once."""
    path = state / f"beats-{name}"
    data = path.read_bytes()[since:] if path.exists() else b""
    whole = len(data) - len(data) % _RECORD.size
    records = list(_RECORD.iter_unpack(data[:whole]))
    if any(wrong for _, _, wrong in records):
        raise Failed(f"the memory of {name} is wrong")
    for (before, _, _), (after, _, _) in itertools.pairwise(records):
        if after <= before:
            raise Failed(f"two of {name} were there at once")
    found = []
    for network, group in itertools.groupby(records, lambda r: r[1]):
        beats = [at for at, _, _ in group]
        found.append(Stay(network, beats[0], beats[-1], len(beats)))
    return found


def wait_for_beats(state: Path, host: Host, count: int = 20) -> None:
    """Waits until each has beaten so often at `host`, from now on."""
    network = network_of(host)
    since = {name: size_of(state, name) for name in NAMES}

    def beaten() -> bool:
        return all(
            sum(stay.beats for stay in stays(state, name, since[name])
                if stay.network == network) >= count
            for name in NAMES)

    wait_until(f"{count} beats at {host.name}", beaten, PATIENCE_SECONDS)
