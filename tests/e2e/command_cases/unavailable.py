"""`--unavailable-after` and `--when-unavailable`: a page server that is gone for
good."""

import json
import signal

from harness.namespaces import Failed
from harness.setting import Setting
from harness.waiting import wait_until


def poisoned_after_a_while(s: Setting) -> str:
    return _dies_of(s, "poison")


def killed_after_a_while(s: Setting) -> str:
    return _dies_of(s, "kill")


def it_says_what_belongs_together(s: Setting) -> str:
    said = []
    for options in (("--when-unavailable", "poison"),
                    ("--unavailable-after", "5s"),
                    ("--when-unavailable", "panic")):
        result = s.restore(s.images, *options)
        if result.code != 2:
            raise Failed(f"{options}: {result}")
        said.append(result.said.splitlines()[0])
    return "; ".join(said)


def _dies_of(s: Setting, action: str) -> str:
    url, server = s.start_server("gone", s.images)
    result = s.restore_and_run(s.images, "--source", url, "--prefetch", "off",
                               "--unavailable-after", "1s",
                               "--when-unavailable", action, "--json")
    if result.code != 0:
        raise Failed(f"{result}")
    session = json.loads(result.said.splitlines()[-1])["session"]
    server.send_signal(signal.SIGKILL)
    wait_until("the server's end", lambda: server.exit_code() is not None)
    s.expect_death_at_next_touch()
    status = s.session_status(session)
    if f"given up ({action})" not in status["trouble"]:
        raise Failed(f"it does not tell: {status}")
    return status["trouble"]


CASES = [poisoned_after_a_while, killed_after_a_while,
         it_says_what_belongs_together]
