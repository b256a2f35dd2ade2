"""Writes working sets as pageliftd and pagelift-server do, byte by byte: the
file of proto/pagelift/v1/working_set.proto."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "pagelift-working-set"

_VARINT, _BYTES = 0, 2


@dataclass
class Recording:
    runs: Sequence[tuple[int, int]]  # First page, number of pages.
    kept: int  # Unix seconds.

    @property
    def pages(self) -> int:
        return sum(count for _, count in self.runs)


def write(images: Path, content_id: str,
          newest_first: Sequence[Recording]) -> Path:
    file = images / NAME
    file.write_bytes(_field(1, content_id.encode()) +
                     b"".join(_field(2, _kept(recording))
                              for recording in newest_first))
    return file


def _kept(recording: Recording) -> bytes:
    steps, limit = [], 0
    for first, count in recording.runs:
        steps.append(first - limit)
        limit = first + count
    counts = [count for _, count in recording.runs]
    order = (_field(1, b"".join(_varint(_zigzag(step)) for step in steps)) +
             _field(2, b"".join(map(_varint, counts))))
    return (_field(1, order) + _varint(2 << 3 | _VARINT) +
            _varint(recording.kept))


def _field(number: int, contents: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(contents)) + contents


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes([*out, number])
