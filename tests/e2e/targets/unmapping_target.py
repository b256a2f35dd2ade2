#!/usr/bin/python3
"""A program that unmaps most of a large region before it has arrived.

    unmapping_target.py --state DIR

Has a region of 4 GiB, of which every sixteenth page is filled. Answers the first
command (see control_file.h for the files) after it has counted which pages of
the first 3 GiB are there, unmapped those 3 GiB, and checked the rest; answers
the others after it has checked the rest once more.
"""

import argparse
import ctypes
import hashlib
import mmap
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from control_file import (  # noqa: E402
    answer_commands, take_over_standard_streams)

PAGE = mmap.PAGESIZE
STEP = 16  # Pages.
REGION_PAGES = (4 << 30) // PAGE
UNMAPPED_PAGES = (3 << 30) // PAGE
_MADV_NOHUGEPAGE = 15
_MAP_NORESERVE = 0x4000
_PRESENT = 0x80  # In the last byte of an entry of /proc/self/pagemap.
_ENTRY = 8


class WrongData(Exception):
    """A page does not hold what was written to it."""


class Region:
    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._address = self._libc.mmap(
            None, ctypes.c_size_t(REGION_PAGES * PAGE),
            mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE, -1,
            ctypes.c_long(0))
        # A filled page would bring its neighbours.
        self._call(self._libc.madvise, REGION_PAGES, _MADV_NOHUGEPAGE)
        for page in range(0, REGION_PAGES, STEP):
            ctypes.memmove(self._address + page * PAGE, _contents(page), PAGE)
        self._first = 0

    def unmap_most(self) -> str:
        if self._first:
            return "nothing to unmap"
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
            pagemap.seek(self._address // PAGE * _ENTRY)
            entries = pagemap.read(UNMAPPED_PAGES * _ENTRY)
        arrived = sum(entry & _PRESENT != 0
                      for entry in entries[_ENTRY - 1::STEP * _ENTRY])
        self._call(self._libc.munmap, UNMAPPED_PAGES)
        self._first = UNMAPPED_PAGES
        return f"unmapped={UNMAPPED_PAGES // STEP} arrived={arrived}"

    def check(self) -> None:
        for page in range(self._first, REGION_PAGES, STEP):
            self._check_page(page, _contents(page))
            if page % (64 * STEP) == 0:
                self._check_page(page + 1, bytes(PAGE))

    def _check_page(self, page: int, wanted: bytes) -> None:
        got = ctypes.string_at(self._address + page * PAGE, PAGE)
        if got != wanted:
            raise WrongData(f"page {page} begins with {got[:16].hex()}, not "
                            f"{wanted[:16].hex()}")

    def _call(self, function, pages: int, *arguments: int) -> None:
        if function(ctypes.c_void_p(self._address),
                    ctypes.c_size_t(pages * PAGE), *arguments) != 0:
            raise OSError(ctypes.get_errno(), function.__name__)


def _contents(page: int) -> bytes:
    return hashlib.shake_128(b"%d" % page).digest(PAGE)


def obey(region: Region) -> str:
    unmapped = region.unmap_most()
    region.check()
    return f"OK {unmapped}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    take_over_standard_streams(options.state)
    region = Region()
    answer_commands(options.state, lambda: obey(region))


if __name__ == "__main__":
    sys.exit(main())
