"""All contenders in turn, again and again, on one machine in one hour."""

import json
import mmap
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from harness import tools
from harness.scene import Scene

from . import replying
from .contenders import CONTENDERS, FAULT_CONTENDERS, LOCAL, REMOTE
from .contenders import Contender, Floor, Link
from .flooding import FLOODS
from .workload import Touching, TouchWorkload

ORDERS = ("random", "sequential")
FAULTS = 4000
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Setting:
    """One block of the table: where pages come from, how they are touched."""

    place: str
    order: str
    mib: int
    link: Link = Link()
    faults: int | None = None  # Only so many pages, and no prefetch.
    floods: bool = False  # While others flood the pager.

    @property
    def title(self) -> str:
        what = f"{self.order} touch of {self.mib} MiB"
        if self.faults:
            what = f"{self.faults} single faults"
        if self.floods:
            what += " beside others"
        return f"{self.place}, {what}{self.link}"

    @property
    def contenders(self) -> tuple[type[Contender], ...]:
        if self.floods:
            return FLOODS
        return FAULT_CONTENDERS if self.faults else CONTENDERS


class Comparison:
    """What was measured: `runs` and `noise`, ready for JSON."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.runs: list[dict] = []
        self.parts: list[dict] = []
        self.noise: list[dict] = []
        self.machine = {"kernel": platform.release(), "cpus": os.cpu_count(),
                        "memory_mib": _memory_mib()}

    @property
    def failures(self) -> list[dict]:
        return [run for run in self.runs if "error" in run]

    def measure(self, settings: list[Setting], repetitions: int) -> None:
        """Settings of one size share a checkpoint, and are interleaved."""
        name = "bench-" + "-".join(sorted({s.place for s in settings}))
        with Scene(name) as scene:
            workload = TouchWorkload(scene, settings[0].mib, self._seed)
            for repetition in range(repetitions):
                self._note_noise(scene)
                for setting in settings:
                    for kind in _rotated(setting.contenders, repetition):
                        contender = kind(scene, workload, setting.place,
                                         setting.link)
                        self._run(scene, contender, setting, repetition)
                for place in sorted({s.place for s in settings
                                     if s.link == Link() and not s.floods}):
                    _warm_memory(settings[0].mib)
                    floor = Floor(scene, workload, place)
                    self.parts.append({"place": place, "mib": settings[0].mib,
                                       **floor.parts()})

    def _run(self, scene: Scene, contender: Contender, setting: Setting,
             repetition: int) -> None:
        run = {"setting": setting.title, "place": setting.place,
               "order": setting.order, "mib": setting.mib,
               "delay_ms": setting.link.round_trip_ms,
               "mbit": setting.link.mbit, "faults": setting.faults,
               "floods": setting.floods,
               "contender": contender.name,
               "repetition": repetition,
               "load_before": os.getloadavg()[0]}
        _warm_memory(setting.mib)
        touching = Touching(setting.order, self._seed + repetition,
                            setting.faults)
        try:
            run |= contender.run(touching)
            told = f"touched {run['touch_ms']:.0f} ms"
            if "all_in_ms" in run:
                told += f", all in {run['all_in_ms']:.0f} ms"
        except Exception as error:
            run["error"] = f"{type(error).__name__}: {error}"
            told = f"{run['error']}\n{scene.telling_log_lines()}"
        print(f"  {setting.title}, {contender.name}: {told}", file=sys.stderr,
              flush=True)
        self.runs.append(run)

    def measure_replies(self, program: str, repetitions: int) -> None:
        """Restores of a whole program, until it replies."""
        title = f"{program}, time to first reply"

        def take(kind: type, result: dict | Exception) -> None:
            run = {"setting": title, "program": program,
                   "contender": kind.name, "load_before": os.getloadavg()[0]}
            if isinstance(result, Exception):
                run["error"] = f"{type(result).__name__}: {result}"
                told = run["error"]
            else:
                run |= result
                told = f"replied after {run['reply_ms']:.0f} ms"
            print(f"  {title}, {kind.name}: {told}", file=sys.stderr,
                  flush=True)
            self.runs.append(run)

        with Scene(f"bench-{program}") as scene:
            self._note_noise(scene)
            replying.measure(scene, program, repetitions, take)

    def _note_noise(self, scene: Scene) -> None:
        noise = json.loads(
            scene.destination.run([tools.bench("floor"), "noise"]))
        self.noise.append({"at": time.time(), "load": os.getloadavg()[0],
                           **noise})


def settings_for(only: str | None, mib: int,
                 link_mib: int) -> list[list[Setting]]:
    """What the table has, grouped by size."""
    groups = []
    places = [place for place in (REMOTE, LOCAL) if only in (None, place)]
    if places:
        groups.append([Setting(place, order, mib)
                       for place in places for order in ORDERS])
    if REMOTE in places or only == "faults":
        groups.append([Setting(REMOTE, "random", link_mib or mib,
                               faults=FAULTS)])
    if only in (None, "floods"):
        groups.append([Setting(REMOTE, "random", link_mib or mib,
                               faults=FAULTS, floods=True)])
    if (REMOTE in places or only == "links") and link_mib > 0:
        groups += [[Setting(REMOTE, "random", link_mib, Link(ms))
                    for ms in (1, 10)] + [
                        Setting(REMOTE, "random", link_mib, Link(0.5, 1000))],
                   # CRIU fetches page by page: less of it on a thin link.
                   [Setting(REMOTE, "random", max(1, link_mib // 4),
                            Link(0.5, 100))]]
    return groups


def programs_for(only: str | None) -> list[str]:
    """The whole programs that the table has."""
    return list(replying.programs()) if only in (None, "programs") else []


def _rotated(contenders: tuple[type[Contender], ...],
             by: int) -> Iterator[type[Contender]]:
    """Nobody is always the first."""
    at = by % len(contenders)
    yield from contenders[at:] + contenders[:at]


def _warm_memory(mib: int) -> None:
    """Fresh memory of a virtual machine is slow at its first use."""
    length = 2 * mib * _MEBIBYTE
    with mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
                   | mmap.MAP_POPULATE):
        pass


def _memory_mib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MEBIBYTE
