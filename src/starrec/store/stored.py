"""A source of counts that reads records from somewhere: what LMDB and Redis have in common.

Each record is checked before it is served. One that is missing, corrupt or of another format is reported and
counted again: everything but the histories follows from the histories. A history itself can only come from
somewhere else (`fallback`, such as the data that the store was built from); without that, the error says to
build again. A wrong answer is never among the outcomes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data import TimeSpan
from starrec.errors import RunError, StarrecError
from starrec.signals.count_store import About, CountStore, DayCounts, Lists, Neighbours, Packed, Ragged
from starrec.signals.counts import Counts
from starrec.signals.ease import EaseModel
from starrec.signals.factors import FOLDS, Factors, rows_of, user_keys
from starrec.store import records
from starrec.store.derived import counted_again
from starrec.store.log import History, Log, days, read_catalogue
from starrec.store.records import HEADER_BYTES, Damaged, Kind, Meta, Raw

_LOG: Final = logging.getLogger(__name__)
_SCAN: Final = 4096
"""Records read at once where all of a kind are wanted."""

Report = Callable[[str], None]


class StoreUnavailable(StarrecError):
    """What holds the evidence does not answer."""


class StoredCounts(ABC):
    """Counts read from records. Implements `CountStore`; arrays are the caller's own, but for the EASE model's
    inverse, which is not copied."""

    def __init__(
        self, name: str, meta: Raw | None, report: Report | None = None, fallback: CountStore | None = None
    ) -> None:
        """Args:
        name: of the store, for people.
        meta: the record of that kind.
        report: gets a line for each record that had to be counted again; a warning is logged unless given.
        fallback: where a damaged history comes from.

        Raises:
            RunError: the meta record is of another format, or damaged.
        """
        self.name = name
        self._report = report or _LOG.warning
        self._fallback = fallback
        self._mended: dict[tuple[Kind, int], bytes] = {}
        try:
            self.meta = Meta.read(meta)
        except records.OtherVersion as error:
            newer = error.found > records.FORMAT
            fix = "Install the starrec that wrote it, or a later one" if newer else "Build it again"
            raise RunError(
                f"The evidence in {name} has format {error.found}; this starrec reads format "
                f"{records.FORMAT}. {fix}{', or build it again' if newer else ''} with `starrec signals build "
                "--fresh`."
            ) from error
        except records.CorruptRecord as error:
            raise self._lost("the record that describes it", error) from error

    @abstractmethod
    def _fetch(self, kind: Kind, indices: Sequence[int]) -> Sequence[Raw | None]:
        """The records as they are stored; None where there is none."""

    @property
    def about(self) -> About:
        return self.meta.about

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        return records.int32s(self._one(Kind.LENGTHS)).copy()

    @cached_property
    def popularity(self) -> NDArray[np.int32]:
        return records.int32s(self._one(Kind.POPULARITY)).copy()

    @cached_property
    def daily(self) -> DayCounts | None:
        return DayCounts(*records.daily(self._one(Kind.DAILY))) if self.about.clock else None

    @property
    def span(self) -> TimeSpan | None:
        """First and last day that is counted; None without a clock, and where nothing is counted."""
        daily = self.daily
        return (
            TimeSpan(int(daily.days[0]), int(daily.days[-1])) if daily is not None and len(daily.days) else None
        )

    def postings(self, items: NDArray[np.int32]) -> Lists:
        return [records.pairs(raw)[0] for raw in self._read(Kind.POSTINGS, items.tolist())]

    def item_days(self, items: NDArray[np.int32]) -> Lists:
        return [records.int32s(raw) for raw in self._read(Kind.DAYS, items.tolist())]

    def packed_postings(self, items: NDArray[np.int32]) -> Packed:
        found = [records.pairs(raw) for raw in self._read(Kind.POSTINGS, items.tolist())]
        return Packed.of([users for users, _ in found], [places for _, places in found])

    def packed_days(self, items: NDArray[np.int32]) -> Packed:
        return Packed.of(self.item_days(items))

    def sequence(self, user: int) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
        try:
            history = self.history(user)
        except _HistoryDamaged:
            if self._fallback is None:
                raise
            return self._fallback.sequence(user)
        latest = slice(max(0, len(history.items) - self.meta.history_cap), None)
        return history.items[latest], (
            days(history.times[latest], self.meta.resolution) if self.about.clock else None
        )

    def sequences(self, users: NDArray[np.int32]) -> Ragged:
        try:
            taken = [items for items, _ in self._histories(users.tolist())]
        except _HistoryDamaged:
            if self._fallback is None:
                raise
            return self._fallback.sequences(users)
        return _ragged(items[max(0, len(items) - self.meta.history_cap) :] for items in taken)

    def neighbours(self, items: NDArray[np.int32]) -> Neighbours:
        found = np.full((len(items), self.about.width), -1, dtype=np.int32)
        both = np.zeros_like(found)
        read = [records.int32s(raw) for raw in self._read(Kind.NEIGHBOURS, items.tolist())]
        if not read:
            return Neighbours(found, both)
        # All rows at once: an update reads the whole catalogue's.
        values, lengths = np.concatenate(read), np.array([len(row) // 2 for row in read])
        row, column = np.nonzero(np.arange(self.about.width) < lengths[:, None])
        at = 2 * (np.cumsum(lengths) - lengths)[row] + column
        found[row, column], both[row, column] = values[at], values[at + lengths[row]]
        return Neighbours(found, both)

    def ease(self) -> EaseModel | None:
        return self._ease

    @cached_property
    def _ease(self) -> EaseModel | None:
        threshold, spare, *items = records.int32s(self._one(Kind.EASE_ITEMS)).tolist()
        if not items:
            return None
        precision = self._mapped(Kind.PRECISION, "<f8").reshape(len(items), len(items))
        return EaseModel(np.array(items, dtype=np.int32), precision, threshold, spare)

    def factors(self) -> Factors | None:
        return self._factors

    @cached_property
    def _factors(self) -> Factors | None:
        found = self._mapped(Kind.FACTORS, "<f4")
        if not len(found):
            return None
        rows = rows_of(self.popularity)
        return Factors(rows, found.reshape(FOLDS, int(rows.max()) + 1, self.meta.components))

    @cached_property
    def user_keys(self) -> NDArray[np.uint64]:
        return user_keys(self.user_ids)

    def gram(self) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
        """Items of the EASE model, and users who took both of each pair of them; None where that is damaged."""
        items = records.int32s(self._one(Kind.EASE_ITEMS))[2:]
        (raw,) = self._fetch(Kind.GRAM, [0])
        try:
            pairs = records.int32s(self._check(Kind.GRAM, 0, raw))
        except Damaged as error:
            self._report(f"{self._named(Kind.GRAM, 0)} is counted again: {error}")
            return None
        return items, pairs.reshape(len(items), len(items))

    @cached_property
    def user_ids(self) -> list[str]:
        """User ids in index order."""
        ids: list[str] = self._text(Kind.USERS)
        return ids

    @cached_property
    def catalogue(self) -> pl.DataFrame:
        """`item_id, title, categories, year`; row number = item index."""
        return read_catalogue(self._text(Kind.CATALOGUE))

    def history(self, user: int) -> History:
        """All that a user ever took, oldest first, also beyond the cap.

        Raises:
            RunError: the record is damaged.
        """
        (history,) = self._histories([user])
        return History(history.items.astype(np.int32), history.times.astype(np.int64))

    def log(self) -> Log:
        """Everything that was counted.

        Raises:
            RunError: a record of it is damaged.
        """
        return self._log(self.user_ids, self.catalogue)

    def _log(self, user_ids: list[str], catalogue: pl.DataFrame) -> Log:
        items, times, lengths = [], [], []
        for first in range(0, self.meta.n_users, _SCAN):
            for raw in self._checked_histories(range(first, min(first + _SCAN, self.meta.n_users))):
                # Joined as bytes: an array for each of many small histories would take most of the time.
                length = (len(raw) - HEADER_BYTES) // 12
                payload = memoryview(raw)[HEADER_BYTES:]
                times.append(payload[: 8 * length])
                items.append(payload[8 * length :])
                lengths.append(length)
        return Log(
            self.meta.order,
            self.meta.tie_seed,
            user_ids,
            catalogue,
            np.cumsum([0, *lengths], dtype=np.int64),
            np.frombuffer(b"".join(items), dtype="<i4").astype(np.int32, copy=False),
            np.frombuffer(b"".join(times), dtype="<i8").astype(np.int64, copy=False),
            self.meta.resolution,
            self.meta.repeats,
        )

    def _histories(self, users: Sequence[int]) -> list[History]:
        return [History(*records.history(raw)) for raw in self._checked_histories(users)]

    def _checked_histories(self, users: Sequence[int]) -> list[Raw]:
        found = []
        for user, raw in zip(users, self._fetch(Kind.HISTORY, users), strict=True):
            try:
                found.append(self._check(Kind.HISTORY, user, raw))
            except Damaged as error:
                self._report(f"{self._named(Kind.HISTORY, user)} is not served: {error}")
                raise _HistoryDamaged(str(self._lost(f"the history of user {user}", error))) from error
        return found

    def mended(self, kind: Kind) -> NDArray[np.int32]:
        """The records of this kind that had to be counted again so far."""
        return np.array([index for found, index in self._mended if found == kind], dtype=np.int32)

    def _one(self, kind: Kind) -> Raw:
        return self._read(kind, [0])[0]

    def _text(self, kind: Kind) -> Any:
        (raw,) = self._fetch(kind, [0])
        try:
            return records.text(self._check(kind, 0, raw))
        except Damaged as error:
            raise self._lost(f"its {kind.name.lower()}", error) from error

    def _mapped(self, kind: Kind, dtype: str) -> NDArray[Any]:
        """A record's payload, where possible without a copy."""
        return records.array(self._one(kind), dtype)

    def _read(self, kind: Kind, indices: Sequence[int]) -> list[Raw]:
        """Checked records; what is damaged is counted again."""
        return self._whole(kind, indices, self._fetch(kind, indices))

    def _whole(self, kind: Kind, indices: Sequence[int], fetched: Sequence[Raw | None]) -> list[Raw]:
        found: list[Raw] = []
        for index, raw in zip(indices, fetched, strict=True):
            try:
                found.append(self._check(kind, index, raw))
            except Damaged as error:
                found.append(self._mend(kind, index, error))
        return found

    def _check(self, kind: Kind, index: int, raw: Raw | None) -> Raw:
        return records.check(kind, index, raw)

    def _mend(self, kind: Kind, index: int, damage: Damaged) -> bytes:
        if (kind, index) not in self._mended:
            self._report(f"{self._named(kind, index)} is counted again, not served: {damage}")
            self._mended[kind, index] = counted_again(self._recounted, self.meta, kind, index)
        return self._mended[kind, index]

    @cached_property
    def _recounted(self) -> CountStore:
        """The same counts from the histories; from the fallback where histories are damaged too."""
        nameless = [""] * self.meta.n_users
        try:
            train = self._log(nameless, pl.DataFrame()).sequences()
        except _HistoryDamaged:
            if self._fallback is None:
                raise
            return self._fallback
        return Counts.build(train, self.meta.n_items, keys=self.user_keys, **self.meta.settings)

    def _named(self, kind: Kind, index: int) -> str:
        return f"{self.name}: record {kind.name.lower()} {index}"

    def _lost(self, what: str, error: Damaged) -> RunError:
        return RunError(
            f"{self.name}: {what} cannot be read ({error}), and nothing else holds it. Build the evidence "
            "again with `starrec signals build --fresh`."
        )


class _HistoryDamaged(RunError):
    """A history is damaged; there may be a fallback."""


def _ragged(rows: Iterable[NDArray[np.int32]]) -> Ragged:
    parts = list(rows)
    ptr = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in parts], out=ptr[1:])
    values = np.concatenate(parts) if parts else np.empty(0)
    return Ragged(ptr, values.astype(np.int32, copy=False))
