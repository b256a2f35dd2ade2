"""Pages files that lose their end under the pager. What is lost cannot be had
again: whoever touches it dies, and reads nothing."""

import os
from pathlib import Path

from harness import incremental, tools
from harness.images import IN_PARENT, LAZY, PAGE, PagemapEntry
from harness.namespaces import Failed
from harness.setting import Result, Setting, result_of

from .spoiling import Case


def pages_lost_before_it_runs(s: Setting) -> Result:
    """Half of the file: the stacks, without which no thread can start."""
    images = s.copy("lost-half")
    criu = _criu_after(s, "criu-that-loses-half", images)
    return s.restore(s.images, "--source", f"criu:{images}", "--criu", criu,
                     "--wait")


def pages_lost_at_the_server(s: Setting) -> Result:
    images = s.copy("lost-at-server")
    criu = _criu_after(s, "criu-that-loses-at-server", images)
    with s.serving("losing", images) as url:
        return s.restore(s.images, "--source", url, "--criu", criu, "--wait")


def pages_lost_while_it_runs(s: Setting) -> Result:
    """An older dump's file, which has half of the data and no stack."""
    last = incremental.split(s.images, s.folder / "lost-parent", 2,
                             _is_amid_data)
    criu = _criu_after(s, "criu-that-loses-a-parent", last / "parent")
    result = s.restore_and_run(last, "--criu", criu, "--wait")
    s.expect_death_at_next_touch()
    return result


def lazy_pages_that_lose_pages(s: Setting) -> Result:
    images = s.copy("lost-for-lazy-pages")
    work = s.make_folder("work-lost")
    lazy_pages = s.start_lazy_pages("-D", images, "-W", work)
    _halve(images)
    restored = s.criu_restore(work)
    if restored.code == 0:
        raise Failed("criu restore went well without stacks")
    s.expect_nothing_runs(restored)
    return result_of(lazy_pages)


def _is_amid_data(entry: PagemapEntry, index: int) -> bool:
    """Whether a page is surely none of a stack, or of a thread's own data."""
    return min(index, entry.pages - index) >= 100


def lazy_pages_that_lose_pages_later(s: Setting) -> Result:
    last = incremental.split(s.images, s.folder / "lost-parent-lazily", 2,
                             _is_amid_data, IN_PARENT | LAZY)
    work = s.make_folder("work-lost-later")
    lazy_pages = s.start_lazy_pages("-D", last, "-W", work)
    _halve(last / "parent")
    restored = s.criu_restore(work, last)
    if restored.code != 0:
        raise Failed(f"criu restore failed: {restored.said}")
    s.expect_death_at_next_touch()
    return result_of(lazy_pages)


def _halve(images: Path) -> None:
    pages = next(images.glob("pages-*.img"))
    os.truncate(pages, pages.stat().st_size // PAGE // 2 * PAGE)


def _criu_after(s: Setting, name: str, images: Path) -> Path:
    """A criu before which the pages file of `images` loses its second half:
    when the pager has opened it, and served nothing yet."""
    pages = next(images.glob("pages-*.img"))
    half = pages.stat().st_size // PAGE // 2 * PAGE
    script = s.folder / name
    script.write_text(f"#!/bin/sh\ntruncate --size={half} {pages} &&\n"
                      f'exec {tools.criu()} "$@"\n')
    script.chmod(0o755)
    return script


_AGAIN = ("truncated", "copy the checkpoint again")

CASES = [
    Case(pages_lost_before_it_runs, 1,
         ("lost-half: ", "pages are lost", *_AGAIN)),
    Case(pages_lost_at_the_server, 1,
         ("grpc://127.0.0.1:", "/losing: ", "pages are lost", *_AGAIN)),
    Case(pages_lost_while_it_runs, 1,
         ("lost-parent/dump-2: ", "pages are lost", "SIGBUS", *_AGAIN)),
    Case(lazy_pages_that_lose_pages, 1,
         ("lost-for-lazy-pages: ", "pages are lost", *_AGAIN)),
    Case(lazy_pages_that_lose_pages_later, 1,
         ("lost-parent-lazily/dump-2: ", "pages are lost", *_AGAIN)),
]
