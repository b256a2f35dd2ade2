"""`pagelift status`, from before a restore until after it."""

import json
import signal
from pathlib import Path

from harness import tools
from harness.namespaces import Failed
from harness.setting import Setting
from harness.waiting import wait_until


def status_json(s: Setting) -> str:
    """Before criu starts, when it has ended, and when all memory is there."""
    before, after = s.folder / "before.json", s.folder / "after.json"
    criu = s.script("criu-between-looks", f"""
        {_status(s)} --json >{before} &&
        {tools.criu()} "$@" && {_status(s)} --json >{after}""")
    _restore(s, "--criu", criu, "--wait")
    s.verify()
    looks = [_session(before.read_text()), _session(after.read_text()),
             _session(_run(s, "--json"))]
    awaiting, running, complete = looks
    name = awaiting["session"]
    if {look["session"] for look in looks} != {name}:
        raise Failed(f"not the same session: {looks}")
    if (awaiting["state"], awaiting["pages_installed"]) != (
            "awaiting_handoff", 0):
        raise Failed(f"before criu: {awaiting}")
    if running["state"] not in ("serving", "draining", "complete"):
        raise Failed(f"when the process runs: {running}")
    if (complete["state"], complete["pages_missing"]) != ("complete", 0):
        raise Failed(f"in the end: {complete}")
    if complete["pages_installed"] == 0:
        raise Failed(f"nothing was counted: {complete}")
    if _sessions(_run(s, "--json", name)) != [complete]:
        raise Failed(f"of {name} alone it tells something else")
    return ", ".join(look["state"] for look in looks)


def status_table(s: Setting) -> str:
    _restore(s, "--wait")
    name = _session(_run(s, "--json"))["session"]
    head, *lines = _run(s).splitlines()
    rows = {line.split()[0]: dict(zip(head.split(), line.split()))
            for line in lines}
    if (rows[name]["STATE"], rows[name]["DONE"]) != ("complete", "100%"):
        raise Failed(f"{name} is complete: {rows[name]}")
    [head, line] = _run(s, name).splitlines()
    if line.split()[0] != name:
        raise Failed(f"asked for {name}: {line}")
    unknown = s.run(*_command(s), "s999")
    if unknown.code != 1 or "s999" not in unknown.said:
        raise Failed(f"there is no session s999: {unknown}")
    return line


def status_watch(s: Setting) -> str:
    """It goes on by itself, and shows a restore that begins later."""
    _restore(s, "--wait")
    known = len(_sessions(_run(s, "--json")))
    s.reset()
    watching = s.start("pagelift status --watch",
                       [*_command(s), "--watch", "--json"])

    def looks() -> list[str]:
        return watching.log.read_text().split("\n")[:-1]

    wait_until("the first look", looks, meanwhile=watching.raise_if_ended)
    _restore(s, "--wait")
    wait_until("a look at a complete restore",
               lambda: _newest_state(looks()[-1], known) == "complete",
               meanwhile=watching.raise_if_ended)
    watching.send_signal(signal.SIGINT)
    watching.wait(60)
    if len(_sessions(looks()[0])) != known:
        raise Failed(f"{known} sessions were known: {looks()[0]}")
    return f"{len(looks())} looks"


def _newest_state(look: str, known: int) -> str:
    sessions = _sessions(look)
    return str(sessions[-1]["state"]) if len(sessions) > known else ""


def _command(s: Setting) -> list[str | Path]:
    return [tools.pagelift("pagelift"), "status", "--control", s.control]


def _status(s: Setting) -> str:
    return " ".join(map(str, _command(s)))


def _restore(s: Setting, *options: str | Path) -> None:
    result = s.restore_and_run(s.images, *options)
    if result.code != 0:
        raise Failed(f"the restore failed: {result.said}")


def _run(s: Setting, *options: str) -> str:
    result = s.run(*_command(s), *options)
    if result.code != 0:
        raise Failed(f"exit code {result.code}: {result.said}")
    return result.said


def _sessions(text: str) -> list[dict]:
    """In the order in which they began."""
    return sorted(json.loads(text)["sessions"],
                  key=lambda session: int(session["session"][1:]))


def _session(text: str) -> dict:
    """The newest."""
    return _sessions(text)[-1]


CASES = [status_json, status_table, status_watch]
