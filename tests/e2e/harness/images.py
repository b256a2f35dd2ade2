"""Just enough of CRIU's image format to know which pages are lazy."""

import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .namespaces import Failed

PAGE = 4096
_MAGIC = struct.pack("<II", 0x54564319, 0x56084025)
IN_PARENT, LAZY, _PRESENT = 1, 2, 4
# Never zeros: a page that was wrongly taken for absent would pass as such.
SPOILED_PAGE = b"spoiled!" * (PAGE // 8)


@dataclass(frozen=True)
class PagemapEntry:
    address: int
    pages: int
    flags: int
    new_count: bool = True  # Counted as CRIU has done since 4.2.

    def part(self, first: int, pages: int) -> "PagemapEntry":
        return replace(self, address=self.address + first * PAGE, pages=pages)

    @property
    def is_lazy(self) -> bool:
        return bool(self.flags & LAZY)

    @property
    def is_present(self) -> bool:
        return bool(self.flags & _PRESENT)


def lazy_pages(images: Path) -> int:
    """How many pages of the checkpoint may arrive after the restore."""
    return sum(entry.pages for pagemap in pagemaps(images)
               for entry in read_pagemap(pagemap)[1]
               if entry.is_lazy or entry.flags & IN_PARENT)


def copy_without_lazy_pages(images: Path, to: Path) -> None:
    """Copies a checkpoint, with its parents, for a host that is to fetch its
    lazy pages.

    The copy's own lazy pages are overwritten, so that one that was not fetched
    is noticed.
    """
    shutil.copytree(images, to, symlinks=True,
                    ignore=shutil.ignore_patterns("*.log", "parent"))
    if (images / "parent").exists():
        parent = to.with_name(f"{to.name}-parent")
        copy_without_lazy_pages(images / "parent", parent)
        (to / "parent").symlink_to(f"../{parent.name}")
    for pagemap in pagemaps(to):
        pages_id, entries = read_pagemap(pagemap)
        with (to / f"pages-{pages_id}.img").open("r+b") as pages:
            for entry in entries:
                if entry.is_present and entry.is_lazy:
                    pages.write(SPOILED_PAGE * entry.pages)
                elif entry.is_present:
                    pages.seek(PAGE * entry.pages, 1)


def pagemaps(images: Path) -> list[Path]:
    found = [path for path in images.glob("pagemap-*.img")
             if not path.name.startswith("pagemap-shmem")]
    if not found:
        raise Failed(f"no pagemaps in {images}")
    return found


def read_pagemap(path: Path) -> tuple[int, list[PagemapEntry]]:
    """The number of the file that holds the pages, and what it holds."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise Failed(f"{path} is not a pagemap")
    records, at = [], len(_MAGIC)
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        records.append(dict(_fields(data[at + 4:at + 4 + length])))
        at += 4 + length
    entries = [PagemapEntry(record[1], record.get(5, record[2]),
                            record.get(4, _PRESENT), 5 in record)
               for record in records[1:]]
    return records[0][1], entries


def write_pagemap(path: Path, pages_id: int,
                  entries: Iterable[PagemapEntry]) -> None:
    records = [{1: pages_id}]
    for entry in entries:
        count = {2: 0, 5: entry.pages} if entry.new_count else {2: entry.pages}
        records.append({1: entry.address, 4: entry.flags} | count)
    messages = [b"".join(_encoded(number << 3) + _encoded(value)
                         for number, value in sorted(record.items()))
                for record in records]
    path.write_bytes(_MAGIC + b"".join(struct.pack("<I", len(message)) + message
                                       for message in messages))


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Number and value of each field; all fields read here are varints."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7:
            raise Failed("a pagemap entry has a field that is not a number")
        value, at = _varint(message, at)
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
