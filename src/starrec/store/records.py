"""The bytes of one record, the same in LMDB and in Redis.

A record is a header of 16 bytes and a payload of little-endian arrays. The header says what the payload is
(kind, format, length) and carries a checksum of payload and key together, so that flipped bits, a cut value and
a value that stands under another's key are all found out: what is not whole is never served.

    0  magic "SREV"      6  kind       8   CRC-32 of key + payload
    4  format, uint16    7  zero       12  length of the payload, uint32

Keys have 8 bytes and all records a multiple of 4, so LMDB puts every payload on a multiple of 4, where int32
can be read in place. All numbers are counts, indices, days or seconds; real are the EASE model's inverse
(float64) and the vectors of items (float32) alone.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data import Order, Repeats
from starrec.signals.count_store import About

FORMAT: Final = 4
"""Of records and of what a version holds; a store of a later one is refused with both named."""

Raw: TypeAlias = bytes | memoryview

_MAGIC: Final = b"SREV"
_HEADER: Final = struct.Struct("<4sHBxII")
_KEY: Final = struct.Struct(">II")
HEADER_BYTES: Final = _HEADER.size
_INT32: Final = np.dtype("<i4")


class Kind(IntEnum):
    """What a record holds. The values are the order of records in a file."""

    META = 1
    """JSON: `Meta`."""
    LENGTHS = 2
    """int32 for each user."""
    POPULARITY = 3
    """int32 for each item."""
    DAILY = 4
    """Of the days that have interactions: int64 how many, then int32 the days, ascending; empty without a
    clock."""
    USERS = 5
    """JSON: user ids in index order."""
    CATALOGUE = 6
    """JSON: `[item_id, title, categories, year]` of each item in index order."""
    EASE_ITEMS = 7
    """int32: threshold and spare of the EASE model, then its items; no items where there is no model."""
    PRECISION = 8
    """float64, items squared: the EASE model's inverse, one value, so that it can be mapped."""
    GRAM = 9
    """int32, items squared: what it is the inverse of, for updates."""
    FACTORS = 10
    """float32, parts of the people × items that have vectors × components: the vectors, so that they can be
    mapped."""
    HISTORY = 16
    """Of a user: int64 times, then int32 items, all that she ever took (also beyond the cap), oldest first."""
    POSTINGS = 17
    """Of an item: int32 users, ascending, then int32 its place in the counted sequence of each, from 0."""
    DAYS = 18
    """Of an item: int32 days, ascending; empty without a clock."""
    NEIGHBOURS = 19
    """Of an item: int32 items, best first, then int32 counts."""


BY_ITEM: Final = (Kind.POSTINGS, Kind.DAYS, Kind.NEIGHBOURS)
DERIVED: Final = frozenset(
    {*BY_ITEM, Kind.LENGTHS, Kind.POPULARITY, Kind.DAILY, Kind.EASE_ITEMS, Kind.PRECISION, Kind.FACTORS}
)
"""What can be counted again from the histories."""


class Damaged(Exception):
    """A record that must not be served; `str` says what is wrong with it."""


class CorruptRecord(Damaged):
    """Missing, cut, changed, or another key's."""


class OtherVersion(Damaged):
    """A whole record of another format."""

    def __init__(self, found: int) -> None:
        super().__init__(f"it has format {found}, and this starrec reads format {FORMAT}")
        self.found = found


def key(kind: Kind, index: int = 0) -> bytes:
    """The key of a record in LMDB: keys sort by kind, then by index."""
    return _KEY.pack(kind, index)


def keys(kind: Kind, indices: Iterable[int]) -> list[bytes]:
    """The keys of some records of one kind."""
    number = int(kind)
    return [_KEY.pack(number, index) for index in indices]


def parse_key(raw: Raw) -> tuple[Kind, int]:
    kind, index = _KEY.unpack(raw)
    return Kind(kind), index


def encode(kind: Kind, index: int, *parts: NDArray[Any] | bytes) -> bytes:
    """The bytes of a record; arrays are written little-endian, one after the other, and JSON is filled up with
    blanks."""
    payload = b"".join(
        part if isinstance(part, bytes) else part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()
        for part in parts
    )
    payload += b" " * (-len(payload) % 4)
    checksum = zlib.crc32(payload, zlib.crc32(key(kind, index)))
    return _HEADER.pack(_MAGIC, FORMAT, kind, checksum, len(payload)) + payload


