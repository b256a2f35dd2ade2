"""All goes well."""

from pathlib import Path

from harness import tools
from harness.migration import Stage, Station, running, stage
from harness.namespaces import Failed
from harness.waiting import wait_until
from harness.workloads import CommandedTarget, Workload

_TIMES = 20


def a_process_is_moved() -> str:
    with stage("migration-process") as here:
        workload = CommandedTarget("verifying_target")
        told = _move_and_verify(here, workload)
        return (f"downtime {told['downtime_ms']} ms, {told['age_ms']} ms in "
                f"all, {told['pages_total']} pages, {told['faults']} faults")


def a_criu_that_cannot_be_answered_looks_for_itself() -> str:
    with stage("migration-unanswered") as here:
        workload = CommandedTarget("verifying_target")
        folder = here.scene.make_folder("criu")
        criu = folder / "criu"
        criu.write_text(
            "#!/bin/sh\n"
            f'[ "$1" != swrk ] || ! mkdir {folder}/asked 2>/dev/null ||\n'
            f'  exec {tools.target("unscanning_criu")} "$@"\n'
            f'exec {tools.criu()} "$@"\n')
        criu.chmod(0o755)
        told = _move_and_verify(here, workload, "--criu", criu)
        logs = [path.read_text() for path in here.left.migrations.glob("*/log")]
        if not (folder / "asked").exists() or "PAGEMAP_SCAN" not in logs[0]:
            raise Failed(f"it was not parked twice: {logs}")
        return f"downtime {told['downtime_ms']} ms"


def a_tree_goes_there_and_back() -> str:
    with stage("migration-tree") as here:
        workload = CommandedTarget("tree_target")
        state = here.scene.make_folder("state")
        workload.start(here.left.host, state)
        downtimes = []
        for number in range(_TIMES):
            ends = (here.left, here.right)
            source, destination = ends[number % 2], ends[1 - number % 2]
            told = here.migrate(source, destination).wait()
            downtimes.append(told["downtime_ms"])
            expect_only_at(destination, source, workload)
            workload.verify(destination.host, state)
        downtimes.sort()
        return (f"{_TIMES} times, downtime {downtimes[0]} to {downtimes[-1]} "
                f"ms, median {downtimes[len(downtimes) // 2]}")


def _move_and_verify(here: Stage, workload: Workload,
                     *options: str | Path) -> dict:
    state = here.scene.make_folder("state")
    workload.start(here.left.host, state)
    migration = here.migrate(here.left, here.right, *options)
    migration.wait_for_state("spooling", "draining", "releasing", "released")
    workload.verify(here.right.host, state)
    told = migration.wait()
    workload.verify(here.right.host, state)
    expect_only_at(here.right, here.left, workload)
    if told["state"] != "released":
        raise Failed(f"it ended as {told}")
    return told


def expect_only_at(there: Station, not_here: Station,
                   workload: Workload) -> None:
    if not_here.processes(workload.comm):
        raise Failed(f"{workload.comm} is still at {not_here.host.name}")
    wait_until(f"{workload.comm} running at {there.host.name}",
               lambda: running(there, workload.comm) > 0)
