"""Who moves a process from one host to another: CRIU in its two ways, and
Pagelift. Each does what it does as soon as it can."""

import abc
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import tools
from harness.lan import DUMP_OPTIONS, RESTORE_OPTIONS, run_hook
from harness.migration import Migration, Stage
from harness.namespaces import FIRST_TARGET_PID, Failed, Process
from lazy_restore.measured import CableWatch

from .copying import Copying

_PAGE_PORT = 27000
_POLL_SECONDS = 0.002
_SECONDS = 60.0
# Files that are in memory: no disk is waited for.
_MEMORY = Path("/dev/shm")


class Way(abc.ABC):
    """Moves what runs at the left host to the right one."""

    name: str

    def __init__(self, here: Stage) -> None:
        self._here = here
        self._source = here.left.host
        self._destination = here.right.host

    @abc.abstractmethod
    def move(self) -> dict:
        """Returns when it is over: `running_ms` (until it ran there),
        `all_in_ms` (until all its memory was there), `over_ms` (until the
        source was rid of it), and what there is besides."""


class _Criu(Way):
    @contextlib.contextmanager
    def _folders(self) -> Iterator[tuple[Path, Path]]:
        folder = Path(tempfile.mkdtemp(prefix="pagelift-bench.", dir=_MEMORY))
        try:
            images, images_there = folder / "here", folder / "there"
            images.mkdir()
            images_there.mkdir()
            yield images, images_there
        finally:
            shutil.rmtree(folder)

    def _start_dump(self, images: Path,
                    *options: str, pass_fds: Sequence[int] = ()) -> Process:
        return self._source.start(
            "criu dump", [tools.criu_serving_pages(), "dump", "--tree",
                          str(FIRST_TARGET_PID), "--images-dir", images,
                          "--log-file", "dump.log",
                          *(DUMP_OPTIONS if self._here.lan else ()),
                          *options],
            self._here.scene.folder / "dump-output.log", pass_fds)

    def _dump(self, images: Path) -> None:
        _expect_success(self._start_dump(images), images / "dump.log")

    def _restore(self, images: Path, *options: str) -> None:
        restoring = self._destination.start(
            "criu restore",
            [tools.criu(), "restore", "--images-dir", images,
             "--restore-detached", "--log-file", "restore.log",
             *self._with_connections(), *options],
            self._here.scene.folder / "restore-output.log")
        _expect_success(restoring, images / "restore.log")

    def _with_connections(self) -> list[str | Path]:
        """The address comes when all is restored, before anything runs."""
        if not self._here.lan:
            return []
        script = self._here.scene.folder / "criu-action"
        script.write_text('#!/bin/sh\n[ "$CRTOOLS_SCRIPT_ACTION" = '
                          f'post-restore ] || exit 0\nexec '
                          f'{self._here.lan.hook} resume -\n')
        script.chmod(0o755)
        return [*RESTORE_OPTIONS, "--action-script", script]

    def _hook(self, event: str) -> None:
        if self._here.lan:
            host = self._source if event == "commit" else self._destination
            run_hook(host, self._here.lan.hook, event)


class StopAndCopy(_Criu):
    """criu dump, a copy of the images, criu restore."""

    name = "stop and copy"

    def move(self) -> dict:
        with self._folders() as (images, images_there):
            copying = Copying(self._source, self._destination, images_there)
            clock = Clock()
            self._dump(images)
            clock.note("dump_ms")
            self._hook("commit")
            size = copying.run(images)
            clock.note("copied_ms")
            self._hook("restore")
            self._restore(images_there)
            clock.note("running_ms")
            return clock.told | {"all_in_ms": clock.told["running_ms"],
                                 "over_ms": clock.told["running_ms"],
                                 "copied_bytes": size}


