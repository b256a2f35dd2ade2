"""Who restores: Pagelift, CRIU, and the floor that neither can go below."""

import abc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import tools
from harness.namespaces import Failed, Host
from harness.scene import Scene
from harness.ways import start_when_ready

from .measured import CableWatch, Measured
from .workload import Deadline, Touching, TouchWorkload, wait_for_answer
from .workload import wrong_pages

REMOTE = "remote"  # From a page server on the source host.
LOCAL = "local"  # From the images, on the destination host.

_RUN_SECONDS = 60.0
_STOP_SECONDS = 10.0
_SERVER_PORT = 27001
_PROXY_PORT = 27002
_NAME = "checkpoint"
_PAGE = 4096


@dataclass(frozen=True)
class Link:
    """What is between the hosts, beyond what there is."""

    round_trip_ms: float = 0  # Longer by this.
    mbit: int = 0  # As thin as this, each way; 0: as wide as it is.

    def __str__(self) -> str:
        parts = []
        if self.round_trip_ms:
            parts.append(f", +{self.round_trip_ms:g} ms round trip")
        if self.mbit:
            parts.append(f", {self.mbit} Mb/s")
        return "".join(parts)

    def options(self) -> list[str]:
        options = []
        if self.round_trip_ms:
            options += ["--delay", f"{self.round_trip_ms * 500:.0f}us"]
        if self.mbit:
            options += ["--mbit", str(self.mbit)]
        return options


class Contender(abc.ABC):
    """Restores the workload in one way, and tells how long that took."""

    name: str

    def __init__(self, scene: Scene, workload: TouchWorkload, place: str,
                 link: Link = Link()) -> None:
        self._scene = scene
        self._workload = workload
        self._place = place
        self._link = link
        self._running: dict[str, Measured] = {}
        self._proxy: Measured | None = None

    def run(self, touching: Touching) -> dict:
        """One run's numbers. Raises if it fails or takes too long."""
        self._running = {}
        self._proxy = None
        self._cable = CableWatch(self._scene.destination)
        deadline = Deadline(_RUN_SECONDS)
        try:
            result = self._measure(touching, deadline)
            gibibytes = self._workload.mib / 1024
            for role, measured in self._running.items():
                result[role] = measured.costs(gibibytes)
            if self._place == REMOTE:
                touched = (touching.count or self._workload.pages) * _PAGE
                crossed = result.get("bytes_before_rest",
                                     self._cable.bytes_crossed())
                result["wire_per_byte"] = crossed / touched
        finally:
            self._cable.close()
            for measured in [*self._running.values(), self._proxy]:
                if measured is not None:
                    measured.stop(_STOP_SECONDS, expect_success=False)
        if result["wrong"] or result["wrong_pages"]:
            raise Failed(f"{self.name} restored wrong memory: {result}")
        return result

    @abc.abstractmethod
    def _measure(self, touching: Touching, deadline: Deadline) -> dict:
        """Runs; everything that is to be measured has ended after it."""

    def _serve(self, role: str, name: str, host: Host,
               argv: Sequence[str | Path], ready_option: str,
               log: Path) -> Measured:
        measured = Measured(
            start_when_ready(host, name, argv, ready_option, log))
        self._running[role] = measured
        return measured

    def _way_to_server(self, work: Path) -> tuple[str, int]:
        """Where the client of a server at _SERVER_PORT is to connect to."""
        address = self._scene.source.address
        if self._link == Link():
            return address, _SERVER_PORT
        self._proxy = Measured(start_when_ready(
            self._scene.source, "link_proxy",
            [tools.bench("link_proxy"), f"{address}:{_PROXY_PORT}",
             f"{address}:{_SERVER_PORT}", *self._link.options()],
            "--ready-fd", work / "link_proxy.log"))
        return address, _PROXY_PORT

    def _raise_if_failed(self) -> None:
        for measured in self._running.values():
            measured.raise_if_failed()


