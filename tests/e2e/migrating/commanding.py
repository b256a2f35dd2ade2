"""What `pagelift migrate` and `pagelift abort` say and do, as docs/cli.md has
it."""

import json
import os
import signal
from pathlib import Path

from harness import tools
from harness.beats import wait_for_beats
from harness.certificates import Authority
from harness.migration import (GUARD, RECEIVER, SERVER, Migration, Stage,
                               Station, stage)
from harness.namespaces import Failed
from harness.waiting import PATIENCE_SECONDS
from harness.workloads import CommandedTarget

_TARGET = "beating_target"


def _start(here: Stage) -> Path:
    state = here.scene.make_folder("state")
    here.left.host.start_target([tools.target(_TARGET), "--state", state],
                                state / "log")
    wait_for_beats(state, here.left.host)
    return state


def _expect(migration: Migration, code: int, *words: str) -> str:
    migration.wait(code)
    said = migration.output.read_text()
    for word in words:
        if word not in said:
            raise Failed(f"does not say {word!r}: {said[-2000:]}")
    return said


def a_dry_run_changes_nothing() -> str:
    with stage("migration-dry-run") as here:
        state = _start(here)
        said = _expect(here.migrate(here.left, here.right, "--dry-run"), 0,
                       '"could":true')
        wait_for_beats(state, here.left.host)
        if list(here.left.migrations.glob("*")):
            raise Failed("it has left something")
        if list(here.right.incoming.glob("*/record")):
            raise Failed("it has left something at the destination")
        told = json.loads(said.splitlines()[-1])
        return f"{told['memory_bytes'] >> 20} MiB could be moved"


def what_is_in_the_way_is_told() -> str:
    with stage("migration-obstacles") as here:
        state = _start(here)
        absent = here.migrate(here.left, here.right, pid=999)
        _expect(absent, 1, "process 999")
        _expect(here.migrate(here.left, here.right,
                             "--restore-option=--images-dir=/"), 1,
                "cannot give --images-dir")
        _expect(here.migrate(here.left, here.right,
                             "--dump-option=--leave-running"), 1,
                "cannot give --leave-running")
        # A host where nobody takes migrations.
        here.right.kill(RECEIVER)
        here.right.kill(SERVER)
        _expect(here.migrate(here.left, here.right, "--give-up-after", "1s"), 1,
                "does not answer", "--accept-migrations")
        _expect(here.migrate(here.left, here.right, "--dry-run"), 1,
                '"could":false', "does not answer")
        wait_for_beats(state, here.left.host)
        return "no such process, nobody there"


def one_that_lacks_memory_is_not_moved() -> str:
    """Its missing pages would be zeros."""
    with stage("migration-lazy") as here:
        state = _start(here)
        moved = here.migrate(here.left, here.right, "--prefetch", "off",
                             "--no-wait")
        moved.wait()
        wait_for_beats(state, here.right.host)
        _expect(here.migrate(here.right, here.left), 1, "restored")
        wait_for_beats(state, here.right.host)
        return "refused as long as pages are missing"


def a_migration_is_aborted() -> str:
    """At the source, while the receiver does not answer."""
    with stage("migration-abort") as here:
        state = _start(here)
        stopped = here.right.processes(SERVER)
        migration = here.migrate(here.left, here.right)
        migration.wait_for_state("shipping", "restoring")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            said = here.left.host.run(
                [tools.pagelift("pagelift"), "abort", migration.id, "--state",
                 here.left.migrations])
        except Exception as error:
            if "past the commit point" not in str(error):
                raise
            said = str(error)  # It was faster.
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        aborted = "runs here" in said
        migration.wait(1 if aborted else 0)
        there = here.left if aborted else here.right
        wait_for_beats(state, there.host)
        listed = here.left.host.run(
            [tools.pagelift("pagelift"), "migrate", "--list", "--state",
             here.left.migrations])
        if (migration.id not in listed
                or ("aborted" if aborted else "released") not in listed):
            raise Failed(f"it is listed as {listed}")
        return said.strip()


def over_tls() -> str:
    """Both ends certified, each for another name; strangers are not let in."""

    def secure(left: Station, right: Station) -> None:
        authority = Authority(right.folder, "authority")
        one = authority.issue("one", "DNS:one.example")
        two = authority.issue("two", f"IP:{right.host.address}")
        right.daemon_security = ("--migration-tls", two, "--migrations-from",
                                 "DNS:one.example")
        left.daemon_security = ("--migration-tls", one)
        left.command_security = ("--tls", one, "--certified-as", "one.example")
        stranger = authority.issue("stranger", "DNS:stranger.example")
        right.command_security = ("--tls", stranger)

    with stage("migration-tls", prepare=secure) as here:
        state = _start(here)
        as_one = here.left.command_security
        here.left.command_security = here.right.command_security
        _expect(here.migrate(here.left, here.right, "--give-up-after", "2s"), 1,
                "may not migrate to here")
        here.left.command_security = ("--insecure",)
        _expect(here.migrate(here.left, here.right, "--give-up-after", "2s"), 1,
                "does not answer")
        wait_for_beats(state, here.left.host)
        here.left.command_security = as_one
        told = here.migrate(here.left, here.right).wait()
        wait_for_beats(state, here.right.host)
        return f"downtime {told['downtime_ms']} ms"


