"""A data set for redis, as the bytes that load it and that read it back.

Replies are foreseen to the byte, so that comparing every value costs no more
than comparing memory.
"""

import functools
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KEYS = 200_000
_BATCH = 1000  # Commands sent before their replies are read.
_POOL_BYTES = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Commands, their replies, and where each reply ends."""

    request: bytes
    reply: bytes
    names: list[bytes]
    ends: list[int]

    def name_at(self, offset: int) -> str:
        """The command whose reply has the byte at `offset`."""
        index = next(i for i, end in enumerate(self.ends) if offset < end)
        return self.names[index].decode()


@dataclass(frozen=True)
class _Exchange:
    command: list[bytes]
    reply: bytes


class DataSet:
    """Strings, hashes, lists, sets and sorted sets in equal numbers. Values are
    `longer` than they are anyhow by so many bytes."""

    def __init__(self, keys: int = KEYS, longer: int = 0) -> None:
        self._pool = random.Random(keys).randbytes(_POOL_BYTES)
        self._longer = longer
        self.keys = keys

    @functools.cached_property
    def load(self) -> list[Batch]:
        return list(self.loading())

    @functools.cached_property
    def read(self) -> list[Batch]:
        return list(_batches(e for i in range(self.keys)
                             for e in self._reading(i)))

    def loading(self) -> Iterator[Batch]:
        """What loads it, if that is not to be kept."""
        return _batches(self._loading(i) for i in range(self.keys))

    def question(self, i: int) -> tuple[bytes, bytes]:
        """What asks for a key, and the reply."""
        exchange = self._reading(i)[0]
        return encode(exchange.command), exchange.reply

    def _value(self, i: int, field: int) -> bytes:
        """Unlike any other; 20 to 220 bytes, and what it is longer."""
        start = ((i * 2_654_435_761 + field * 40_503)
                 % (_POOL_BYTES - 256 - self._longer))
        length = (i * 7 + field * 13) % 200 + self._longer
        return b"%d.%d:" % (i, field) + self._pool[start:start + length]

    def _loading(self, i: int) -> _Exchange:
        key = b"key:%d" % i
        match i % 5:
            case 0:
                return _Exchange([b"SET", key, self._value(i, 0)], b"+OK\r\n")
            case 1:
                pairs = [part for field in range(3)
                         for part in (b"f%d" % field, self._value(i, field))]
                return _Exchange([b"HSET", key, *pairs], b":3\r\n")
            case 2:
                values = [self._value(i, field) for field in range(4)]
                return _Exchange([b"RPUSH", key, *values], b":4\r\n")
            case 3:
                values = [self._value(i, field) for field in range(3)]
                return _Exchange([b"SADD", key, *values], b":3\r\n")
            case _:
                pairs = [part for field in range(3)
                         for part in (b"%d" % (i + field),
                                      self._value(i, field))]
                return _Exchange([b"ZADD", key, *pairs], b":3\r\n")

    def _reading(self, i: int) -> list[_Exchange]:
        key = b"key:%d" % i
        match i % 5:
            case 0:
                return [_Exchange([b"GET", key], _bulk(self._value(i, 0)))]
            case 1:
                values = [self._value(i, field) for field in range(3)]
                return [_Exchange([b"HMGET", key, b"f0", b"f1", b"f2"],
                                  _bulks(values)),
                        _Exchange([b"HLEN", key], b":3\r\n")]
            case 2:
                values = [self._value(i, field) for field in range(4)]
                return [_Exchange([b"LRANGE", key, b"0", b"-1"],
                                  _bulks(values))]
            case 3:
                values = [self._value(i, field) for field in range(3)]
                return [_Exchange([b"SMISMEMBER", key, *values],
                                  b"*3\r\n:1\r\n:1\r\n:1\r\n"),
                        _Exchange([b"SCARD", key], b":3\r\n")]
            case _:
                pairs = [part for field in range(3)
                         for part in (self._value(i, field),
                                      b"%d" % (i + field))]
                return [_Exchange(
                    [b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
                    _bulks(pairs))]


def encode(command: list[bytes]) -> bytes:
    """A command as redis reads it."""
    return _bulks(command)


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _bulks(values: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(values) + b"".join(map(_bulk, values))


def _batches(exchanges: Iterable[_Exchange]) -> Iterator[Batch]:
    for some in iter(lambda at=iter(exchanges):
                     list(itertools.islice(at, _BATCH)), []):
        ends = itertools.accumulate(len(e.reply) for e in some)
        yield Batch(b"".join(encode(e.command) for e in some),
                    b"".join(e.reply for e in some),
                    [b" ".join(e.command[:2]) for e in some], list(ends))
