#!/usr/bin/python3
"""A Python program with a SQLite database in its memory that answers queries.

    query_target.py --state DIR [--rows 80000] [--queries 400]

Answers each command (see control_file.h for the files) with what so many rows
hold, found by an index in an order that looks random, the same each time.
"""

import argparse
import hashlib
import random
import sqlite3
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer_commands, take_over_standard_streams)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=80_000)
    parser.add_argument("--queries", type=int, default=400)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    database = fill(options.rows)
    asked = random.Random(options.rows).sample(range(options.rows),
                                               options.queries)
    answer_commands(options.state, lambda: obey(database, asked))


def fill(rows: int) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE rows (digest TEXT PRIMARY KEY, data BLOB)")
    with database:
        database.executemany("INSERT INTO rows VALUES (?, ?)",
                             (row_of(row) for row in range(rows)))
    return database


def row_of(row: int) -> tuple[str, bytes]:
    seed = b"%d" % row
    return (hashlib.md5(seed).hexdigest(),
            hashlib.shake_128(seed).digest(500 + row * 7 % 1500))


def obey(database: sqlite3.Connection, asked: list[int]) -> str:
    for row in asked:
        digest, data = row_of(row)
        found = database.execute("SELECT data FROM rows WHERE digest = ?",
                                 (digest,)).fetchall()
        if found != [(data,)]:
            return f"WRONG row {row}"
    return f"OK rows={len(asked)}"


if __name__ == "__main__":
    sys.exit(main())