class _Restoring(Contender):
    """What Pagelift and CRIU have in common."""

    def _measure(self, touching: Touching, deadline: Deadline) -> dict:
        with self._workload.guest(touching) as (guest, state, work):
            self._start(work)
            started_at = time.time_ns()
            restoring = Measured(guest.start(
                "restore", self._restore_command(work),
                work / "restore-output.log"))

            def raise_if_failed() -> None:
                restoring.raise_if_failed()
                self._raise_if_failed()

            result = self._first_result(guest, state, started_at, deadline,
                                        raise_if_failed)
            result |= self._completion(restoring, work, deadline)
            result["wrong_pages"] = self._wrong_pages(state, deadline)
            # The server of CRIU ends by itself.
            for measured in self._running.values():
                measured.stop(deadline.left())
            return result

    def _first_result(self, guest: Host, state: Path, started_at: int,
                      deadline: Deadline,
                      raise_if_failed: Callable[[], None]) -> dict:
        """Waits until the program has done what it was to do first."""
        del guest
        result = wait_for_answer(state, 1, deadline.left(), raise_if_failed)
        result["start_to_touched_ms"] = (
            result["finished_at_ns"] - started_at) / 1e6
        result["start_to_touching_ms"] = (
            result["started_at_ns"] - started_at) / 1e6
        return result

    def _wrong_pages(self, state: Path, deadline: Deadline) -> int:
        return wrong_pages(state, deadline.left())

    @property
    def _images(self) -> Path:
        if self._place == LOCAL:
            return self._workload.images
        return self._workload.images_without_pages

    @abc.abstractmethod
    def _start(self, work: Path) -> None:
        """Starts what serves the pages."""

    @abc.abstractmethod
    def _restore_command(self, work: Path) -> list[str | Path]:
        """What restores, once that serves."""

    @abc.abstractmethod
    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        """Waits for the last page; tells when it came."""


class Pagelift(_Restoring):
    """`pagelift restore`, with a pageliftd that embeds the images or fetches
    from a pagelift-server."""

    name = "ours"
    _prefetch = "full"

    def _start(self, work: Path) -> None:
        self._source = f"criu:{self._images}"
        if self._place == REMOTE:
            listen = f"{self._scene.source.address}:{_SERVER_PORT}"
            self._serve("server", "pagelift-server", self._scene.source,
                        [tools.pagelift("pagelift-server"), "--listen", listen,
                         "--image", f"{_NAME}={self._workload.images}",
                         "--insecure",
                         *self._server_options()],
                        "--ready-fd", work / "server.log")
            address, port = self._way_to_server(work)
            self._source = f"grpc://{address}:{port}/{_NAME}?insecure"
        self._serve("daemon", "pageliftd", self._scene.destination,
                    [tools.pagelift("pageliftd"), "--control",
                     work / "control"],
                    "--ready-fd", work / "daemon.log")

    def _restore_command(self, work: Path) -> list[str | Path]:
        return ["/bin/sh", "-c", f'exec "$@" >{work / "restore.json"}', "sh",
                tools.pagelift("pagelift"), "restore", "--images", self._images,
                "--source", self._source, "--work-dir", work,
                "--criu", tools.criu(), "--control", work / "control",
                "--prefetch", self._prefetch, *self._restore_options(),
                *self._wait_option(), "--json",
                "--", "--log-file", "restore.log"]

    def _server_options(self) -> list[str]:
        return []

    def _restore_options(self) -> list[str]:
        return []

    def _wait_option(self) -> list[str]:
        return ["--wait"]

    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        restoring.ended_at_ns(deadline.left())
        told = json.loads((work / "restore.json").read_text())
        return {"all_in_ms": told["time_to_complete_ms"],
                "let_go_ms": told["time_to_complete_ms"],
                "demand_fetches": told["demand_fetches"],
                "own_report": told}


class DemandOnly(Pagelift):
    """The same while nothing is prefetched; the rest is brought when what was
    to be touched has been."""

    _prefetch = "off"

    def _wait_option(self) -> list[str]:
        return []

    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        restoring.ended_at_ns(deadline.left())
        # Before the rest comes.
        crossed = self._cable.bytes_crossed()
        session = json.loads((work / "restore.json").read_text())["session"]
        told = json.loads(self._scene.destination.run(
            [tools.pagelift("pagelift"), "complete", "--json", "--control",
             work / "control", session]))["sessions"][0]
        return {"demand_fetches": told["demand_fetches"],
                "bytes_before_rest": crossed, "own_report": told}


