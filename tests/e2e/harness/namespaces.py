"""Hosts: sets of pid, mount and network namespaces with an init that reaps.

A host stands for a machine or, nested in another, for a container on it. All
that runs in it ends when it is closed, or when this process ends.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

_INIT = Path(__file__).with_name("init.py")
_CLONE_NEWNET = 0x40000000
# Restored pids must be free: what helps to restore stays far above these, however
# many commands have run.
FIRST_TARGET_PID = 1000
_FIRST_HELPER_PID = 10000

_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something that a case relies on did not work."""


class Process:
    """A program running in a host, and the file its output goes to."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path):
        self.name = name
        self.log = log
        self._popen = popen

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def raise_if_failed(self) -> None:
        if self.exit_code() not in (None, 0):
            raise Failed(f"{self.name} exited with {self.exit_code()}; "
                         f"its output is in {self.log}")

    def raise_if_ended(self) -> None:
        self.raise_if_failed()
        if self.exit_code() == 0:
            raise Failed(f"{self.name} ended before it was asked to")

    def pid(self) -> int | None:
        """The program's pid out here; None once it has ended."""
        entering = self._popen.pid
        children = Path(f"/proc/{entering}/task/{entering}/children")
        with contextlib.suppress(OSError):
            return next(map(int, children.read_text().split()), None)
        return None

    def send_signal(self, number: signal.Signals) -> None:
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def resume(self) -> None:
        """Has it go on after SIGSTOP: who waits for it stops with it."""
        self._popen.send_signal(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        return self._popen.wait(seconds)

    def wait_for_usage(self) -> resource.struct_rusage:
        """Blocks until it has ended; tells what it has used. Nobody else may
        ask for its exit code meanwhile."""
        _, status, usage = os.wait4(self._popen.pid, 0)
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        return usage


class Host:
    """Namespaces of one's own, perhaps inside those of another host."""

    def __init__(self, name: str, inside: "Host | None" = None) -> None:
        self.name = name
        self.address = "127.0.0.1"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        # The cache of what the kernel can do, which CRIU keeps in /run, is kept
        # on a tmpfs only. Guests see their host's.
        run = "" if inside else "mount -t tmpfs none /run && "
        script = (f"echo {_FIRST_HELPER_PID - 1} "
                  ">/proc/sys/kernel/ns_last_pid && "
                  f"{run}ip link set lo up && "
                  f"exec /usr/bin/python3 -I -S {_INIT} {theirs.fileno()}")
        entering = inside._entering() if inside else []
        self._unshare = subprocess.Popen(
            [*entering, "unshare", "--pid", "--mount", "--net", "--fork",
             "--mount-proc", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        _, ancillary, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(12))
        if not ancillary:
            raise Failed(f"the namespaces of {name} could not be made; "
                         "this must run as root")
        self._pid = struct.unpack("iII", ancillary[0][2])[0]
        self._lifeline = ours

    def close(self) -> None:
        """Kills everything in here. May be called twice."""
        self._lifeline.close()  # Its init ends when it sees that.
        try:
            self._unshare.wait(10)
        except subprocess.TimeoutExpired:
            os.kill(self._pid, signal.SIGKILL)
            self._unshare.wait(30)

    def run(self, argv: Sequence[str | Path]) -> str:
        """Runs a short command to its end; raises if it fails."""
        done = subprocess.run([*self._entering(), *map(str, argv)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, argv))} in {self.name} failed: "
                         f"{done.stderr.strip()}")
        return done.stdout

    def start(self, name: str, argv: Sequence[str | Path], log: Path,
              pass_fds: Sequence[int] = ()) -> Process:
        """Starts a program whose output goes to the file `log`."""
        with log.open("ab") as output:
            return Process(name, self._popen(argv, output, pass_fds), log)

    def start_target(self, argv: Sequence[str | Path], log: Path) -> None:
        """Starts a program as CRIU likes it: a session of its own, a child of
        init, no terminal, pids of FIRST_TARGET_PID and up."""
        # The files it holds open have to be of this mount namespace.
        script = (f"echo {FIRST_TARGET_PID - 1} >/proc/sys/kernel/ns_last_pid"
                  ' && exec setsid --fork "$@" </dev/null >>"$0" 2>&1')
        with log.open("ab") as output:
            starting = self._popen(["/bin/sh", "-c", script, log, *argv],
                                   output, ())
        if starting.wait(30) != 0:
            raise Failed(f"could not start {argv[0]}; see {log}")

    def mount_over(self, folder: Path, over: Path) -> None:
        """Shows `folder` at the path `over` to this host only."""
        self.run(["mount", "--bind", folder, over])

    def pids_called(self, comm: str) -> frozenset[int]:
        """Pids, as seen in here, of the live tasks of that name. Does not look
        at their memory, which may not be there yet."""
        listing = self.run(["ps", "-e", "-o", "pid=,stat=,comm="])
        fields = (line.split(None, 2) for line in listing.splitlines())
        return frozenset(int(pid) for pid, state, name in fields
                         if name == comm[:15] and not state.startswith("Z"))

    def pids_out_here(self, comm: str) -> list[int]:
        """The same as seen out here, of this host only."""
        ours = os.readlink(f"/proc/{self._pid}/ns/pid")
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if ((process / "comm").read_text().strip() == comm[:15]
                        and os.readlink(process / "ns" / "pid") == ours
                        and _state_of(process) != "Z"):
                    found.append(int(process.name))
        return found

    def add_link_to(self, other: "Host", name: str, name_there: str) -> None:
        """A cable: a device here, and one in the other host."""
        subprocess.run(
            ["nsenter", "--target", str(self._pid), "--net", "--", "ip",
             "link", "add", name, "type", "veth", "peer", "name", name_there,
             "netns", str(other._pid)], check=True)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Sockets that the calling thread opens meanwhile are in here."""
        with (open("/proc/thread-self/ns/net", "rb") as home,
              open(f"/proc/{self._pid}/ns/net", "rb") as there):
            _enter_network(there)
            try:
                yield
            finally:
                _enter_network(home)

    def _entering(self) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--pid", "--mount",
                "--net", "--"]

    def _popen(self, argv: Sequence[str | Path], output: BinaryIO,
               pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._entering(), *map(str, argv)], cwd="/",
                                stdin=subprocess.DEVNULL, stdout=output,
                                stderr=output, pass_fds=pass_fds)


def join_with_cable(left: Host, right: Host) -> None:
    """Gives both an address in a network of their own."""
    for number, (host, other) in enumerate([(left, right), (right, left)], 1):
        host.address = f"10.77.0.{number}"
        if host is left:
            left.add_link_to(right, "cable", "cable")
        host.run(["ip", "address", "add", f"{host.address}/24", "dev", "cable"])
        host.run(["ip", "link", "set", "cable", "up"])


def _state_of(process: Path) -> str:
    return (process / "stat").read_text().rpartition(")")[2].split()[0]


def _enter_network(namespace: BinaryIO) -> None:
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
