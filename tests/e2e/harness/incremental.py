"""Incremental checkpoints, made of ordinary ones: CRIU makes its own only where
the kernel keeps track of dirty pages."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .images import (IN_PARENT, PAGE, SPOILED_PAGE, PagemapEntry, pagemaps,
                     read_pagemap, write_pagemap)

# How many dumps before the last one a page of an entry was last written to.
AgeOf = Callable[[PagemapEntry, int], int]


def split(images: Path, to: Path, dumps: int, age_of: AgeOf,
          reference: int = IN_PARENT) -> Path:
    """Makes of a checkpoint the same as the last of so many dumps, which are in
    `to`, each the `parent` of the next; returns the last.

    Each lazy page is in one of them only. Older ones hold other contents for
    it, as those of a process that went on would; newer ones refer to them, by
    entries with the flags `reference`.
    """
    to.mkdir()
    for age in range(dumps):
        folder = to / f"dump-{dumps - age}"
        shutil.copytree(images, folder, symlinks=True,
                        ignore=shutil.ignore_patterns("*.log"))
        if age + 1 < dumps:
            (folder / "parent").symlink_to(f"../dump-{dumps - age - 1}")
        for pagemap in pagemaps(folder):
            _keep_what_is_of(age, pagemap, age_of, reference)
    return to / f"dump-{dumps}"


def any_age(entry: PagemapEntry, index: int) -> int:
    """Of three dumps; neighbours are of the same age in threes. Ends of entries
    are new: CRIU takes the pages at stack pointers from wherever they are."""
    if min(index, entry.pages - 1 - index) < 8:
        return 0
    return (entry.address // PAGE + index) // 3 % 3


def _keep_what_is_of(age: int, pagemap: Path, age_of: AgeOf,
                     reference: int) -> None:
    pages_id, entries = read_pagemap(pagemap)
    path = pagemap.with_name(f"pages-{pages_id}.img")
    contents = memoryview(path.read_bytes())
    kept: list[PagemapEntry] = []
    written = bytearray()
    offset = 0
    for entry in entries:
        for index in range(entry.pages):
            page = entry.part(index, 1)
            page_age = age_of(entry, index) if entry.is_lazy else 0
            if page_age > age:
                page = replace(page, flags=reference)
            elif page_age == age:
                written += contents[offset:offset + PAGE]
            else:
                written += SPOILED_PAGE
            offset += PAGE
            _append(kept, page)
    path.write_bytes(written)
    write_pagemap(pagemap, pages_id, kept)


def _append(entries: list[PagemapEntry], page: PagemapEntry) -> None:
    if entries:
        last = entries[-1]
        if (last.flags, last.address + last.pages * PAGE) == (page.flags,
                                                             page.address):
            entries[-1] = last.part(0, last.pages + 1)
            return
    entries.append(page)
