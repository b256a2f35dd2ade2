"""A restored process whose daemon is killed and replaced, and where that
happens."""

import contextlib
import shutil
from collections.abc import Iterator

from harness import checkpoint as checkpoints
from harness import tools, ways
from harness.checkpoint import Checkpoint
from harness.scene import Scene
from harness.waiting import wait_until
from harness.workers import worker_of
from harness.workloads import Workload

# So that memory is still arriving when something happens.
_MEGABITS = 200


class PageliftWay(ways.PageliftRestoreWay):
    """Of which the worker is known, and the program can be replaced."""

    def worker(self) -> int:
        pid = self._daemon.pid()
        found = wait_until("a worker",
                           lambda: (worker_of(pid) if worker_of(pid) != pid
                                    else None))
        return int(found)

    def upgrade(self, number: int) -> None:
        """To a copy, and back again."""
        copy = self._scene.folder / "another"
        if not copy.exists():
            copy.mkdir()
            for name in ("pageliftd", "libpageliftd_worker.so"):
                shutil.copy(tools.pagelift(name), copy / name)
        program = (copy / "pageliftd" if number % 2 == 0
                   else tools.pagelift("pageliftd"))
        self._scene.destination.run(
            [tools.pagelift("pagelift"), "upgrade", "--control", self._control,
             program])


@contextlib.contextmanager
def served(workload: Workload, kind: type[ways.RestoreWay],
           place: str = ways.REMOTE
           ) -> Iterator[tuple[Scene, Checkpoint, ways.RestoreWay]]:
    with Scene("crash") as scene:
        try:
            scene.make_cable_thin(_MEGABITS)
            state = scene.make_folder("state")
            workload.start(scene.source, state)
            checkpoint = checkpoints.dump(scene, state, workload.comm,
                                          workload.dump_as)
            way = kind(scene, checkpoint, place)
            yield scene, checkpoint, way
            way.close()
        except Exception:
            print(scene.telling_log_lines())
            raise
