"""`pagelift inspect`, for people and for machines."""

import json
import re
from pathlib import Path

from harness import images, incremental, tools
from harness.images import PAGE
from harness.namespaces import Failed
from harness.setting import Setting

_THREADS = 5
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def inspect_json(s: Setting) -> str:
    told = _json(s, s.images)
    [task] = told["tasks"]
    wanted = {"pid": 1000, "ppid": 0, "comm": s.workload.comm[:15],
              "zombie": False, "threads": _THREADS}
    if task | wanted != task:
        raise Failed(f"the task is {wanted}, not {task}")
    _expect_pages(told, s.images, parents=0)
    _expect_pages(task, s.images, parents=0)
    if (told["parent_images"], told["remote_pages"]) != (0, 0):
        raise Failed(f"there is no parent and no page server: {told}")
    return f"{told['lazy_pages']} lazy, {told['eager_pages']} eager pages"


def inspect_json_of_parents(s: Setting) -> str:
    last = incremental.split(s.images, s.folder / "parent-to-inspect", 3,
                             incremental.any_age)
    told, alone = _json(s, last), _json(s, s.images)
    parents = sum(entry.pages for entry in _entries(last)
                  if entry.flags == images.IN_PARENT)
    # At a thread's stack pointer, CRIU wants the page of a parent.
    eager = parents - told["parent_pages"]
    _expect_pages(told, last, told["parent_pages"])
    if told["parent_images"] != 2 or not 0 <= eager <= _THREADS < parents:
        raise Failed(f"there are {parents} pages in 2 parents: {told}")
    if told["lazy_pages"] + eager != alone["lazy_pages"]:
        raise Failed(f"{eager} lazy pages became eager: {told} {alone}")
    for same in ("zero_pages", "run_id"):
        if told[same] != alone[same]:
            raise Failed(f"{same} depends on the parents: {told} {alone}")
    table = _run(s, last)
    if "in 2 parent image(s)" not in table:
        raise Failed(f"says nothing of 2 parents:\n{table}")
    return table.splitlines()[-1]


def inspect_table(s: Setting) -> str:
    told = _json(s, s.images)
    lines = _run(s, s.images).splitlines()
    head, task, total = (line.split() for line in lines[1:4])
    if lines[0] != f"content id {told['content_id']}":
        raise Failed(f"the content id is {told['content_id']}: {lines[0]}")
    if task[:5] != ["1000", "0", s.workload.comm[:15], str(_THREADS),
                    str(told["tasks"][0]["lazy_regions"])]:
        raise Failed(f"under {head} is {task}")
    sizes = re.findall(r"([\d.]+) ?([KMG]?i?B)", " ".join(total))
    for (number, unit), kind in zip(sizes, ("lazy", "eager", "zero"),
                                    strict=True):
        pages = float(number) * _UNITS[unit] / PAGE
        # With one decimal.
        if abs(pages - told[f"{kind}_pages"]) > 0.05 * _UNITS[unit] / PAGE + 1:
            raise Failed(f"{number} {unit} {kind}, and {told}")
    return " ".join(total)


def _run(s: Setting, *arguments: str | Path) -> str:
    result = s.run(tools.pagelift("pagelift"), "inspect", *arguments)
    if result.code != 0:
        raise Failed(f"exit code {result.code}: {result.said}")
    return result.said


def _json(s: Setting, folder: Path) -> dict:
    return json.loads(_run(s, "--json", folder))


def _entries(folder: Path) -> list[images.PagemapEntry]:
    return [entry for pagemap in images.pagemaps(folder)
            for entry in images.read_pagemap(pagemap)[1]]


def _expect_pages(told: dict, folder: Path, parents: int) -> None:
    entries = _entries(folder)
    lazy = sum(entry.pages for entry in entries if entry.is_lazy) + parents
    # What is not lazy, CRIU restores, whatever it belongs to.
    eager = sum(entry.pages for entry in entries) - lazy
    found = (told["lazy_pages"], told["eager_pages"], told["parent_pages"])
    if found != (lazy, eager, parents):
        raise Failed(f"{found} pages are lazy, eager, with parents; wanted "
                     f"{(lazy, eager, parents)}")


CASES = [inspect_json, inspect_json_of_parents, inspect_table]
