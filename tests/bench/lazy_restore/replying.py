"""How soon whole programs reply after they were restored, and for how many
pages somebody had to wait, with and without a recording of an earlier restore."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from harness import checkpoint as checkpoints
from harness import java, tools
from harness.images import copy_without_lazy_pages
from harness.namespaces import Failed, Host
from harness.redis_workload import RedisWorkload, connection, exchange
from harness.scene import Scene
from harness.waiting import nothing
from harness.workloads import CommandedTarget, Workload

from .contenders import LOCAL, REMOTE, DemandOnly, Pagelift
from .measured import Measured
from .workload import Deadline, Touching, guest_of

_JAVA_ENTRIES = 120_000
_JAVA_QUERIES = 2000


class _Redis(RedisWorkload):
    """Replies when a twentieth of its keys has been read."""

    def __init__(self) -> None:
        super().__init__()
        # Far from each other, and not in the order of memory.
        self._asked = self.data.read[::20]

    def verify(self, guest: Host, state: Path,
               meanwhile: Callable[[], None] = nothing) -> str:
        del state
        with connection(guest, meanwhile) as redis:
            for batch in self._asked:
                exchange(redis, batch)
        return "OK"


def programs() -> dict[str, Callable[[], Workload]]:
    """Those that can be run here."""
    found: dict[str, Callable[[], Workload]] = {
        "redis": _Redis,
        "sqlite": lambda: CommandedTarget("query_target.py"),
    }
    if java.program("javac") is not None:
        found["jvm"] = lambda: java.JavaTarget(
            "QueryTarget", ("-Xms256m", "-Xmx512m"), _JAVA_ENTRIES,
            _JAVA_QUERIES)
    return found


class ReplyingProgram:
    """A program, checkpointed once; what contenders want of a workload."""

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene = scene
        self._workload = programs()[name]()
        state = scene.make_folder("state")
        self._workload.start(scene.source, state)
        self._checkpoint = checkpoints.dump(scene, state, self._workload.comm)
        self.images = self._checkpoint.images
        self.images_without_pages = scene.folder / "images-without-pages"
        copy_without_lazy_pages(self.images, self.images_without_pages)
        size = sum(file.stat().st_size
                   for file in self.images.glob("pages-*.img"))
        self.mib = size / (1 << 20)
        self.pages = size // 4096

    def guest(self, _: Touching) -> AbstractContextManager[
            tuple[Host, Path, Path]]:
        return guest_of(self._scene, self._checkpoint)

    def wait_for_reply(self, guest: Host, state: Path,
                       meanwhile: Callable[[], None]) -> None:
        self._workload.verify(guest, state, meanwhile)


class _Replying(Pagelift):
    """Measures until the first reply, and not until all is touched."""

    def _first_result(self, guest: Host, state: Path, started_at: int,
                      deadline: Deadline,
                      raise_if_failed: Callable[[], None]) -> dict:
        del deadline
        self._workload.wait_for_reply(guest, state, raise_if_failed)
        return {"reply_ms": (time.time_ns() - started_at) / 1e6, "wrong": 0}

    def _wrong_pages(self, state: Path, deadline: Deadline) -> int:
        del state, deadline  # The reply was compared.
        return 0


class Eager(_Replying):
    """`criu restore` of local images, and nothing lazy about it."""

    name = "all local"

    def _start(self, work: Path) -> None:
        del work

    def _restore_command(self, work: Path) -> list[str | Path]:
        return [tools.criu(), "restore", "--images-dir", self._workload.images,
                "--work-dir", work, "--restore-detached", "--log-file",
                "restore.log"]

    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        del work
        restoring.ended_at_ns(deadline.left())
        return {}


class NoPrefetch(_Replying, DemandOnly):
    """Each page when it is touched; all others after the reply."""

    name = "no prefetch"


class First(_Replying):
    """With nothing known of the program."""

    name = "first restore"


class Second(_Replying):
    """With a recording of an earlier restore at the page server."""

    name = "second restore"


class Recording(_Replying):
    """Makes that recording: an ordinary restore that is recorded."""

    name = "recorded restore"

    def _server_options(self) -> list[str]:
        return ["--keep-working-sets"]

    def _restore_options(self) -> list[str]:
        return ["--record"]


# Before and after there is a recording; what is local is measured both times,
# so that it is compared with what ran beside it.
BEFORE = (NoPrefetch, First, Eager)
AFTER = (Second, Eager)


def measure(scene: Scene, name: str, repetitions: int,
            take: Callable[[type[_Replying], dict | Exception], None]) -> None:
    """Tells `take` of each run, in turn."""
    program = ReplyingProgram(scene, name)

    def run(kind: type[_Replying]) -> None:
        place = LOCAL if kind is Eager else REMOTE
        try:
            take(kind, kind(scene, program, place).run(Touching("", 0)))
        except Exception as error:
            take(kind, error)

    for _ in range(repetitions):
        for kind in BEFORE:
            run(kind)
    run(Recording)
    if not (program.images / "pagelift-working-set").exists():
        raise Failed(f"{name}: nothing was recorded")
    for _ in range(repetitions):
        for kind in AFTER:
            run(kind)
