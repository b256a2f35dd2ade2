"""`pagelift complete`, and what it is for: another checkpoint."""

import json
from collections.abc import Sequence
from pathlib import Path

from harness import tools
from harness.checkpoint import dump_command
from harness.namespaces import Failed
from harness.setting import Result, Setting, result_of
from harness.waiting import wait_until
from harness.ways import criu_plain_restore_command, stop

_SERVER = "pagelift-server"


def complete_and_dump_again(s: Setting) -> str:
    """Lazily restored, completed, dumped, and restored from that without us."""
    session = _restore(s, s.url)
    done = _complete(s, session, "--json")
    [told] = json.loads(done.said)["sessions"]
    if (done.code, told["session"], told["state"], told["pages_missing"]) != (
            0, session, "complete", 0):
        raise Failed(f"complete {session}: {done}")
    again = s.make_folder("images-again")
    _run(s, dump_command(again, tools.criu()))
    if s.running():
        raise Failed("criu dump left the process")
    _run(s, criu_plain_restore_command(again, s.make_folder("work-again")))
    s.workload.verify(s.guest, s.state)
    return f"{session} dumped and restored again, {s.verify()}"


def complete_gives_up(s: Setting) -> str:
    """No page comes from a server that is stopped: it tells how many are
    missing, and the target waits until the server goes on."""
    servers = s.guest.pids_called(_SERVER)
    url, server = s.start_server("stopped", s.images)
    [pid] = s.guest.pids_called(_SERVER) - servers
    # The session is open when criu starts, and nothing has been asked for.
    criu = s.script("criu-without-server",
                    f'kill -STOP {pid} && exec {tools.criu()} "$@"')
    restoring = s.start("pagelift restore", s.restore_command(
        s.images, "--source", url, "--criu", criu))
    try:
        session = wait_until("the task being handed over",
                             lambda: _session_from(s, url),
                             meanwhile=restoring.raise_if_ended)
        given_up = _complete(s, session["session"], "--timeout", "100ms")
    finally:
        server.resume()
    missing = session["pages_missing"]
    if given_up.code != 1 or f" {missing} " not in given_up.said:
        raise Failed(f"{missing} pages were missing: {given_up}")
    for result in (result_of(restoring), _complete(s, session["session"])):
        if result.code != 0:
            raise Failed(f"the server went on: {result}")
    s.verify()
    stop(server)
    return given_up.said.strip()


def _session_from(s: Setting, url: str) -> dict | None:
    """Once it misses pages."""
    status = s.run(tools.pagelift("pagelift"), "status", "--json", "--control",
                   s.control)
    if status.code != 0:
        raise Failed(f"pagelift status: {status}")
    for session in json.loads(status.said)["sessions"]:
        if session["source"] == url and session["pages_missing"]:
            return session
    return None


def complete_unknown(s: Setting) -> str:
    _restore(s, s.url)
    unknown = _complete(s, "s999")
    if unknown.code != 1 or "s999" not in unknown.said:
        raise Failed(f"there is no session s999: {unknown}")
    return unknown.said.strip()


def _restore(s: Setting, url: str, *options: str | Path) -> str:
    """Does not wait for memory; tells the session."""
    result = s.restore_and_run(s.images, "--source", url, "--json", *options)
    if result.code != 0:
        raise Failed(f"the restore failed: {result.said}")
    return str(json.loads(result.said.splitlines()[-1])["session"])


def _complete(s: Setting, *arguments: str) -> Result:
    return s.run(tools.pagelift("pagelift"), "complete", "--control",
                 s.control, *arguments)


def _run(s: Setting, command: Sequence[str | Path]) -> None:
    result = s.run(*command)
    if result.code != 0:
        raise Failed(f"{command[:2]} failed: {result.said}")


CASES = [complete_and_dump_again, complete_gives_up, complete_unknown]
