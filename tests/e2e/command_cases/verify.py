"""`pagelift verify`: copies of a checkpoint, whole, changed and cut."""

import json

from harness import tools
from harness.namespaces import Failed
from harness.setting import Result, Setting

from .seal import damage


def verify_copies(s: Setting) -> str:
    copy = s.copy("verified")
    with s.serving("verified", copy) as url:
        result = _run(s, "--json", f"criu:{s.images}", url)
        result.expect(0)
        told = json.loads(result.said)
        here, there = told["sources"]
        if here["digest"] != there["digest"] or told["different_pages"] != 0:
            raise Failed(f"copies differ: {told}")
        for_people = _run(s, url)
        for_people.expect(0, here["digest"])
    return for_people.said.strip()


def verify_changed_copy(s: Setting) -> str:
    """A byte of two pages, which nothing else would notice."""
    copy = s.copy("changed")
    damage(copy)
    result = _run(s, f"criu:{s.images}", f"criu:{copy}")
    result.expect(1, "2 pages differ: ")
    return result.said.strip().splitlines()[-1]


def verify_says_what_is_wrong(s: Setting) -> str:
    said = []
    for arguments, code, wanted in (
            ([], 2, "SOURCE"),
            (["ftp://host/x"], 1, "expected criu:DIR or grpc://HOST:PORT/NAME"),
            ([f"criu:{s.folder}/nowhere"], 1, "No such file or directory"),
            (["grpc://127.0.0.1:9/x"], 1, "cannot be reached")):
        result = _run(s, *arguments)
        result.expect(code, wanted)
        said.append(result.said.strip().splitlines()[-1])
    return "; ".join(said)


def _run(s: Setting, *arguments: str) -> Result:
    return s.run(tools.pagelift("pagelift"), "verify", *arguments)


CASES = [verify_copies, verify_changed_copy, verify_says_what_is_wrong]
