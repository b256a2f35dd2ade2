#!/usr/bin/python3
"""A Python program whose memory is shared with pools of forked processes.

    forking_target.py --state DIR

Holds byte arrays and a graph of objects. Answers each command (see
control_file.h for the files) after two pools, forked then, have checked, changed
and checked their copies of it all, while another thread collects garbage; after
it has changed a part itself; and after it has checked everything once more.
"""

import argparse
import contextlib
import ctypes
import gc
import hashlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer_commands, take_over_standard_streams)

PARTS = 16
BLOB_BYTES = 4 << 20
NODES_OF_A_PART = 6_000
PROCESSES = 4
# A process that died takes its task with it.
POOL_SECONDS = 150


class WrongData(Exception):
    """Data are not what they ought to be."""


class Node:
    """One of a ring that refers to itself in all directions."""

    def __init__(self, part: int, number: int, generation: int) -> None:
        self.value = f"node {part}.{number} of generation {generation}"
        self.number = number * 1_000_003 + generation
        self.next = self
        self.others: list["Node"] = []


class Part:
    """A byte array and a graph, which follow from number and generation."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._generation = 0
        self._blob = bytearray()
        self._nodes: list[Node] = []
        self.renew(0)

    def renew(self, generation: int) -> None:
        """All anew; the old memory is given back or used again."""
        self._generation = generation
        old = len(self._blob)
        wanted = _blob(self._number, generation)
        # In place, then longer: large arrays are moved by mremap(2).
        self._blob[:] = wanted[:old]
        self._blob.extend(wanted[old:])
        self._nodes = _ring(self._number, generation)

    def check(self) -> None:
        self._check_blob()
        node = self._nodes[0]
        for number, expected in enumerate(self._nodes):
            like = Node(self._number, number, self._generation)
            if (node is not expected
                    or (node.value, node.number) != (like.value, like.number)
                    or node.others[0].next is not node.others[1]):
                raise WrongData(f"part {self._number}, generation "
                                f"{self._generation}, node {number}: "
                                f"{node.value!r} {node.number}")
            node = node.next

    def _check_blob(self) -> None:
        wanted = _blob(self._number, self._generation)
        if self._blob == wanted:
            return
        at = next((i for i, (a, b) in enumerate(zip(self._blob, wanted))
                   if a != b), min(len(self._blob), len(wanted)))
        raise WrongData(f"part {self._number}, generation {self._generation}: "
                        f"{self._blob[at:at + 16].hex()}, not "
                        f"{wanted[at:at + 16].hex()}, at byte {at} of "
                        f"{len(self._blob)}, in process {os.getpid()}")

    @property
    def generation(self) -> int:
        return self._generation


def _blob(part: int, generation: int) -> bytes:
    length = BLOB_BYTES + (generation * 37 + part) % 64 * 4096 + part
    return hashlib.shake_128(b"%d.%d" % (part, generation)).digest(length)


def _ring(part: int, generation: int) -> list[Node]:
    nodes = [Node(part, i, generation) for i in range(NODES_OF_A_PART)]
    for i, node in enumerate(nodes):
        node.next = nodes[(i + 1) % len(nodes)]
        far = nodes[(i * 7919) % len(nodes)]
        node.others = [far, nodes[(i * 7919 + 1) % len(nodes)], node]
    return nodes


# Where forked processes find them.
parts: list[Part] = []


def work_in_child(number: int) -> str:
    """What became of a copy of everything. Exceptions are told, not raised."""
    try:
        part = parts[number]
        part.check()
        part.renew(part.generation + 1000)
        gc.collect()
        part.check()
        parts[(number + 1) % PARTS].check()
    except Exception as error:  # For the parent, whatever it is.
        return f"in a child: {error!r}"
    return ""


def use_a_pool() -> None:
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        told = pool.map_async(work_in_child, range(PARTS), chunksize=1)
        for wrong in filter(None, told.get(POOL_SECONDS)):
            raise WrongData(wrong)


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    stopping = threading.Event()

    def collect() -> None:
        while not stopping.is_set():
            gc.collect()

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def obey() -> str:
    use_a_pool()
    with collecting():
        for part in parts[::3]:
            part.renew(part.generation + 1)
        ctypes.CDLL(None).malloc_trim(0)
        use_a_pool()
    for part in parts:
        part.check()
    return f"OK parts={PARTS} generation={parts[0].generation}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    parts.extend(Part(number) for number in range(PARTS))
    answer_commands(options.state, obey)


if __name__ == "__main__":
    sys.exit(main())
