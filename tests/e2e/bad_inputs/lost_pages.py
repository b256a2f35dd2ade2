"""Pages files that lose pages under the pager: their end, or what a hole is
made in, as `criu dedup` does. What is lost cannot be had again: whoever touches
it dies, and reads nothing."""

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import incremental, tools
from harness.images import IN_PARENT, LAZY, PAGE, PagemapEntry
from harness.namespaces import Failed
from harness.setting import Result, Setting, result_of

from .spoiling import Case


@dataclass(frozen=True)
class Loss:
    """How the second half of a pages file is lost, and what is said of it."""

    name: str
    command: Callable[[Path, int], list[str]]  # Of the file and half its size.
    words: tuple[str, ...]

    def of(self, images: Path) -> list[str]:
        pages = next(images.glob("pages-*.img"))
        return self.command(pages, pages.stat().st_size // PAGE // 2 * PAGE)


_TRUNCATED = Loss(
    "truncated",
    lambda pages, half: ["truncate", f"--size={half}", str(pages)],
    ("truncated", "copy the checkpoint again"))
_PUNCHED = Loss(
    "punched",
    lambda pages, half: ["fallocate", "--punch-hole", f"--offset={half}",
                         f"--length={pages.stat().st_size - half}", str(pages)],
    ("pages-", "has a hole at offset", "another copy of the checkpoint",
     "criu dedup"))


def pages_lost_before_it_runs(loss: Loss, s: Setting) -> Result:
    """Half of the file: the stacks, without which no thread can start."""
    images = s.copy(f"lost-half-{loss.name}")
    criu = _criu_after(s, loss, images)
    return s.restore(s.images, "--source", f"criu:{images}", "--criu", criu,
                     "--wait")


def pages_lost_at_the_server(loss: Loss, s: Setting) -> Result:
    images = s.copy(f"lost-at-server-{loss.name}")
    criu = _criu_after(s, loss, images)
    with s.serving("losing", images) as url:
        return s.restore(s.images, "--source", url, "--criu", criu, "--wait")


def pages_lost_while_it_runs(loss: Loss, s: Setting) -> Result:
    """An older dump's file, which has half of the data and no stack."""
    last = _incremental(s, f"lost-parent-{loss.name}", IN_PARENT)
    criu = _criu_after(s, loss, last / "parent")
    result = s.restore_and_run(last, "--criu", criu, "--wait")
    s.expect_death_at_next_touch()
    return result


def pages_lost_at_the_server_while_it_runs(loss: Loss, s: Setting) -> Result:
    last = _incremental(s, f"lost-parent-at-server-{loss.name}", IN_PARENT)
    criu = _criu_after(s, loss, last / "parent")
    with s.serving("losing-parent", last) as url:
        result = s.restore_and_run(last, "--source", url, "--criu", criu,
                                   "--wait")
        s.expect_death_at_next_touch()
    return result


def lazy_pages_that_lose_pages(loss: Loss, s: Setting) -> Result:
    images = s.copy(f"lost-for-lazy-pages-{loss.name}")
    work = s.make_folder(f"work-lost-{loss.name}")
    lazy_pages = s.start_lazy_pages("-D", images, "-W", work)
    s.guest.run(loss.of(images))
    restored = s.criu_restore(work)
    if restored.code == 0:
        raise Failed("criu restore went well without stacks")
    s.expect_nothing_runs(restored)
    return result_of(lazy_pages)


def lazy_pages_that_lose_pages_later(loss: Loss, s: Setting) -> Result:
    last = _incremental(s, f"lost-parent-lazily-{loss.name}", IN_PARENT | LAZY)
    work = s.make_folder(f"work-lost-later-{loss.name}")
    lazy_pages = s.start_lazy_pages("-D", last, "-W", work)
    s.guest.run(loss.of(last / "parent"))
    restored = s.criu_restore(work, last)
    if restored.code != 0:
        raise Failed(f"criu restore failed: {restored.said}")
    s.expect_death_at_next_touch()
    return result_of(lazy_pages)


def _incremental(s: Setting, name: str, reference: int) -> Path:
    return incremental.split(s.images, s.folder / name, 2, _is_amid_data,
                             reference)


def _is_amid_data(entry: PagemapEntry, index: int) -> bool:
    """Whether a page is surely none of a stack, or of a thread's own data."""
    return min(index, entry.pages - index) >= 100


def _criu_after(s: Setting, loss: Loss, images: Path) -> Path:
    """A criu before which the pages file of `images` loses its second half:
    when the pager has opened it, and served nothing yet."""
    folder = images.resolve()
    script = s.folder / f"criu-after-{folder.parent.name}-{folder.name}"
    script.write_text(f"#!/bin/sh\n{shlex.join(loss.of(images))} &&\n"
                      f'exec {tools.criu()} "$@"\n')
    script.chmod(0o755)
    return script


def _cases(loss: Loss) -> list[Case]:
    return [
        _case(pages_lost_before_it_runs, loss, f"lost-half-{loss.name}: "),
        _case(pages_lost_at_the_server, loss, "grpc://127.0.0.1:",
              "/losing: "),
        _case(pages_lost_while_it_runs, loss,
              f"lost-parent-{loss.name}/dump-2: ", "SIGBUS"),
        _case(pages_lost_at_the_server_while_it_runs, loss,
              "grpc://127.0.0.1:", "/losing-parent: ", "SIGBUS"),
        _case(lazy_pages_that_lose_pages, loss,
              f"lost-for-lazy-pages-{loss.name}: "),
        _case(lazy_pages_that_lose_pages_later, loss,
              f"lost-parent-lazily-{loss.name}/dump-2: "),
    ]


def _case(do: Callable[[Loss, Setting], Result], loss: Loss,
          *words: str) -> Case:
    bound = functools.partial(do, loss)
    functools.update_wrapper(bound, do)
    bound.__name__ = f"{do.__name__}_{loss.name}"
    return Case(bound, 1, (*words, "pages are lost", *loss.words))


CASES = [*_cases(_TRUNCATED), *_cases(_PUNCHED)]
