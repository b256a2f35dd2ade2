"""Many threads of one process that wait for pages at the same time."""

from harness.scene import Scene
from harness.waiting import wait_until
from harness.workloads import CommandedTarget

from .stage import Restored, Stage, expect_complete

_THREADS = 64
_SECONDS = 20


def sixty_four_fault_at_once(scene: Scene) -> str:
    """With a link that is frozen all of them are seen to wait at once, first
    for one page and then for one each. Then at full speed, by demand alone and
    while a slow prefetch brings the same pages."""
    stage = Stage(scene, CommandedTarget("crowd_target", "--threads",
                                         str(_THREADS)))
    with stage.restored("off", stage.url_by_link) as target:
        target.verify()  # They wake, and have what they need for that.
        _expect_all_to_wait(stage, target, pages=1)
        _expect_all_to_wait(stage, target, pages=_THREADS)
        target.verify()
        stage.complete(target)
    figures = []
    for prefetch in ("off", "rate=8"):
        with stage.restored(prefetch, stage.url) as target:
            for _ in range(4):
                told = target.verify()
            stage.complete(target)
            target.verify()
            session = stage.session_of(target)
        expect_complete(session)
        latency = session["fault_latency_us"]
        figures.append(
            f"prefetch {prefetch}: {session['faults']} faults, "
            f"{session['demand_fetches']} fetched by demand, "
            f"{session['late_faults']} faults of pages on their way, p50 "
            f"{latency['p50']} us, p99 {latency['p99']} us, {told}")
    stage.close()
    return "\n".join([f"{_THREADS} threads waited for the same page, and for "
                      f"{_THREADS} pages", *figures])


def _expect_all_to_wait(stage: Stage, target: Restored, pages: int) -> None:
    """For so many pages, all at once."""

    def fetches() -> int:
        return int(stage.session_of(target)["demand_fetches"])

    before = fetches()
    stage.freeze_link()
    try:
        command = target.command()
        stage.wait_for_threads_in_faults(_THREADS)
        wait_until(f"{pages} pages being asked for",
                   lambda: fetches() == before + pages, _SECONDS)
    finally:
        stage.thaw_link()
    target.answer(command)