class CriuLazy(_Criu):
    """criu dump --lazy-pages, criu lazy-pages, criu restore --lazy-pages."""

    name = "CRIU lazy"

    def move(self) -> dict:
        cable = CableWatch(self._destination)
        with (self._folders() as (images, images_there),
              contextlib.closing(cable)):
            copying = Copying(self._source, self._destination, images_there)
            begun = time.time_ns()
            clock = Clock()
            dumping = _when_ready(lambda fd: self._start_dump(
                images, "--lazy-pages", "--address", self._source.address,
                "--port", str(_PAGE_PORT), "--status-fd", str(fd),
                pass_fds=[fd]), images / "dump.log")
            clock.note("dump_ms")
            self._hook("commit")
            size = copying.run(images)
            clock.note("copied_ms")
            self._hook("restore")
            pages = _when_ready(lambda fd: self._destination.start(
                "criu lazy-pages",
                [tools.criu(), "lazy-pages", "--images-dir", images_there,
                 "--page-server", "--address", self._source.address, "--port",
                 str(_PAGE_PORT), "--log-file", "lazy-pages.log",
                 "--status-fd", str(fd)],
                self._here.scene.folder / "lazy-pages-output.log", [fd]),
                images_there / "lazy-pages.log")
            self._restore(images_there, "--lazy-pages")
            clock.note("running_ms")
            _expect_success(pages, images_there / "lazy-pages.log")
            _expect_success(dumping, images / "dump.log")
            clock.note("over_ms")
            # It then waits for the server's farewell, for 0.4 s and more.
            clock.told["all_in_ms"] = (cable.last_page_at_ns() - begun) / 1e6
            return clock.told | {"copied_bytes": size}


class Pagelift(Way):
    """pagelift migrate."""

    name = "pagelift"
    options: tuple[str, ...] = ()

    def move(self) -> dict:
        options = self._here.lan.options() if self._here.lan else []
        clock = Clock()
        migration = self._here.migrate(self._here.left, self._here.right,
                                       *self.options, *options)
        # Seldom enough not to be in the way of two processors.
        while migration.command.exit_code() is None:
            self._note(migration, clock)
            time.sleep(_POLL_SECONDS)
        clock.note("over_ms")
        self._note(migration, clock)
        told = migration.lines()[-1]
        if told["state"] != "released":
            raise Failed(f"it ended as {told}")
        clock.note("running_ms")
        clock.note("all_in_ms")
        return clock.told | {
            "downtime_ms": told["downtime_ms"],
            "faults": told["faults"],
            "phases_ms": phases_of(told)}

    @staticmethod
    def _note(migration: Migration, clock: "Clock") -> None:
        """When it ran there and when all was there, as it tells."""
        for line in migration.lines():
            if "resuming" in phases_of(line):
                clock.note("running_ms")
            if line["session_state"] == "complete":
                clock.note("all_in_ms")


def warm_up(here: Stage) -> None:
    """The first criu after a host's start tries out what the kernel can do,
    and writes it down: not what is measured."""
    for station in (here.left, here.right):
        station.host.start("criu check", [tools.criu(), "check"],
                           here.scene.folder / "check.log").wait(_SECONDS)


def phases_of(told: dict) -> dict[str, float]:
    """How long each has taken. Those of one name are one: what is done, and
    what is written down of it."""
    phases: dict[str, float] = {}
    for phase in told["phases"]:
        phases[phase["name"]] = (phases.get(phase["name"], 0)
                                 + phase["micros"] / 1000)
    return phases


class Clock:
    """Milliseconds since it was made, each noted once."""

    def __init__(self) -> None:
        self._start = time.monotonic_ns()
        self.told: dict[str, float] = {"start_ns": self._start}

    def note(self, name: str) -> None:
        self.told.setdefault(name, (time.monotonic_ns() - self._start) / 1e6)


def _when_ready(start: Callable[[int], Process], log: Path) -> Process:
    """Blocks until what is started says so through the descriptor."""
    ready_read, ready_write = os.pipe()
    process = start(ready_write)
    os.close(ready_write)
    ready = os.read(ready_read, 1)
    os.close(ready_read)
    if not ready:
        raise Failed(f"{process.name} ended: {_end_of(log)}")
    return process


def _expect_success(process: Process, log: Path) -> None:
    # Blocks: to wait with a time limit is to look every now and then.
    process.wait_for_usage()
    if process.exit_code() != 0:
        raise Failed(f"{process.name} failed: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:] if log.exists() else f"no {log}"


WAYS: tuple[type[Way], ...] = (StopAndCopy, CriuLazy, Pagelift)
