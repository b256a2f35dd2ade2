"""A redis whose clients do not notice."""

from harness.lan import SERVICE, Load
from harness.migration import Stage, Station, stage
from harness.namespaces import Failed
from harness.open_loop import replies_in
from harness.redis_commands import DataSet
from harness.redis_workload import RedisWorkload, connection, exchange
from harness.waiting import nothing

from .moving import expect_only_at

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


def _migrate(here: Stage, source: Station, destination: Station) -> dict:
    told = here.migrate(source, destination, *here.lan.options()).wait()
    if told["state"] != "released":
        raise Failed(f"it ended as {told}")
    return told

