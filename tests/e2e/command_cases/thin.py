"""`pagelift thin`: a checkpoint without what the page server has."""

import json
from pathlib import Path

from harness import images, incremental, tools
from harness.images import PAGE
from harness.namespaces import Failed
from harness.setting import Result, Setting


def thin_restores_from_a_page_server(s: Setting) -> str:
    out = s.folder / "thin"
    made = _thin(s, s.images, out)
    made.expect(0, " pages stay with the page server")
    if len(made.said.splitlines()) != 1:
        raise Failed(f"says more: {made}")
    lazy = images.lazy_pages(s.images)
    if _size(s.images) - _size(out) < lazy * PAGE or images.lazy_pages(out) != lazy:
        raise Failed(f"of {lazy} lazy pages some are there: {made}")
    for _ in range(2):
        s.restore_and_run(out, "--source", s.url, "--wait").expect(0)
        s.verify()
        s.reset()
    return made.said.strip()


def thin_needs_no_parents(s: Setting) -> str:
    dumps = incremental.split(s.images, s.folder / "parents-of-thin", 3,
                              incremental.any_age)
    out = s.folder / "thin-of-incremental"
    made = _thin(s, dumps, out, "--json")
    told = json.loads(made.expect(0))
    if any(path.is_symlink() for path in out.iterdir()):
        raise Failed(f"it needs what is elsewhere: {sorted(out.iterdir())}")
    if told["bytes"] != _size(out) or told["left_out_pages"] == 0:
        raise Failed(f"there are {_size(out)} bytes: {told}")
    with s.serving("incremental", dumps) as url:
        s.restore_and_run(out, "--source", url, "--wait").expect(0)
        s.verify()
        s.reset()
    return made.said.strip()


def thin_without_a_source_is_refused(s: Setting) -> str:
    out = s.folder / "thin-alone"
    _thin(s, s.images, out).expect(0)
    result = s.restore(out)
    return result.expect(1, "have no contents here",
                         "--source grpcs://HOST:PORT/NAME").strip()


def thin_again_changes_nothing(s: Setting) -> str:
    out, again = s.folder / "thin-once", s.folder / "thin-twice"
    _thin(s, s.images, out).expect(0)
    result = _thin(s, out, again)
    result.expect(0, "it was thin already")
    for path in out.iterdir():
        if path.read_bytes() != (again / path.name).read_bytes():
            raise Failed(f"{path.name} is another file")
    return result.said.strip()


def thin_says_what_is_wrong(s: Setting) -> str:
    folder = s.make_folder("not-a-checkpoint")
    before = set(s.folder.iterdir())
    said = []
    for arguments, code, wanted in (
            ([s.images], 2, "OUT"),
            ([s.images, folder], 1, "exists already"),
            ([s.images, s.images / "thin"], 1, "inside the checkpoint"),
            ([s.images, folder / "nowhere/thin"], 1, "No such file"),
            ([folder, s.folder / "thin-of-nothing"], 1,
             "not a CRIU image directory")):
        result = _thin(s, *arguments)
        result.expect(code, wanted)
        said.append(result.said.strip().splitlines()[0])
    left = {path for path in set(s.folder.iterdir()) - before
            if path.suffix != ".log"}
    if left or (s.images / "thin").exists() or any(folder.iterdir()):
        raise Failed(f"left behind: {left}")
    return "; ".join(said)


def _thin(s: Setting, *arguments: str | Path) -> Result:
    return s.run(tools.pagelift("pagelift"), "thin", *arguments)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


CASES = [thin_restores_from_a_page_server, thin_needs_no_parents,
         thin_without_a_source_is_refused, thin_again_changes_nothing,
         thin_says_what_is_wrong]
