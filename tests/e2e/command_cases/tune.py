"""`--prefetch` and `pagelift tune`: what is brought without being touched."""

import json
import time

from harness import tools
from harness.namespaces import Failed
from harness.setting import Result, Setting
from harness.waiting import wait_until

_A_WHILE = 0.3  # Of which a restore of 8 MiB takes a fraction.


def off_until_tuned(s: Setting) -> str:
    """Only what is touched comes, and stays so; then, tuned, the rest."""
    session = _restore(s, "--prefetch", "off")
    missing = s.session_status(session)["pages_missing"]
    time.sleep(_A_WHILE)
    later = s.session_status(session)
    if later["prefetch"] != "off" or later["state"] != "draining":
        raise Failed(f"not as it was told: {later}")
    if not missing or later["pages_missing"] != missing:
        raise Failed(f"{missing} pages were missing, then {later}")
    _tune(s, session, "--prefetch", "full").expect(0)
    _wait_for_completion(s, session)
    return f"{missing} pages waited, {s.verify()}"


def off_is_enough_for_who_touches_everything(s: Setting) -> str:
    """Faults alone bring all, and the session ends."""
    session = _restore(s, "--prefetch", "off")
    said = s.verify()
    status = s.session_status(session)
    # Pages that nobody reads, such as those of libraries, may be missing yet.
    if status["demand_fetches"] < 1000:
        raise Failed(f"who brought the rest? {status}")
    _tune(s, session, "--prefetch", "full").expect(0)
    _wait_for_completion(s, session)
    return f"{said}, {status['demand_fetches']} fetched by demand"


def rate_is_kept(s: Setting) -> str:
    """8 MiB at 4 MiB a second take more than a second."""
    session = _restore(s, "--prefetch", "rate=4")
    status = _wait_for_completion(s, session)
    if status["time_to_complete_ms"] < 1000:
        raise Failed(f"too fast: {status}")
    return f"{status['time_to_complete_ms']} ms, {s.verify()}"


def idle_brings_everything(s: Setting) -> str:
    session = _restore(s, "--prefetch", "idle")
    _wait_for_completion(s, session)
    return s.verify()


def complete_ends_off(s: Setting) -> str:
    """It does not wait for what nobody would bring."""
    session = _restore(s, "--prefetch", "off")
    done = s.run(tools.pagelift("pagelift"), "complete", "--control",
                 s.control, session)
    done.expect(0)
    return f"{done.said.splitlines()[0]}, {s.verify()}"


def stopped_daemon_brings_everything(s: Setting) -> str:
    """SIGTERM ends it when nothing is missing any more."""
    _restore(s, "--prefetch", "off")
    [pid] = s.guest.pids_called("pageliftd")
    s.guest.run(["kill", "-TERM", str(pid)])
    wait_until("the daemon's end",
               lambda: pid not in s.guest.pids_called("pageliftd"))
    return s.verify()


def tune_says_what_is_wrong(s: Setting) -> str:
    session = _restore(s, "--prefetch", "off")
    said = []
    for arguments, code, word in (
            ((session, "--prefetch", "fast"), 2, "rate=N"),
            ((session,), 2, "--prefetch"),
            (("--prefetch", "full"), 2, "SESSION"),
            (("s999", "--prefetch", "full"), 1, "s999")):
        result = _tune(s, *arguments)
        result.expect(code)
        if word not in result.said:
            raise Failed(f"{arguments}: {result}")
        said.append(result.said.splitlines()[0])
    waiting = s.restore_and_run(s.images, "--prefetch", "off", "--wait")
    waiting.expect(2)
    _tune(s, session, "--prefetch", "full").expect(0)
    _wait_for_completion(s, session)
    s.verify()
    return "; ".join([*said, waiting.said.splitlines()[0]])


def _restore(s: Setting, *options: str) -> str:
    result = s.restore_and_run(s.images, "--source", s.url, "--json", *options)
    result.expect(0)
    return str(json.loads(result.said.splitlines()[-1])["session"])


def _tune(s: Setting, *arguments: str) -> Result:
    return s.run(tools.pagelift("pagelift"), "tune", "--control", s.control,
                 *arguments)


def _wait_for_completion(s: Setting, session: str) -> dict:
    def complete() -> dict | None:
        status = s.session_status(session)
        return status if status["state"] == "complete" else None

    return wait_until(f"session {session} being complete", complete)


CASES = [off_until_tuned, off_is_enough_for_who_touches_everything,
         rate_is_kept, idle_brings_everything, complete_ends_off,
         stopped_daemon_brings_everything, tune_says_what_is_wrong]