def check(kind: Kind, index: int, raw: Raw | None) -> Raw:
    """The record, if it is whole and this key's.

    Raises:
        CorruptRecord, OtherVersion: it must not be served.
    """
    if raw is None:
        raise CorruptRecord("it is missing")
    if len(raw) < HEADER_BYTES:
        raise CorruptRecord(f"it has {len(raw)} bytes, less than a header")
    magic, version, found, wanted, length = _HEADER.unpack_from(raw)
    if magic != _MAGIC:
        raise CorruptRecord("it does not begin like a record")
    if version != FORMAT:
        raise OtherVersion(version)
    if found != kind or length != len(raw) - HEADER_BYTES:
        raise CorruptRecord("its header does not fit its key or its length")
    if zlib.crc32(memoryview(raw)[HEADER_BYTES:], zlib.crc32(key(kind, index))) != wanted:
        raise CorruptRecord("its checksum is not that of its key and content")
    return raw


def array(raw: Raw, dtype: str, *, start: int = 0, count: int | None = None) -> NDArray[Any]:
    """Numbers of a checked record's payload from byte `start` on: a read-only view, no copy."""
    width = np.dtype(dtype).itemsize
    found = (len(raw) - HEADER_BYTES - start) // width if count is None else count
    view: NDArray[Any] = np.ndarray((found,), dtype=dtype, buffer=raw, offset=HEADER_BYTES + start)
    return view


def int32s(raw: Raw) -> NDArray[np.int32]:
    """The payload as one array of int32."""
    return np.frombuffer(raw, _INT32, -1, HEADER_BYTES)


def pairs(raw: Raw) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The payload as two int32 arrays of one length."""
    both = int32s(raw)
    return both[: len(both) // 2], both[len(both) // 2 :]


def history(raw: Raw) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """A user's items and times."""
    length = (len(raw) - HEADER_BYTES) // 12
    return array(raw, "<i4", start=8 * length), array(raw, "<i8", count=length)


def daily(raw: Raw) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Days and how many interactions each has."""
    length = (len(raw) - HEADER_BYTES) // 12
    days, counts = array(raw, "<i4", start=8 * length), array(raw, "<i8", count=length)
    return days.astype(np.int32), counts.astype(np.int64)


def text(raw: Raw) -> Any:
    """A JSON payload."""
    return json.loads(bytes(raw[HEADER_BYTES:]))


def as_json(value: object) -> bytes:
    """Canonical JSON: equal values have equal bytes."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Meta:
    """What a version holds and how it was counted."""

    order: Order
    tie_seed: int
    n_users: int
    n_items: int
    interactions: int
    """All that are kept."""
    first_day: int
    """Day of the earliest counted interaction; 0 without a clock."""
    history_cap: int
    kept: int
    """Neighbours of an item at most."""
    ease_items: int
    """Items of the EASE model at most."""
    ridge: float
    components: int
    """Of an item's vectors."""
    sha256: str
    """Of everything that was counted (`Log.sha256`)."""
    resolution: int
    """Ticks of a time in a second."""
    repeats: Repeats
    """Which of a user's interactions with one item counts."""

    @property
    def about(self) -> About:
        clock = self.order == "clock"
        return About(self.n_users, self.n_items, clock, self.history_cap, self.first_day, self.kept)

    @property
    def settings(self) -> dict[str, Any]:
        """What `Counts.build` takes."""
        return {
            name: getattr(self, name) for name in ("history_cap", "kept", "ease_items", "ridge", "components")
        }

    def record(self) -> bytes:
        return encode(Kind.META, 0, as_json(asdict(self)))

    @classmethod
    def read(cls, raw: Raw | None) -> Meta:
        """Raises: CorruptRecord, OtherVersion."""
        return cls(**text(check(Kind.META, 0, raw)))


__all__ = [
    "BY_ITEM",
    "DERIVED",
    "FORMAT",
    "HEADER_BYTES",
    "CorruptRecord",
    "Damaged",
    "Kind",
    "Meta",
    "OtherVersion",
    "Raw",
    "array",
    "as_json",
    "check",
    "daily",
    "encode",
    "history",
    "int32s",
    "key",
    "keys",
    "pairs",
    "parse_key",
    "text",
]
