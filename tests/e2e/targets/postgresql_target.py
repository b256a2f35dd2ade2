#!/usr/bin/python3
"""A PostgreSQL server and its clients.

    postgresql_target.py --state DIR --bin DIR [--rows 120000]

Has sessions that stay open, each with a temporary table in memory of its own.
Answers each command (see control_file.h for the files) after all of them, and as
many new ones, have checked every row and index, by parallel queries, while rows
were deleted, inserted and vacuumed.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer, answer_commands, take_over_standard_streams)

SESSIONS = 4
HELD_ROWS = 40_000  # In each session's temporary table.
REPLACED_ROWS = 5_000
_SETTINGS = {
    "listen_addresses": "''",
    "shared_buffers": "48MB",
    "huge_pages": "off",
    # Its files are in the state folder, and every restore has that of its own.
    "dynamic_shared_memory_type": "mmap",
    "fsync": "off",
    "work_mem": "32MB",
    "temp_buffers": "64MB",
    "max_parallel_workers_per_gather": "3",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "0",
    "autovacuum_naptime": "1",
    "autovacuum_vacuum_threshold": "50",
    "autovacuum_vacuum_scale_factor": "0",
}
_DATA = "repeat(md5({id}::text), 1 + ({id} % 12)::int)"


class WrongData(Exception):
    """The database does not hold what was put into it."""


class Server:
    def __init__(self, state: Path, binaries: Path) -> None:
        self._binaries = binaries
        self.sockets = state / "sockets"
        self.sockets.mkdir()
        data = state / "data"
        subprocess.run([binaries / "initdb", "--pgdata", data, "--auth",
                        "trust", "--no-sync", "--username", "postgres"],
                       check=True)
        settings = [f"--{name}={value.strip(chr(39))}"
                    for name, value in _SETTINGS.items()]
        self._process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", self.sockets, *settings])
        while not (self.sockets / ".s.PGSQL.5432").exists():
            if self._process.poll() is not None:
                raise SystemExit("postgres ended")
            time.sleep(0.05)

    def client(self) -> list[str | Path]:
        return [self._binaries / "psql", "--no-psqlrc", "--quiet",
                "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1",
                "--host", self.sockets, "--username", "postgres", "postgres"]


class Session:
    """A client that stays connected, and the process that serves it."""

    def __init__(self, server: Server) -> None:
        self._psql = subprocess.Popen(
            server.client(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def ask(self, sql: str) -> str:
        """Sends it as it is: with semicolons. What was printed."""
        self._psql.stdin.write(f"{sql}\n\\echo the end\n")
        self._psql.stdin.flush()
        told = ""
        while True:
            line = self._psql.stdout.readline()
            if line == "the end\n":
                return told.strip()
            if not line:
                raise WrongData(f"{sql.strip()[:60]}…: {told.strip()}")
            told += line

    def expect(self, sql: str, wanted: str) -> None:
        got = self.ask(sql)
        if got != wanted:
            raise WrongData(f"{sql.strip()}: {got}, not {wanted}")

    def close(self) -> None:
        self._psql.stdin.close()
        if self._psql.wait(60) != 0:
            raise WrongData(f"psql exited with {self._psql.returncode}")


class Database:
    """A table whose rows follow from their numbers, which are the range from
    `_first` to `_limit`; and sessions that hold such tables of their own."""

    def __init__(self, server: Server, rows: int) -> None:
        self._server = server
        self._first, self._limit = 0, rows
        self._held = [Session(server) for _ in range(SESSIONS)]
        for session in self._held:
            # The server may only just have begun to listen.
            session.expect("SELECT 1;", "1")
        self._held[0].ask(f"""
            CREATE EXTENSION amcheck;
            CREATE TABLE rows (id bigint PRIMARY KEY, digest text, data text);
            CREATE INDEX by_digest ON rows (digest);
            {_inserting('rows', 0, rows)}""")
        for number, session in enumerate(self._held):
            session.ask(f"""
                CREATE TEMP TABLE held (id bigint, digest text, data text);
                {_inserting('held', *_held_by(number))}
                PREPARE held_check AS {_checking('held')}
                BEGIN;
                DECLARE walk CURSOR WITH HOLD FOR SELECT * FROM held ORDER BY id;
                COMMIT;
                SET application_name = 'held';""")

    def check_and_change(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(2 * SESSIONS + 1) as pool:
            checks = [pool.submit(self._check_held, number)
                      for number in range(SESSIONS)]
            checks += [pool.submit(self._check_anew)
                       for _ in range(SESSIONS)]
            changes = pool.submit(self._change)
            for check in [*checks, changes]:
                check.result()
        self._first += REPLACED_ROWS
        self._limit += REPLACED_ROWS
        self._check_all(self._held[0])

    def _check_held(self, number: int) -> None:
        session = self._held[number]
        session.expect("EXECUTE held_check;", _checked(*_held_by(number)))
        self._check_walk(session, number)
        self._check_consistent(session)

    def _check_walk(self, session: Session, number: int) -> None:
        first, limit = _held_by(number)
        rows = session.ask("MOVE BACKWARD ALL IN walk; "
                           "FETCH FORWARD ALL IN walk;").splitlines()
        if [row.split("|")[0] for row in rows] != [
                str(i) for i in range(first, limit)]:
            raise WrongData(f"the cursor gives {len(rows)} rows: {rows[:3]}")

    def _check_anew(self) -> None:
        """By a backend that is forked for it."""
        session = Session(self._server)
        self._check_consistent(session)
        session.ask(f"""
            CREATE TEMP TABLE held (id bigint, digest text, data text);
            {_inserting('held', 7, 20_000)}""")
        session.expect(_checking("held"), _checked(7, 20_000))
        session.close()

    def _check_consistent(self, session: Session) -> None:
        """While others change the table, it holds as many rows as ever."""
        session.expect(
            "SELECT count(*), max(id) - min(id) + 1, count(*) FILTER "
            f"(WHERE {_is_wrong()}) FROM rows;",
            "{0}|{0}|0".format(self._limit - self._first))

    def _change(self) -> None:
        """In steps, each of which leaves as many rows as there were."""
        session = Session(self._server)
        step = REPLACED_ROWS // 5
        for i in range(0, REPLACED_ROWS, step):
            session.ask(f"""
                BEGIN;
                DELETE FROM rows WHERE id < {self._first + i + step};
                {_inserting('rows', self._limit + i, self._limit + i + step)}
                COMMIT;""")
            session.ask("VACUUM (ANALYZE) rows;" if i else
                        "REINDEX INDEX by_digest;")
        session.close()

    def _check_all(self, session: Session) -> None:
        session.expect(_checking("rows"), _checked(self._first, self._limit))
        session.expect(
            "SELECT count(*) FROM (SELECT bt_index_check(i.indexrelid, "
            "heapallindexed => true) FROM pg_index i JOIN pg_class c "
            "ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
            "WHERE i.indrelid = 'rows'::regclass AND a.amname = 'btree') "
            "AS checked;", "2")
        session.expect("SELECT * FROM verify_heapam('rows');", "")


def _held_by(session: int) -> tuple[int, int]:
    return session * 1_000_000, session * 1_000_000 + HELD_ROWS


def _inserting(table: str, first: int, limit: int) -> str:
    data = _DATA.format(id="i")
    return (f"INSERT INTO {table} SELECT i, md5({data}), {data} "
            f"FROM generate_series({first}, {limit - 1}) AS i;")


def _is_wrong() -> str:
    return (f"data IS DISTINCT FROM {_DATA.format(id='id')} "
            "OR digest IS DISTINCT FROM md5(data)")


def _checking(table: str) -> str:
    return (f"SELECT count(*), sum(id), count(*) FILTER (WHERE {_is_wrong()}) "
            f"FROM {table};")


def _checked(first: int, limit: int) -> str:
    return f"{limit - first}|{sum(range(first, limit))}|0"


def obey(database: Database) -> str:
    database.check_and_change()
    return f"OK sessions={SESSIONS} held and {SESSIONS} new"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=120_000)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    os.chdir("/")
    try:
        database = Database(Server(options.state, options.bin), options.rows)
    except WrongData as error:
        answer(options.state, 0, f"WRONG {error}".replace("\n", " "))
        return
    answer_commands(options.state, lambda: obey(database))


if __name__ == "__main__":
    sys.exit(main())
