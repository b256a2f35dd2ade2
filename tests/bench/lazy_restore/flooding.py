"""One session's faults while another session's target floods the same
pageliftd."""

import os
import signal
from pathlib import Path

from harness import tools
from harness.namespaces import Host
from harness.scene import Scene
from harness.waiting import wait_until
from torturing.taking import take_memory_away

from .contenders import DemandOnly, Link
from .measured import Measured
from .workload import Deadline, Touching, TouchWorkload

_NAME = "flood_target"


class BesideFlood(DemandOnly):
    """Single faults, beside a target that does `mode`."""

    mode = ""
    lazy = True  # It has a session, too.
    threads = 2

    def __init__(self, scene: Scene, workload: TouchWorkload, place: str,
                 link: Link = Link()) -> None:
        super().__init__(scene, workload, place, link)
        self._guest: Host | None = None

    def _start(self, work: Path) -> None:
        super()._start(work)
        folder = work / "flood"
        folder.mkdir()
        self._guest = Host("flood", inside=self._scene.destination)
        self._guest.start_target(
            [tools.bench(_NAME), "--mode", self.mode, "--threads",
             str(self.threads)], folder / "log")
        wait_until("the other target",
                   lambda: "ready" in (folder / "log").read_text())
        if self.lazy:
            take_memory_away(
                self._guest, folder / "images", folder,
                lambda: self._guest.run(
                    [tools.pagelift("pagelift"), "restore", "--images",
                     folder / "images", "--work-dir", folder, "--criu",
                     tools.REPOSITORY / "tests/stress/torturing/"
                     "criu_that_hands_over",
                     "--control", work / "control", "--prefetch", "off"]))
        for pid in self._guest.pids_out_here(_NAME):
            os.kill(pid, signal.SIGUSR1)

    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        self._end_flood()
        return super()._completion(restoring, work, deadline)

    def run(self, touching: Touching) -> dict:
        try:
            return super().run(touching)
        finally:
            self._end_flood()

    def _end_flood(self) -> None:
        if self._guest is not None:
            self._guest.close()
            self._guest = None


class BesideComputing(BesideFlood):
    """What any neighbour may do."""

    name = "beside one that computes"
    mode = "compute"
    lazy = False


class BesideRemoving(BesideFlood):
    name = "beside a flood of removes"
    mode = "remove"


class BesideForking(BesideFlood):
    name = "beside a flood of forks"
    mode = "fork"


class BesideBomb(BesideFlood):
    name = "beside a fork bomb"
    mode = "bomb"


class Alone(DemandOnly):
    name = "alone"


FLOODS = (Alone, BesideComputing, BesideRemoving, BesideForking, BesideBomb)
