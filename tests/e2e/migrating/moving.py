"""All goes well."""

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


def _move_and_verify(here: Stage, workload: Workload) -> dict:
    state = here.scene.make_folder("state")
    workload.start(here.left.host, state)
    migration = here.migrate(here.left, here.right)
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
