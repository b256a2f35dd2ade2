"""A very large address space with little in it."""

from harness.images import lazy_pages
from harness.namespaces import Failed
from harness.scene import Scene
from harness.workloads import CommandedTarget

from . import usage
from .stage import Stage, expect_complete

_GIB = 100
_RUNS = 3000
_MOST_PRIVATE_MIB = 64


def hundred_gibibytes(scene: Scene) -> str:
    """Its daemon has to do with what is populated only. What never was is
    touched too, beside that and far from it."""
    stage = Stage(scene, CommandedTarget("sparse_target", "--gib", str(_GIB),
                                         "--runs", str(_RUNS)))
    lines = [f"{_RUNS} runs of pages in {_GIB} GiB, {lazy_pages(stage.images)} "
             "lazy pages"]
    for prefetch in ("off", "rate=32"):
        with (usage.Peaks(stage.daemon_pid) as peaks,
              stage.restored(prefetch, stage.url) as target):
            told = target.verify()
            stage.complete(target)
            target.verify()
            session = stage.session_of(target)
            mapped = target.mapped_gib()
        expect_complete(session)
        if mapped < _GIB:
            raise Failed(f"{mapped} GiB are mapped, not {_GIB}")
        if not session["pages_zeroed"]:
            raise Failed(f"nothing was zero: {session}")
        if peaks.private > _MOST_PRIVATE_MIB:
            raise Failed(f"pageliftd has {peaks.private:.1f} MiB of its own, "
                         f"more than {_MOST_PRIVATE_MIB}")
        lines.append(
            f"prefetch {prefetch}: {session['faults']} faults, "
            f"{session['demand_fetches']} fetched by demand, "
            f"{session['pages_zeroed']} pages zeroed, pageliftd's private "
            f"memory {peaks.private:.1f} MiB, {told}")
    stage.close()
    return "\n".join(lines)
