"""`--source grpc://A,B/NAME`: page servers of one checkpoint, of which one dies,
hangs, loses pages, or was never there."""

import json
import os
import signal
from pathlib import Path

from bad_inputs.spoiling import make_another
from harness.namespaces import Failed
from harness.setting import Setting
from harness.waiting import wait_until
from harness.ways import stop

_NAME = "replicated"
_PAGE = 4096


class Replicas:
    """Two page servers, and a restore that brings no page unasked."""

    def __init__(self, s: Setting, second: Path | None = None) -> None:
        self.s = s
        self.images = s.copy(f"replica-{len(list(s.folder.iterdir()))}")
        first_url, self.first = s.start_server(_NAME, self.images)
        second_url, self.second = s.start_server(_NAME, second or s.images)
        self.addresses = [url.split("/")[2] for url in (first_url, second_url)]
        self.url = f"grpc://{','.join(self.addresses)}/{_NAME}"
        self.session = ""

    def restore(self) -> None:
        result = self.s.restore_and_run(self.s.images, "--source", self.url,
                                        "--prefetch", "off", "--json")
        if result.code != 0:
            raise Failed(f"{result}")
        self.session = json.loads(result.said.splitlines()[-1])["session"]

    def status(self) -> dict:
        return self.s.session_status(self.session)

    def stop(self) -> None:
        stop(self.first)
        stop(self.second)

    def verify(self, failovers: int) -> str:
        """All memory is right, and how it came about."""
        self.s.verify()
        status = self.status()
        if (status["failovers"], status["pages_lost"]) != (failovers, 0):
            raise Failed(f"not {failovers} fail-overs: {status}")
        told = (f"{status['demand_fetches']} demands, {status['hedges']} hedged, "
                f"{failovers} fail-overs, longest wait "
                f"{status['fault_latency_us']['max'] / 1000:.1f} ms")
        self.s.reset()
        return told


def replica_dies(s: Setting) -> str:
    replicas = Replicas(s)
    replicas.restore()
    replicas.first.send_signal(signal.SIGKILL)
    wait_until("its end", lambda: replicas.first.exit_code() is not None)
    told = replicas.verify(failovers=1)
    stop(replicas.second)
    return told


def replica_hangs(s: Setting) -> str:
    """It is there, and its connections are, but nothing comes."""
    replicas = Replicas(s)
    replicas.restore()
    replicas.first.send_signal(signal.SIGSTOP)
    told = replicas.verify(failovers=1)
    replicas.first.send_signal(signal.SIGCONT)
    replicas.first.resume()
    replicas.stop()
    return told


def replica_loses_pages(s: Setting) -> str:
    """Its image file is cut while it serves it."""
    replicas = Replicas(s)
    replicas.restore()
    pages = max(replicas.images.glob("pages-*.img"),
                key=lambda file: file.stat().st_size)
    os.truncate(pages, pages.stat().st_size // 2 // _PAGE * _PAGE)
    told = replicas.verify(failovers=0)
    replicas.stop()
    return told


def replica_is_not_there(s: Setting) -> str:
    replicas = Replicas(s)
    stop(replicas.first)
    replicas.restore()
    trouble = replicas.status()["trouble"]
    if not (trouble.startswith("1 of 2 replicas")
            and replicas.addresses[0] in trouble):
        raise Failed(f"it does not say who is away: {trouble}")
    replicas.verify(failovers=0)
    stop(replicas.second)
    return trouble


def replica_of_another_checkpoint(s: Setting) -> str:
    another = s.copy("another-replica")
    make_another(another)
    replicas = Replicas(s, second=another)
    refused = s.restore(s.images, "--source", replicas.url)
    if refused.code != 1 or "is another checkpoint at" not in refused.said:
        raise Failed(f"{refused}")
    replicas.stop()
    return refused.said.strip().splitlines()[-1]


CASES = [replica_dies, replica_hangs, replica_loses_pages,
         replica_is_not_there, replica_of_another_checkpoint]
