"""`pagelift seal`: a byte that changes afterwards is noticed, wherever it is
read."""

import json
from pathlib import Path

from harness import tools
from harness.namespaces import Failed
from harness.setting import Result, Setting
from harness.ways import stop

from .replicas import Replicas

_PAGE = 4096


def seal_finds_a_changed_byte(s: Setting) -> str:
    images = s.copy("sealed")
    sealed = _run(s, "seal", images)
    sealed.expect(0, "sealed ")
    inspected = _run(s, "inspect", "--json", images)
    if not json.loads(inspected.said)["sealed"]:
        raise Failed(f"inspect does not tell: {inspected}")
    _run(s, "verify", f"criu:{images}").expect(0)
    damage(images)
    found = _run(s, "verify", f"criu:{images}")
    found.expect(1, "2 pages are lost (")
    # It must not become the truth by being sealed again.
    _run(s, "seal", images).expect(1, "nothing was sealed")
    (images / "pagelift-seal").unlink()
    _run(s, "seal", images).expect(0)
    return f"{sealed.said.strip()}; {found.said.strip().splitlines()[-1]}"


def damaged_page_is_never_read(s: Setting) -> str:
    """Of a page server; the process that touches it dies instead."""
    images = s.copy("sealed-and-served")
    _run(s, "seal", images).expect(0)
    url, server = s.start_server("sealed", images)
    damage(images)
    result = s.restore_and_run(s.images, "--source", url, "--json")
    session = json.loads(result.said.splitlines()[-1])["session"]
    s.expect_death_at_next_touch()
    status = s.session_status(session)
    if status["pages_lost"] != 2 or "sealed" not in status["trouble"]:
        raise Failed(f"it does not tell: {status}")
    s.reset()
    stop(server)
    return status["trouble"]


def damaged_page_comes_from_a_replica(s: Setting) -> str:
    _run(s, "seal", s.images).expect(0)
    replicas = Replicas(s)
    damage(replicas.images)
    replicas.restore()
    told = replicas.verify(failovers=0)
    replicas.stop()
    (s.images / "pagelift-seal").unlink()
    return told


def damage(images: Path) -> None:
    """A byte of two pages, which nothing else would notice."""
    pages = max(images.glob("pages-*.img"), key=lambda file: file.stat().st_size)
    with pages.open("r+b") as file:
        for number in (1000, 1500):
            file.seek(number * _PAGE + 17)
            byte = file.read(1)[0]
            file.seek(number * _PAGE + 17)
            file.write(bytes([byte ^ 1]))


def _run(s: Setting, *arguments: str | Path) -> Result:
    return s.run(tools.pagelift("pagelift"), *arguments)


CASES = [seal_finds_a_changed_byte, damaged_page_is_never_read,
         damaged_page_comes_from_a_replica]