def a_spool_on_the_disk_outlives_its_server() -> str:
    """All that is left at the source is a file: the pages still come."""
    with stage("migration-spool") as here:
        workload = CommandedTarget("verifying_target")
        state = here.scene.make_folder("state")
        workload.start(here.left.host, state)
        spool = here.left.folder / "spool"
        # Nothing comes by itself, so that much is missing when all die.
        migration = here.migrate(here.left, here.right, "--spool", spool,
                                 "--spool-after", "0s", "--prefetch", "off")
        migration.wait_for_state("draining")
        here.left.kill(GUARD)
        here.left.kill(SERVER)
        if here.left.processes(workload.comm):
            raise Failed("the frozen process is still there")
        migration.wait(3)
        resumed = here.left.host.start(
            "pagelift migrate --resume",
            [tools.pagelift("pagelift"), "migrate", "--resume", migration.id,
             "--state", here.left.migrations],
            here.left.folder / "resumed.log")
        # What it touches only the file has; and then what it does not.
        workload.verify(here.right.host, state)
        _prefetch_all(here.right)
        if resumed.wait(PATIENCE_SECONDS) != 0:
            raise Failed(resumed.log.read_text())
        workload.verify(here.right.host, state)
        if list(spool.glob("*")):
            raise Failed("the spool is still there")
        return "all pages came from the file"


def _prefetch_all(station: Station) -> None:
    told = station.host.run([tools.pagelift("pagelift"), "status", "--json",
                             "--control", station.control])
    for session in json.loads(told)["sessions"]:
        if session["state"] == "draining":
            station.host.run([tools.pagelift("pagelift"), "tune",
                              session["session"], "--prefetch", "full",
                              "--control", station.control])


def without_a_spool() -> str:
    with stage("migration-no-spool") as here:
        state = _start(here)
        told = here.migrate(here.left, here.right, "--spool", "none").wait()
        wait_for_beats(state, here.right.host)
        if here.left.processes(_TARGET):
            raise Failed("the frozen process is still there")
        if told["pages_spooled"] != 0:
            raise Failed("something was copied")
        return "the frozen process went when all had arrived"


def hooks_are_run() -> str:
    with stage("migration-hooks", prepare=_with_hooks) as here:
        state = _start(here)
        here.migrate(here.left, here.right, "--hook",
                     here.left.folder / "hook").wait()
        wait_for_beats(state, here.right.host)
        events = [line.split()[0] for name in ("left", "right")
                  for line in (here.scene.folder / name / "events")
                  .read_text().splitlines()]
        if events != ["commit", "restore", "resume"]:
            raise Failed(f"the hooks were told {events}")
        # One that fails at the source keeps the process there.
        failing = here.right.folder / "failing"
        failing.write_text("#!/bin/sh\ntest $1 != commit\n")
        failing.chmod(0o755)
        migration = here.migrate(here.right, here.left, "--hook", failing)
        _expect(migration, 1, "ended with exit code 1")
        wait_for_beats(state, here.right.host)
        return "commit, restore, resume; and a commit that fails"


def _with_hooks(left: Station, right: Station) -> None:
    for station in (left, right):
        hook = station.folder / "hook"
        hook.write_text("#!/bin/sh\n"
                        f'echo "$1 $2" >>{station.folder}/events\n')
        hook.chmod(0o755)
    right.hook = right.folder / "hook"


def one_that_is_told_to_end_goes_on() -> str:
    """Past the commit point there may be no copy of the memory but its own."""
    with stage("migration-sigterm") as here:
        workload = CommandedTarget("verifying_target")
        state = here.scene.make_folder("state")
        workload.start(here.left.host, state)
        migration = here.migrate(here.left, here.right, "--prefetch", "off")
        migration.wait_for_state("draining")
        if here.left.processes(workload.comm):
            raise Failed("the frozen process is still there")
        for pid in here.left.processes(GUARD):
            os.kill(pid, signal.SIGTERM)
        workload.verify(here.right.host, state)
        _prefetch_all(here.right)
        told = migration.wait()
        workload.verify(here.right.host, state)
        if told["pages_lost"]:
            raise Failed(f"lost pages: {told}")
        return "it ended when all had arrived"
