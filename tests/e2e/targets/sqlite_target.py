#!/usr/bin/python3
"""A Python program with a SQLite database in its memory.

    sqlite_target.py --state DIR [--rows 50000]

Answers each command (see control_file.h for the files) after it has
dropped a copy of the database, deleted, updated and inserted rows, packed it,
checked every row, and done so once more after a rollback and in a new copy.
"""

import argparse
import ctypes
import hashlib
import random
import sqlite3
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer_commands, take_over_standard_streams)


class WrongData(Exception):
    """The database does not hold what was put into it."""


class Table:
    """A table whose rows follow from their number and generation."""

    def __init__(self, rows: int) -> None:
        self._random = random.Random(rows)
        self._generations: dict[int, int] = {}
        self._next = 0
        self._database = sqlite3.connect(":memory:")
        self._database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, "
                               "generation INTEGER, digest TEXT, data BLOB)")
        self._database.execute("CREATE INDEX by_digest ON rows (digest)")
        self._insert(rows)
        self.copy()

    def __len__(self) -> int:
        return len(self._generations)

    def check(self) -> None:
        _check(self._database, self._generations)

    def copy(self) -> None:
        """Makes a copy, which stays, and checks it."""
        self._copy = sqlite3.connect(":memory:")
        self._database.backup(self._copy)
        _check(self._copy, self._generations)

    def drop_copy(self) -> None:
        """Without a look at it."""
        self._copy.close()
        ctypes.CDLL(None).malloc_trim(0)

    def change(self) -> None:
        some = self._random.sample(sorted(self._generations), len(self) // 5)
        deleted, updated = some[::2], some[1::2]
        with self._database:
            self._database.executemany("DELETE FROM rows WHERE id = ?",
                                       ((row,) for row in deleted))
            for row in deleted:
                del self._generations[row]
            for row in updated:
                self._generations[row] += 1
            self._database.executemany(
                "UPDATE rows SET generation = ?2, digest = ?3, data = ?4 "
                "WHERE id = ?1",
                (_row(row, self._generations[row]) for row in updated))
        self._insert(len(deleted))

    def roll_back(self) -> None:
        """Changes much, and takes it back."""
        self._database.execute("BEGIN")
        self._database.execute("DELETE FROM rows WHERE id % 3 = 0")
        self._database.execute("UPDATE rows SET data = zeroblob(99) "
                               "WHERE id % 3 = 1")
        self._database.rollback()

    def pack(self) -> None:
        """Gives back what memory it can."""
        self._database.execute("VACUUM")
        self._database.execute("PRAGMA shrink_memory")
        ctypes.CDLL(None).malloc_trim(0)

    def _insert(self, count: int) -> None:
        new = range(self._next, self._next + count)
        self._next += count
        self._generations.update((row, 0) for row in new)
        with self._database:
            self._database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)",
                                       (_row(row, 0) for row in new))


def _row(row: int, generation: int) -> tuple[int, int, str, bytes]:
    seed = b"%d.%d" % (row, generation)
    return (row, generation, hashlib.md5(seed).hexdigest(),
            hashlib.shake_128(seed).digest(200 + row * 7 % 1500))


def _check(database: sqlite3.Connection, generations: dict[int, int]) -> None:
    told = database.execute("PRAGMA integrity_check").fetchall()
    if told != [("ok",)]:
        raise WrongData(f"integrity_check: {told[:5]}")
    seen = 0
    for found in database.execute("SELECT id, generation, digest, data "
                                  "FROM rows ORDER BY id"):
        row = found[0]
        if row not in generations or found != _row(row, generations[row]):
            raise WrongData(f"row {found[:3]}, {found[3][:16].hex()}…, is of "
                            f"generation {generations.get(row)}")
        seen += 1
    if seen != len(generations):
        raise WrongData(f"{seen} rows, not {len(generations)}")
    # By the index, too.
    for row in list(generations)[::97]:
        digest = _row(row, generations[row])[2]
        got = database.execute("SELECT id FROM rows WHERE digest = ?",
                               (digest,)).fetchall()
        if got != [(row,)]:
            raise WrongData(f"digest {digest} is of {got}, not {row}")


def obey(table: Table) -> str:
    table.drop_copy()
    table.change()
    table.pack()
    table.check()
    table.roll_back()
    table.check()
    table.copy()
    return f"OK rows={len(table)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    table = Table(options.rows)
    answer_commands(options.state, lambda: obey(table))


if __name__ == "__main__":
    sys.exit(main())
