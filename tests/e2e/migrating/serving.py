"""A redis whose clients do not notice."""

import os
import signal
from collections.abc import Callable

from harness import tools
from harness.lan import SERVICE, Load
from harness.migration import (GUARD, SERVER, Migration, Stage, Station,
                               stage)
from harness.namespaces import Failed
from harness.open_loop import replies_in
from harness.redis_commands import DataSet
from harness.redis_workload import RedisWorkload, connection, exchange
from harness.waiting import nothing, wait_until

from .crashing import place_of, settle, wait_for_step
from .moving import expect_only_at
from .scanning import standing_still

_GIVE_UP = "3s"
# Some 64 MiB, as redis keeps them.
_LOAD = Load(rate=500, connections=4, keys=60_000, longer=200)


def connections_move_along() -> str:
    """There and back: what CRIU leaves where it has dumped must not keep
    anybody from coming back."""
    with stage("migration-connections", with_lan=True) as here:
        client = here.lan.client
        data = DataSet(_LOAD.keys, _LOAD.longer)
        redis = RedisWorkload(data, SERVICE)
        redis.start(here.left.host, here.scene.make_folder("state"))
        output = here.scene.folder / "replies"
        downtimes = []
        with (connection(client, nothing, address=SERVICE) as old,
              here.lan.load(_LOAD, output) as load):
            for source, destination in ((here.left, here.right),
                                        (here.right, here.left)):
                told = _migrate(here, source, destination)
                downtimes.append(told["downtime_ms"])
                expect_only_at(destination, source, redis)
                load.raise_if_ended()
                for batch in data.read:
                    exchange(old, batch)
                # New ones find it, too.
                redis.verify(client, output)
        replies = replies_in(output)
        stall = max(reply.came_ns - reply.due_ns for reply in replies) / 1e6
        return (f"downtime {' and '.join(map(str, downtimes))} ms, "
                f"{len(replies)} replies, the latest {stall:.0f} ms late")


def connections_stay_if_it_fails() -> str:
    """Taken back while it is restored there: it goes on here."""

    def abort(here: Stage, migration: Migration) -> None:
        here.left.host.run(
            [tools.pagelift("pagelift"), "abort", "--state",
             here.left.migrations, migration.id])

    return _stay("migration-taken-back", abort)


def connections_stay_if_all_die() -> str:
    """Nobody is left who could help CRIU."""

    def kill_all(here: Stage, migration: Migration) -> None:
        del migration
        pids = [*here.left.processes(GUARD), *here.left.processes(SERVER)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)

    return _stay("migration-all-dead", kill_all)


def _stay(name: str, fail: Callable[[Stage, Migration], None]) -> str:
    with stage(name, with_lan=True) as here:
        data = DataSet(_LOAD.keys, _LOAD.longer)
        redis = RedisWorkload(data, SERVICE)
        redis.start(here.left.host, here.scene.make_folder("state"))
        output = here.scene.folder / "replies"
        with (connection(here.lan.client, nothing, address=SERVICE) as old,
              here.lan.load(_LOAD, output) as load):
            migration = here.migrate(here.left, here.right,
                                     "--give-up-after", _GIVE_UP,
                                     *here.lan.options())
            place = place_of(migration)
            wait_for_step(place, "restoring", migration)
            with standing_still(here.right):
                fail(here, migration)
                # It does not wait for the destination.
                for batch in data.read:
                    exchange(old, batch)
            state = settle(migration, place)
            if state != "aborted":
                raise Failed(f"it ended as {state}")
            load.raise_if_ended()
            # Which is told in the background.
            wait_until("the destination being rid of it",
                       lambda: not here.right.processes(redis.comm))
            expect_only_at(here.left, here.right, redis)
            # What was taken back there is not in the way of another try.
            _migrate(here, here.left, here.right)
            expect_only_at(here.right, here.left, redis)
            redis.verify(here.lan.client, output)
        return f"{len(replies_in(output))} replies"


def _migrate(here: Stage, source: Station, destination: Station) -> dict:
    told = here.migrate(source, destination, *here.lan.options()).wait()
    if told["state"] != "released":
        raise Failed(f"it ended as {told}")
    return told

