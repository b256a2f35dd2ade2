"""pageliftd as a service of a real systemd."""

import threading
import time
from collections.abc import Callable

from harness import ways
from harness.cases import guest_of
from harness.namespaces import Failed
from harness.redis_workload import RedisWorkload
from harness.systemd import CONTROL, SERVICE, SOCKET, UserManager
from harness.waiting import wait_until
from harness.workers import HOLDER, WORKER, signal_all
from harness.workloads import CommandedTarget
from redis_client import Client
from served import served

_SECONDS_BETWEEN = 0.3
_MIB = 64
# Of the watchdogs, ours and systemd's.
_PATIENCE_SECONDS = 1


class SystemdWay(ways.PageliftRestoreWay):
    """`pagelift restore` with a pageliftd that systemd has started, when the
    first command came."""

    def _start_daemon(self) -> None:
        self._control = CONTROL
        self.systemd = UserManager(self._scene.destination,
                                   self._scene.make_folder("home"))
        log = self._scene.folder / "pageliftd.log"
        log.touch()
        self.settings = self.systemd.run_pageliftd(log, _PATIENCE_SECONDS)
        if self.systemd.show("ActiveState") != "inactive":
            raise Failed("pageliftd runs before there is anything to do")

    def _stop_daemon(self) -> None:
        self.systemd.stop_pageliftd()

    def processes(self) -> list[int]:
        """Holder and worker, by their numbers on the host."""
        daemon = self.status()["daemon"]
        return [daemon["holder_pid"], daemon["worker_pid"]]

    def running(self) -> frozenset[int]:
        host = self._scene.destination
        return host.pids_called(HOLDER) | host.pids_called(WORKER)

    def signal(self, name: str, pids: list[int]) -> None:
        signal_all(self._scene.destination, name, pids)


def _while_reading(happen: Callable[[SystemdWay], str]) -> str:
    """What a program says of its memory that something happens to meanwhile."""
    workload = CommandedTarget("verifying_target", "--mib", str(_MIB))
    with served(workload, SystemdWay) as (scene, checkpoint, way):
        with guest_of(scene, checkpoint) as (guest, folder):
            restore = way.restore(guest, folder / "work")
            wait_until("the restored process",
                       lambda: checkpoint.pids
                       <= guest.pids_called(workload.comm))
            said: list[object] = []

            def verify() -> None:
                try:
                    said.append(workload.verify(guest, folder / "state"))
                except Exception as error:  # For the thread that asks.
                    said.append(error)

            reading = threading.Thread(target=verify)
            reading.start()
            try:
                told = happen(way)
            finally:
                reading.join()
            if isinstance(said[0], Exception):
                raise said[0]
            restore.wait_complete()
            return f"    {told}; {said[0]}"


def both_killed(times: int) -> str:
    def kill(way: SystemdWay) -> str:
        served_still = 0
        for _ in range(times):
            time.sleep(_SECONDS_BETWEEN)
            if way.pages_missing():
                served_still += 1
            way.signal("KILL", way.processes())
        if not served_still:
            raise Failed("all memory had arrived before anything happened")
        restarts = int(way.systemd.show("NRestarts"))
        # A watchdog of a second may have its say, too, on a busy machine.
        if restarts < times:
            raise Failed(f"{times} times killed, {restarts} times restarted")
        return (f"both killed {times} times, {served_still} with pages missing")

    return _while_reading(kill)


def holder_killed(_: int) -> str:
    """The old worker must not live on beside the new one, whatever the unit
    says of it."""

    def kill(way: SystemdWay) -> str:
        told = []
        for mode in ("mixed", "process"):
            way.systemd.override(f"{way.settings}KillMode={mode}\n")
            before = way.systemd.show("MainPID")
            missing = way.pages_missing()
            way.signal("KILL", [int(before)])
            # A new daemon, or the worker, if it was quicker.
            wait_until("another main process",
                       lambda: way.systemd.show("MainPID") not in (before, "0"))
            wait_until("the one that systemd knows",
                       lambda: way.systemd.show("MainPID")
                       == str(way.processes()[0]))
            running = way.running()
            if len(running) != 2:
                raise Failed(f"KillMode={mode}: {running} are running")
            told.append(f"{mode}: {missing} pages missing")
        return f"holder killed, KillMode={'; '.join(told)}"

    return _while_reading(kill)


def watchdog(_: int) -> str:
    def stop_one(way: SystemdWay) -> str:
        told = []
        for index, name in enumerate(("holder", "worker")):
            before = way.processes()
            missing = way.pages_missing()
            start = time.monotonic()
            way.signal("STOP", [before[index]])
            wait_until(f"another {name}",
                       lambda: way.processes()[index] != before[index])
            told.append(f"{name} stopped with {missing} pages missing, another "
                        f"{time.monotonic() - start:.1f} s later")
        return "; ".join(told)

    return _while_reading(stop_one)


def stop(_: int) -> str:
    """Nothing is lost by it, and it does not wait longer than it has to."""

    def reload_and_stop(way: SystemdWay) -> str:
        before = way.processes()
        way.systemd.ctl("reload", SERVICE)
        wait_until("another worker",
                   lambda: way.processes()[1] != before[1])
        if way.processes()[0] != before[0]:
            raise Failed("a reload has changed the main process")
        missing = way.pages_missing()
        if not missing:
            raise Failed("all memory had arrived before anything happened")
        way.systemd.ctl("stop", SOCKET, SERVICE)
        state = way.systemd.show("ActiveState")
        return f"reloaded; stopped with {missing} pages missing: {state}"

    return _while_reading(reload_and_stop)


def redis_both_killed(times: int) -> str:
    workload = RedisWorkload()
    with served(workload, SystemdWay) as (scene, checkpoint, way):
        with guest_of(scene, checkpoint) as (guest, folder):
            restore = way.restore(guest, folder / "work")
            client = Client(guest)
            for _ in range(times):
                time.sleep(_SECONDS_BETWEEN)
                way.signal("KILL", way.processes())
            restore.wait_complete()
            client.close()
            said = workload.verify(guest, folder / "state")
            return (f"    both killed {times} times; {client.told()}; {said}")


CASES: dict[str, Callable[[int], str]] = {
    "systemd-both-killed": both_killed,
    "systemd-redis-both-killed": redis_both_killed,
    "systemd-holder-killed": holder_killed,
    "systemd-watchdog": watchdog,
    "systemd-stop": stop,
}
