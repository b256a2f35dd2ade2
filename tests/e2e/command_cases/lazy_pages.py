"""`pagelift lazy-pages` beside `criu lazy-pages`: the same options have the same
effects."""

import re
import signal
import socket
from pathlib import Path

from harness import tools
from harness.namespaces import Failed, Host, Process
from harness.setting import Setting, result_of
from harness.waiting import wait_until

# How a level can be given, and 4 at most.
_LEVELS = ("", "-v0", "-v1", "-v2", "-v3", "-v4", "-v", "-vv", "-vvv",
           "--verbosity", "--verbosity=3")
_WARNING, _INFORMATION = 2, 3


def lazy_pages_in_the_background(s: Setting) -> str:
    """--daemon, --pidfile, a relative -o, and the byte of --status-fd."""
    seen = {name: _in_the_background(s, name, program)
            for name, program in _programs().items()}
    if seen["pagelift"] != seen["criu"]:
        raise Failed(f"they differ: {seen}")
    return f"as criu: {seen['pagelift']}"


def lazy_pages_in_the_foreground(s: Setting) -> str:
    """A status byte that says zero, not only that there is one; the exit code
    when all memory is there."""
    seen = {}
    for name, program in _programs().items():
        work = s.make_folder(f"{name}-in-the-foreground")
        daemon = s.start("lazy-pages", _telling_status(work, [
            program, "lazy-pages", "-D", s.images, "-W", work]))
        status = _wait_for_status(work, daemon)
        _restore(s, work)
        seen[name] = f"status byte {status!r}, exit code {daemon.wait(60)}"
        s.reset()
    if seen["pagelift"] != seen["criu"]:
        raise Failed(f"they differ: {seen}")
    return f"as criu: {seen['pagelift']}"


def lazy_pages_verbosity(s: Setting) -> str:
    """Each way to give a level gives the one that it gives to CRIU."""
    levels = []
    for number, option in enumerate(_LEVELS):
        options = [option] if option else []
        wanted = _level_of_criu(s, options, number)
        work = s.make_folder(f"verbosity-{number}")
        level = _level_of_pagelift(s, options, work, wanted)
        # Nothing that an ordinary restore says is for level 4 alone.
        if level != min(max(wanted, 1), _INFORMATION):
            raise Failed(f"{option}: level {level}, and CRIU's is {wanted}: "
                         f"{(work / 'log').read_text()}")
        levels.append(f"{option or 'none'}: {wanted}")
    return ", ".join(levels)


def _programs() -> dict[str, Path]:
    return {"criu": tools.criu(), "pagelift": tools.pagelift("pagelift")}


def _telling_status(work: Path, argv: list[str | Path]) -> list[str | Path]:
    """A command that runs `argv` with a file as its status descriptor."""
    return ["/bin/sh", "-c", 'exec 9>"$0"; exec "$@" --status-fd 9',
            work / "status", *argv]


def _wait_for_status(work: Path, daemon: Process) -> bytes:
    return wait_until("the status byte",
                      lambda: (work / "status").exists()
                      and (work / "status").read_bytes(),
                      meanwhile=daemon.raise_if_failed)


def _restore(s: Setting, work: Path) -> None:
    restored = s.criu_restore(work)
    if restored.code != 0:
        raise Failed(f"criu restore failed: {restored.said}")
    s.verify()


def _in_the_background(s: Setting, name: str, program: Path) -> dict[str, str]:
    work = s.make_folder(f"{name}-in-the-background")
    foreground = s.start("lazy-pages --daemon", _telling_status(work, [
        program, "lazy-pages", "-D", s.images, "-W", work, "--daemon",
        "--pidfile", "its.pid", "-o", "its.log", "-v4"]))
    code = foreground.wait(60)
    status = _wait_for_status(work, foreground)
    pid = int((work / "its.pid").read_text())
    seen = {
        "exit code": str(code),
        "status": repr(status),
        "listens": str((work / "lazy-pages.socket").is_socket()),
        "pid file names it": str(bool(_name_of(s.guest, pid))),
        "leads a session": str(_session_of(s.guest, pid) == pid),
    }
    _restore(s, work)
    wait_until("its end", lambda: not _name_of(s.guest, pid))
    written = (work / "its.log").stat().st_size > 0
    seen["log in the work directory"] = str(written)
    seen["said nothing else"] = str(foreground.log.read_text() == "")
    s.reset()
    return seen


def _name_of(guest: Host, pid: int) -> str:
    listing = guest.run(["ps", "-e", "-o", "pid=,stat=,comm="])
    for line in listing.splitlines():
        number, state, comm = line.split(None, 2)
        if int(number) == pid and not state.startswith("Z"):
            return comm
    return ""


def _session_of(guest: Host, pid: int) -> int:
    return int(guest.run(["ps", "-p", str(pid), "-o", "sid="]))


def _level_of_criu(s: Setting, options: list[str], number: int) -> int:
    """How much it says at its start tells: nothing but by level 3 or 4."""
    lines = {}
    for given in (["-v2"], ["-v3"], ["-v4"], options):
        work = s.make_folder(f"verbosity-of-criu-{number}-{len(lines)}")
        daemon = s.start_lazy_pages("-D", s.images, "-W", work, "-o", "log",
                                    *given, program=tools.criu())
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(60)
        lines[len(lines)] = len((work / "log").read_text().splitlines())
    quiet, information, everything, asked = lines.values()
    if not quiet < information < everything:
        raise Failed(f"criu says {lines} lines at levels 2, 3, 4")
    if asked == quiet:
        # It says nothing at all yet; the option does.
        return int(re.sub(r"\D", "", "".join(options)) or _WARNING)
    return {information: 3, everything: 4}[asked]


def _level_of_pagelift(s: Setting, options: list[str], work: Path,
                       wanted: int) -> int:
    """It is given reason for a warning, an error, and information: a signal
    while somebody may depend on it, and a restore that goes away."""
    daemon = s.start_lazy_pages("-D", s.images, "-W", work, "-o", "log",
                                *options)
    log = work / "log"
    with socket.socket(socket.AF_UNIX) as restore:
        restore.connect(str(work / "lazy-pages.socket"))
        # Until it has seen us it ends, as it should.
        wait_until("the restore being seen",
                   lambda: not (work / "lazy-pages.socket").exists())
        # Who takes the second has done what the first led to.
        for _ in range(2):
            daemon.send_signal(signal.SIGTERM)
            wait_until("the signal being taken",
                       lambda: not _has_pending(daemon, signal.SIGTERM),
                       meanwhile=daemon.raise_if_ended)
        # Signals are passed on to another process, which may be slow.
        if wanted >= _WARNING:
            wait_until("the warning",
                       lambda: "level=warning" in log.read_text())
    if daemon.wait(60) != 1:
        raise Failed("it ends well without a restore")
    said = set(re.findall(r"level=(\w+)", log.read_text()))
    for level, names in enumerate([{"error"}, {"error", "warning"},
                                   {"error", "warning", "info"}], 1):
        if said == names:
            return level
    raise Failed(f"with {options} it says {said}")


def _has_pending(process: Process, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid()}/status").read_text()
    pending = re.search(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(pending[1], 16) >> (number - 1) & 1)


CASES = [lazy_pages_in_the_foreground, lazy_pages_in_the_background,
         lazy_pages_verbosity]