class Criu(_Restoring):
    """`criu lazy-pages`, alone or with a `criu page-server --lazy-pages`."""

    name = "CRIU"

    def _start(self, work: Path) -> None:
        options: list[str] = []
        if self._place == REMOTE:
            (work / "server").mkdir()
            self._serve("server", "criu page-server", self._scene.source,
                        [tools.criu_serving_pages(), "page-server",
                         "--lazy-pages", "--images-dir", self._workload.images, "--work-dir",
                         work / "server", "--address",
                         self._scene.source.address, "--port",
                         str(_SERVER_PORT)],
                        "--status-fd", work / "server.log")
            address, port = self._way_to_server(work)
            options = ["--page-server", "--address", address, "--port",
                       str(port)]
        self._serve("daemon", "criu lazy-pages", self._scene.destination,
                    [tools.criu(), "lazy-pages", "--images-dir", self._images,
                     "--work-dir", work, *options],
                    "--status-fd", work / "daemon.log")

    def _restore_command(self, work: Path) -> list[str | Path]:
        return [tools.criu(), "restore", "--images-dir", self._images,
                "--work-dir", work, "--restore-detached", "--lazy-pages",
                "--log-file", "restore.log"]

    def _completion(self, restoring: Measured, work: Path,
                    deadline: Deadline) -> dict:
        restored_at = restoring.ended_at_ns(deadline.left())
        complete_at = self._running["daemon"].ended_at_ns(deadline.left())
        result = {"all_in_ms": (complete_at - restored_at) / 1e6,
                  "let_go_ms": (complete_at - restored_at) / 1e6}
        if "server" in self._running:
            self._running["server"].ended_at_ns(deadline.left())
            # It then waits for the server's farewell, for 0.4 s and more.
            result["all_in_ms"] = (
                self._cable.last_page_at_ns() - restored_at) / 1e6
        return result


class Floor(Contender):
    """Plain sockets, a mapped file, UFFDIO_COPY, and no process to restore: the
    pager and the program that touches are one process."""

    name = "floor"

    _what = "touch"

    def _measure(self, touching: Touching, deadline: Deadline) -> dict:
        work = self._scene.make_folder(self._scene.next_restore_name())
        options = self.source_options(work)
        if touching.count is not None:
            options += ["--count", str(touching.count)]
        log = work / "floor.json"
        client = Measured(self._scene.destination.start(
            "floor", [tools.bench("floor"), self._what, *options,
                      "--mib", str(self._workload.mib),
                      "--seed", str(self._workload.seed),
                      "--order", touching.order,
                      "--order-seed", str(touching.seed)], log))
        self._running["daemon"] = client
        client.ended_at_ns(deadline.left())
        if "server" in self._running:
            self._running["server"].stop(_STOP_SECONDS, expect_success=False)
        return json.loads(log.read_text())

    def parts(self) -> dict:
        """Its ingredients one by one: faults alone, and the stream alone."""
        work = self._scene.make_folder(self._scene.next_restore_name())
        self._running = {}
        try:
            options = self.source_options(work)
            return {what: self._run_part(what, options)
                    for what in ("faults", "stream")}
        finally:
            for measured in self._running.values():
                measured.stop(_STOP_SECONDS, expect_success=False)

    def _run_part(self, what: str, options: list[str]) -> dict:
        return json.loads(self._scene.destination.run(
            [tools.bench("floor"), what, *options, "--mib",
             str(self._workload.mib), "--seed", str(self._workload.seed)]))

    def source_options(self, work: Path) -> list[str]:
        """Where pages come from; serves them there, if need be."""
        image = self._scene.folder / "floor.img"
        if not image.exists():
            self._scene.source.run(
                [tools.bench("floor"), "image", "--file", image, "--mib",
                 str(self._workload.mib), "--seed", str(self._workload.seed)])
        if self._place == LOCAL:
            return ["--file", str(image)]
        self._serve("server", "floor serve", self._scene.source,
                    [tools.bench("floor"), "serve", "--file", image,
                     "--listen", self._scene.source.address,
                     "--port", str(_SERVER_PORT)],
                    "--ready-fd", work / "server.log")
        address, port = self._way_to_server(work)
        return ["--connect", address, "--port", str(port)]


class FaultsOnly(Floor):
    """One fault after the other, and nothing else."""

    _what = "faults"

    def _measure(self, touching: Touching, deadline: Deadline) -> dict:
        return super()._measure(touching, deadline) | {"wrong_pages": 0}


CONTENDERS: tuple[type[Contender], ...] = (Pagelift, Criu, Floor)
# For single faults, while nothing else comes. CRIU always sweeps.
FAULT_CONTENDERS: tuple[type[Contender], ...] = (DemandOnly, FaultsOnly)
