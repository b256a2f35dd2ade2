"""`pagelift workingset`, of an image directory and of a page server."""

import json
import re
from pathlib import Path

from harness import tools, working_sets
from harness.namespaces import Failed
from harness.setting import Result, Setting
from harness.waiting import wait_until
from harness.working_sets import Recording

# 30 and 20 pages, of which 5 are in both.
_NEWEST = Recording([(100, 10), (7, 20)], kept=1700000000)
_OLDER = Recording([(105, 5), (200, 15)], kept=1600000000)


def workingset_of_a_directory(s: Setting) -> str:
    images = s.copy("recorded")
    file = _keep(s, images)
    told = _expect_both(s, f"criu:{images}")
    _run(s, "drop", f"criu:{images}").expect(0, "recordings dropped: 2")
    if file.exists():
        raise Failed(f"{file} is still there")
    _run(s, "show", f"criu:{images}").expect(0, "no recordings")
    _run(s, "drop", f"criu:{images}").expect(0, "recordings dropped: 0")
    return told


def workingset_of_a_server(s: Setting) -> str:
    images = s.copy("recorded-at-server")
    file = _keep(s, images)
    with s.serving("recorded", images) as url:
        _expect_both(s, url)
        _run(s, "drop", url).expect(1, "without --keep-working-sets")
    with s.serving("recorded", images, "--keep-working-sets") as url:
        told = _expect_both(s, url)
        _run(s, "drop", url).expect(0, "recordings dropped: 2")
        if file.exists():
            raise Failed(f"{file} is still there")
        _run(s, "show", url).expect(0, "no recordings")
    return told


def workingset_of_nothing(s: Setting) -> str:
    """What is no source, and sources that are not there."""
    s.run(tools.pagelift("pagelift"), "workingset").expect(2, "Usage:")
    _run(s, "record", s.url).expect(2, 'no command "record"')
    for command in ("show", "drop"):
        _run(s, command).expect(2, "SOURCE")
        _run(s, command, "ftp://host/x").expect(
            2, "expected criu:DIR or grpc://HOST:PORT/NAME")
        _run(s, command, f"criu:{s.folder}/nowhere").expect(
            1, "No such file or directory")
        _run(s, command, s.url + "-of-another-day").expect(
            1, "no image \"checkpoint-of-another-day\"")
        gone = _run(s, command, "grpc://127.0.0.1:9/checkpoint")
        gone.expect(1, "is pagelift-server running there")
    return gone.said.strip()


def workingset_that_is_damaged(s: Setting) -> str:
    """It is none, here as at a server, and whoever asks is told why."""
    images = s.copy("damaged-set")
    file = _keep(s, images)
    file.write_bytes(file.read_bytes()[:-1])
    with s.serving("damaged", images) as url:
        for source in (f"criu:{images}", url):
            result = _run(s, "show", source)
            result.expect(0, "no recordings")
            result.expect(0, "! ", f"{working_sets.NAME} is ignored",
                          "it is damaged")
    working_sets.write(images, "c0ffee", [_NEWEST])
    _run(s, "show", f"criu:{images}").expect(0, "it is of another checkpoint")
    _run(s, "drop", f"criu:{images}").expect(0, "recordings dropped: 0")
    if file.exists():
        raise Failed(f"{file} is still there")
    return result.said.splitlines()[-1]


def workingset_beside_a_restore(s: Setting) -> str:
    """Neither CRIU nor a page server minds the file."""
    images = s.copy("recorded-and-restored")
    _keep(s, images)
    with s.serving("recorded", images) as url:
        for source in ([], ["--source", url]):
            result = s.restore_and_run(images, *source, "--wait")
            result.expect(0)
            told = s.verify()
            s.reset()
    return told


def workingset_of_a_restore(s: Setting) -> str:
    """--record keeps all that is touched; the next restore finds it."""
    images = s.copy("to-be-recorded")
    with s.serving("recorded", images, "--keep-working-sets") as url:
        told = []
        for options in (["--record"], []):
            s.restore_and_run(images, "--source", url, *options).expect(0)
            told.append(s.verify())
            s.run(tools.pagelift("pagelift"), "complete", "--control",
                  s.control).expect(0)
            s.reset()
        kept = wait_until("a recording", lambda: _recordings(s, url))
    if len(kept) != 1 or kept[0]["pages"] < 1000:
        raise Failed(f"not what was touched: {kept}")
    return f"{kept[0]['pages']} pages recorded; {', '.join(told)}"


def _recordings(s: Setting, source: str) -> list[dict]:
    shown = _run(s, "show", "--json", source).expect(0)
    return json.loads(shown)["recordings"]


def workingset_help(s: Setting) -> str:
    _run(s, "--help").expect(0, "show", "drop")
    for command in ("show", "drop"):
        result = _run(s, command, "--help")
        result.expect(0, f"Usage: pagelift workingset {command}", "Examples:",
                      f"pagelift workingset {command} criu:/ckpt")
    return result.said.splitlines()[0]


def _keep(s: Setting, images: Path) -> Path:
    return working_sets.write(images, _inspected(s)["content_id"],
                              [_NEWEST, _OLDER])


def _expect_both(s: Setting, source: str) -> str:
    """Returns a line of the table."""
    inspected = _inspected(s)
    wanted = {
        "content_id": inspected["content_id"],
        "image_pages": inspected["lazy_pages"], "shared_pages": 5,
        "ignored": "",
        "recordings": [{"pages": r.pages, "kept_unix_seconds": r.kept}
                       for r in (_NEWEST, _OLDER)]}
    told = json.loads(_run(s, "show", "--json", source).expect(0))
    if told != wanted:
        raise Failed(f"{told}; wanted {wanted}")
    table = _run(s, "show", source).expect(
        0, "120.0 KiB", "80.0 KiB", "20.0 KiB")
    if not re.search(r"^newest +30 .*% +2023-11-1\d \d\d:\d\d:20$", table,
                     re.MULTILINE):
        raise Failed(f"when and how much?\n{table}")
    return table.splitlines()[-1]


def _inspected(s: Setting) -> dict:
    result = s.run(tools.pagelift("pagelift"), "inspect", "--json", s.images)
    return json.loads(result.expect(0))


def _run(s: Setting, *arguments: str) -> Result:
    return s.run(tools.pagelift("pagelift"), "workingset", *arguments)


CASES = [workingset_of_a_directory, workingset_of_a_server,
         workingset_of_nothing, workingset_that_is_damaged,
         workingset_beside_a_restore, workingset_of_a_restore,
         workingset_help]
