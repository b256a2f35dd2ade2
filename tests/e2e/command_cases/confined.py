"""What serves is confined, and serves all the same: docs/security.md. Also as
a user without any privilege."""

import os
from collections.abc import Iterable
from pathlib import Path

from harness import tools
from harness.namespaces import Failed, Process
from harness.setting import Setting
from harness.ways import start_when_ready, stop
from harness.workers import raise_if_crashed, worker_of

_NOBODY = 65534
_NAME = "confined"
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
# As bits: to look at processes, to end them, to read files.
_SYS_PTRACE, _KILL, _DAC_READ_SEARCH = 1 << 19, 1 << 5, 1 << 2
_NOT_SEEN = "without CAP_SYS_PTRACE"


def root_keeps_what_it_needs(s: Setting) -> str:
    pagers = _Pagers(s, "of-root", [])
    told = (_confined(pagers.worker(), _SYS_PTRACE | _KILL | _DAC_READ_SEARCH),
            _confined(pagers.server_pid(), _DAC_READ_SEARCH))
    seen = pagers.restore_and_verify()
    if _NOT_SEEN in pagers.log():
        raise Failed(f"it may look, and says it may not: {pagers.log()}")
    pagers.stop()
    return f"{'; '.join(told)}; {seen}"


def holder_gives_up_the_same(s: Setting) -> str:
    """It starts the program that its worker wants to be upgraded to."""
    pagers = _Pagers(s, "of-a-holder", [])
    status = _status(Path(f"/proc/{pagers.holder()}/status"))
    pagers.stop()
    kept = _SYS_PTRACE | _KILL | _DAC_READ_SEARCH
    if status["NoNewPrivs"] != "1" or _more_than(kept, status):
        raise Failed(f"the holder may more than its worker: {status}")
    return f"CapEff {status['CapEff']}"


def nobody_serves_the_process_of_another(s: Setting) -> str:
    """The restored process is root's."""
    pagers = _Pagers(s, "of-nobody", [
        tools.system("setpriv"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}",
        "--clear-groups", "--no-new-privs", "--inh-caps=-all",
        "--bounding-set=-all"])
    told = (_confined(pagers.worker(), 0), _confined(pagers.server_pid(), 0))
    seen = pagers.restore_and_verify()
    if pagers.log().count(_NOT_SEEN) != 1:
        raise Failed(f"the log does not tell once what is not seen: "
                     f"{pagers.log()}")
    pagers.stop()
    return f"{'; '.join(told)}; {seen}"


def names_of_hosts_are_found(s: Setting) -> str:
    """libc and gRPC look in many places for them."""
    port = s.url.split(":")[2]
    work = s.make_folder("work-by-name")
    pager = s.start_lazy_pages("-D", s.images, "-W", work, "--source",
                               f"grpc://localhost:{port}", "--sandbox",
                               "strict")
    s.criu_restore(work).expect(0)
    seen = s.verify()
    s.reset()
    if pager.wait(60) != 0:
        raise Failed(pager.log.read_text())
    # Nobody has this one, whoever is asked.
    nowhere = s.lazy_pages(s.make_folder("work-nowhere"), "-D", s.images,
                           "--source", "grpc://no-such-host.invalid:1/x",
                           "--sandbox", "strict")
    return f"{seen}; {nowhere.expect(1, 'no-such-host.invalid').strip()}"


def without_a_sandbox(s: Setting) -> str:
    """For who debugs; the log tells."""
    log = s.next_log()
    pageliftd = start_when_ready(
        s.guest, "pageliftd",
        [tools.pagelift("pageliftd"), "--control", s.folder / "open" / "socket",
         "--sandbox", "off"], "--ready-fd", log)
    pid = pageliftd.pid()
    status = _status(Path(f"/proc/{worker_of(pid)}/status")) if pid else {}
    stop(pageliftd)
    if (status["Seccomp"], status["NoNewPrivs"]) != ("0", "0"):
        raise Failed(f"confined all the same: {status}")
    if "nothing confines this process" not in log.read_text():
        raise Failed(f"the log does not tell: {log.read_text()}")
    return f"CapEff {status['CapEff']}"


def sandbox_says_what_is_wrong(s: Setting) -> str:
    said = [s.run(*command, "--sandbox", "loose").expect(
                2, "--sandbox: 'loose' is not on, strict or off").splitlines()[0]
            for command in ([tools.pagelift("pageliftd")],
                            [tools.pagelift("pagelift-server")],
                            [tools.pagelift("pagelift"), "lazy-pages"])]
    return "; ".join(said)


class _Pagers:
    """A page server and a pageliftd, started by `privileges`."""

    def __init__(self, s: Setting, name: str,
                 privileges: list[str | Path]) -> None:
        self._s = s
        user = _NOBODY if privileges else 0
        s.folder.chmod(0o711)
        images = s.copy(f"images-{name}")
        daemon_folder = s.make_folder(f"daemon-{name}")
        self._work = s.make_folder(f"work-{name}")
        for path in (images, *images.iterdir(), daemon_folder, self._work):
            os.chown(path, user, user, follow_symlinks=False)
        self._control = daemon_folder / "control" / "socket"
        self._url, self._server = s.start_server(_NAME, images,
                                                 privileges=privileges)
        self._log = s.next_log()
        self._pageliftd = start_when_ready(
            s.guest, "pageliftd",
            [*privileges, *tools.sandboxed("pageliftd"), "--control",
             self._control], "--ready-fd", self._log)

    def holder(self) -> int:
        return _pid_of(self._pageliftd)

    def worker(self) -> int:
        return worker_of(self.holder())

    def server_pid(self) -> int:
        return _pid_of(self._server)

    def log(self) -> str:
        return self._log.read_text()

    def restore_and_verify(self) -> str:
        s = self._s
        s.run(tools.pagelift("pagelift"), "restore", "--images", s.images,
              "--source", self._url, "--work-dir", self._work, "--control",
              self._control).expect(0)
        seen = s.verify()
        s.reset()
        return seen

    def stop(self) -> None:
        stop(self._pageliftd)
        raise_if_crashed(self._log)
        stop(self._server)


def _pid_of(process: Process) -> int:
    pid = process.pid()
    if pid is None:
        raise Failed(f"{process.name} has ended")
    return pid


def _confined(pid: int, kept: int) -> str:
    """Raises if a thread of `pid` may do more than is wanted."""
    threads = [_status(path / "status")
               for path in Path(f"/proc/{pid}/task").iterdir()]
    for status in threads:
        if (status["NoNewPrivs"], status["Seccomp"]) != ("1", "2"):
            raise Failed(f"not confined: {status}")
        if _more_than(kept, status):
            raise Failed(f"more than {kept:x}: {status}")
        if int(status["CapEff"], 16) != kept:
            raise Failed(f"less than {kept:x}: {status}")
    return f"{len(threads)} threads with CapEff {threads[0]['CapEff']}"


def _more_than(kept: int, status: dict[str, str]) -> bool:
    return any(int(status[field], 16) & ~kept for field in _CAPABILITIES)


def _status(path: Path) -> dict[str, str]:
    wanted: Iterable[str] = (*_CAPABILITIES, "Name", "NoNewPrivs", "Seccomp")
    fields = (line.split(":", 1) for line in path.read_text().splitlines())
    return {name: value.strip() for name, value in fields if name in wanted}


CASES = [root_keeps_what_it_needs, holder_gives_up_the_same,
         nobody_serves_the_process_of_another, names_of_hosts_are_found,
         without_a_sandbox, sandbox_says_what_is_wrong]
