"""The cases: a workload is checkpointed, and restored so many times at once."""

import concurrent.futures
import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import checkpoint as checkpoints
from . import images, ways
from .checkpoint import Checkpoint
from .namespaces import Failed, Host
from .redis_workload import RedisWorkload
from .scene import Scene, copy_folder
from .workloads import CommandedTarget, IncrementalTarget, Workload

WORKLOADS: dict[str, Callable[[], Workload]] = {
    "redis": RedisWorkload,
    "python": lambda: CommandedTarget("python_target.py"),
    "threads": lambda: CommandedTarget("verifying_target"),
    "tree": lambda: CommandedTarget("tree_target"),
    "endings": lambda: CommandedTarget("ending_target"),
    "shared": lambda: CommandedTarget("verifying_target", "--mib", "16",
                                      "--shared-mib", "4"),
    "incremental": lambda: IncrementalTarget("verifying_target"),
}
CLONES = (1, 4)
_SECONDS_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Case:
    """One way, one workload, one place that pages come from, so many restores
    of one checkpoint at once."""

    way: str
    workload: str
    place: str
    clones: int

    @property
    def name(self) -> str:
        return f"{self.way}/{self.workload}-{self.place}-{self.clones}"


def all_cases() -> list[Case]:
    """Every case there is, whether CRIU can do it or not."""
    found = []
    for name, way in ways.WAYS.items():
        for workload in WORKLOADS:
            for place in way.places:
                if name == "criu" and place == ways.REMOTE:
                    continue  # Its own server is the page server.
                if workload == "incremental" and not can_be_incremental(
                        name, place):
                    continue
                for clones in CLONES:
                    # A parked dump has one client.
                    if place != ways.PARKED or clones == 1:
                        found.append(Case(name, workload, place, clones))
    return found


def can_be_incremental(way: str, place: str) -> bool:
    """CRIU wants all pages of parents when it restores, unless it is given a
    view in which they are lazy; and its page server does not serve them."""
    return place == ways.EMBEDDED or issubclass(ways.WAYS[way],
                                                ways.PageliftRestoreWay)


def run_case(case: Case, repeat: int, keep: bool,
             tell: Callable[[str], None], megabits: int = 0) -> None:
    """Raises if anything was wrong. `tell` takes what may be of interest.
    `megabits`, if any, is what the cable between the hosts carries a second."""
    with Scene(case.name, keep) as scene:
        try:
            if megabits:
                scene.make_cable_thin(megabits)
            _run(case, scene, repeat, tell)
        except BaseException:
            tell(scene.telling_log_lines())
            tell(f"everything is in {scene.folder}")
            raise


def _run(case: Case, scene: Scene, repeat: int,
         tell: Callable[[str], None]) -> None:
    if case.place == ways.PARKED and repeat > 1:
        raise Failed("a parked dump can be restored once only")
    workload = WORKLOADS[case.workload]()
    state = scene.make_folder("state")
    workload.start(scene.source, state)
    checkpoint = (
        checkpoints.park(scene, state, workload.comm)
        if case.place == ways.PARKED else
        checkpoints.dump(scene, state, workload.comm, workload.dump_as))
    checkpoint = dataclasses.replace(
        checkpoint, images=workload.rework(checkpoint.images))
    tell(f"{images.lazy_pages(checkpoint.images)} lazy pages")
    way = ways.WAYS[case.way](scene, checkpoint, case.place)
    for _ in range(repeat):
        with concurrent.futures.ThreadPoolExecutor(case.clones) as pool:
            clones = [pool.submit(restore_and_verify, scene, checkpoint, way,
                                  workload) for _ in range(case.clones)]
            try:
                for clone in concurrent.futures.as_completed(clones):
                    tell(clone.result())
            except BaseException:
                scene.end()  # So that the others need not be waited for.
                raise
    checkpoint.finish()
    way.close()


def restore_and_verify(scene: Scene, checkpoint: Checkpoint,
                       way: ways.RestoreWay, workload: Workload) -> str:
    """One restore, its program verified while memory arrives and after. Returns
    what both said; the last line is the way's own report, if it makes one."""
    with guest_of(scene, checkpoint) as (guest, folder):
        work = folder / "work"
        state = folder / "state"
        restore = way.restore(guest, work)
        watch = Watch(guest, workload.comm, checkpoint.pids, restore)
        with workload.load(guest, state):
            during = workload.verify(guest, state, watch)
            restore.wait_complete()
        after = workload.verify(guest, state, watch)
        report = restore.report()
        if report:
            workload.judge(images.lazy_pages(checkpoint.images), during,
                           json.loads(report))
        return f"during: {during}\nafter: {after}\n{report}"


class Watch:
    """Called while waiting: raises if the restore failed, or if a restored
    process was there and is no more."""

    def __init__(self, guest: Host, comm: str, pids: frozenset[int],
                 restore: ways.Restore) -> None:
        self._guest = guest
        self._comm = comm
        self._pids = pids
        self._restore = restore
        self._all_seen = False
        self._next_look = 0.0

    def __call__(self) -> None:
        self._restore.raise_if_failed()
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        restored = self._all_seen or self._restore.restoring.exit_code() == 0
        missing = self._pids - self._guest.pids_called(self._comm)
        if missing and restored:
            raise Failed(f"{self._comm} died after its restore: pids "
                         f"{sorted(missing)} in {self._guest.name}")
        self._all_seen = not missing


@contextlib.contextmanager
def guest_of(scene: Scene,
             checkpoint: Checkpoint) -> Iterator[tuple[Host, Path]]:
    """A guest of the destination host that sees the target's state folder as
    it was at the checkpoint, and a folder for both."""
    name = scene.next_restore_name()
    folder = scene.make_folder(name)
    (folder / "work").mkdir()
    copy_folder(checkpoint.saved_state, folder / "state")
    guest = Host(name, inside=scene.destination)
    try:
        guest.mount_over(folder / "state", checkpoint.state)
        yield guest, folder
    finally:
        guest.close()
