#!/usr/bin/python3
"""A Python program that knows a checksum of everything it holds.

    python_target.py --state DIR [--items 60000]

Fills dicts, lists and bytes; answers command 0; then answers each command (see
control_file.h for the files) with "OK ..." or "WRONG ..." after it has computed
the checksum anew, changed some of the data, and computed it once more.
"""

import argparse
import gc
import hashlib
import random
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer_commands, take_over_standard_streams)


class Holdings:
    """Data of many small objects, and the checksum it ought to have."""

    def __init__(self, items: int) -> None:
        self._random = random.Random(items)
        self._records = [self._new_record(i) for i in range(items)]
        self._by_name = {record["name"]: record for record in self._records}
        self._blobs = {i: self._random.randbytes(4096 + i) for i in range(1000)}
        self.expected = self.checksum()

    def _new_record(self, i: int) -> dict[str, object]:
        return {
            "name": f"record-{i}-{self._random.getrandbits(64):x}",
            "numbers": [self._random.random() for _ in range(8)],
            "tags": {f"tag{n}" for n in range(i % 4)},
            "bytes": self._random.randbytes(i % 200),
            "big": self._random.getrandbits(300),
        }

    def checksum(self) -> str:
        """Depends on every object held."""
        digest = hashlib.sha256()
        for name, record in self._by_name.items():
            digest.update(repr((name, record["numbers"], record["bytes"],
                                record["big"])).encode())
            digest.update(repr(sorted(record["tags"])).encode())
        for number, blob in self._blobs.items():
            digest.update(b"%d" % number)
            digest.update(blob)
        return digest.hexdigest()

    def change_some(self) -> None:
        """Replaces some objects and frees their memory for others."""
        for i in self._random.sample(range(len(self._records)), 5000):
            del self._by_name[self._records[i]["name"]]
            self._records[i] = self._new_record(i)
            self._by_name[self._records[i]["name"]] = self._records[i]
        for i in self._random.sample(range(1000), 100):
            self._blobs[i] = self._random.randbytes(4096 + i)
        gc.collect()
        self.expected = self.checksum()


def obey(holdings: Holdings) -> str:
    before, expected = holdings.checksum(), holdings.expected
    if before != expected:
        return f"WRONG checksum expected={expected} got={before}"
    holdings.change_some()
    after, expected = holdings.checksum(), holdings.expected
    if after != expected:
        return f"WRONG changed checksum expected={expected} got={after}"
    return f"OK checksum={after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--items", type=int, default=60000)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    holdings = Holdings(options.items)
    answer_commands(options.state, lambda: obey(holdings))


if __name__ == "__main__":
    sys.exit(main())
