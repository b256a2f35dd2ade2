"""A redis whose clients do not notice."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from harness.lan import SERVICE
from harness.migration import Stage, Station, stage
from harness.namespaces import Failed, Process
from harness.open_loop import replies_in
from harness.redis_commands import DataSet
from harness.redis_workload import RedisWorkload, connection, exchange
from harness.waiting import PATIENCE_SECONDS, nothing, wait_until

from .moving import expect_only_at

_KEYS = 60_000  # Some 64 MiB, as redis keeps them.
_LONGER = 200
_RATE = 500
_CONNECTIONS = 4


def connections_move_along() -> str:
    """There and back: what CRIU leaves where it has dumped must not keep
    anybody from coming back."""
    with stage("migration-connections", with_lan=True) as here:
        client = here.lan.client
        data = DataSet(_KEYS, _LONGER)
        redis = RedisWorkload(data, SERVICE)
        redis.start(here.left.host, here.scene.make_folder("state"))
        output = here.scene.folder / "replies"
        downtimes = []
        with (connection(client, nothing, address=SERVICE) as old,
              steady_load(here, output, _KEYS, _LONGER, _RATE,
                          _CONNECTIONS) as load):
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


def _migrate(here: Stage, source: Station, destination: Station) -> dict:
    told = here.migrate(source, destination, *here.lan.options()).wait()
    if told["state"] != "released":
        raise Failed(f"it ended as {told}")
    return told


@contextlib.contextmanager
def steady_load(here: Stage, output: Path, keys: int, longer: int, rate: int,
                connections: int) -> Iterator[Process]:
    """A client that asks at fixed times; raises in the end if a connection
    broke, or a reply was wrong or never came."""
    program = Path(replies_in.__code__.co_filename)
    load = here.lan.client.start(
        "the client", ["/usr/bin/python3", program, "--address", SERVICE,
                       "--connections", str(connections), "--rate", str(rate),
                       "--keys", str(keys), "--longer", str(longer),
                       "--output", output], output.with_suffix(".log"))
    wait_until("the client's connections", output.exists, PATIENCE_SECONDS,
               load.raise_if_ended)
    yield load
    load.send_signal(signal.SIGTERM)
    if load.wait(PATIENCE_SECONDS) != 0:
        raise Failed(f"the client: {load.log.read_text()[-2000:]}")
