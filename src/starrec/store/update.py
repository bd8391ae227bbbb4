"""Updating: a new version with new interactions, equal to a full rebuild over all of them.

The histories are read (the neighbour step walks them), but only what the new interactions touch is counted: the
histories of their users, the postings and days of the items that these users gained, lost or have at another
place now, and the neighbour lists that could have changed (`neighbourhoods`). The EASE model and the vectors,
of which every number depends on everything, are made anew. The new version is a copy of the old file in which
these records are replaced.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data import Sequences
from starrec.signals.count_store import About, DayCounts, Neighbours, cooccurrence_row
from starrec.signals.counts import Counts, capped, postings_of
from starrec.signals.ease import EaseModel, choose_items, count_gram, solve
from starrec.signals.factors import user_keys
from starrec.store.build import (
    Bar,
    Entry,
    Origin,
    Settings,
    history_record,
    meta_of,
    model_records,
    no_bar,
    vocabulary_records,
)
from starrec.store.derived import counted_again
from starrec.store.lmdb_store import LmdbStore, Writer
from starrec.store.log import Changes, Log
from starrec.store.neighbourhoods import refreshed
from starrec.store.pairs import PairChanges
from starrec.store.records import Kind, Meta, encode, key
from starrec.store.stored import Report
from starrec.store.versions import Versions

_STEPS: Final = 6
_DAY_ZERO: Final = 1 << 31
_MANY_FRESH: Final = 200
"""Items new to the EASE model, from which their pairs are counted with all others."""


@dataclass(frozen=True)
class Updated:
    """What an update did."""

    version: Path
    added: int
    """Interactions that were new."""
    given: int
    """Interactions that were given; the rest were known, or repeat a known pair at a later time."""
    users: int
    """Users whose histories changed, of whom `new_users` are new."""
    new_users: int
    new_items: int
    items: int
    """Items whose users changed."""
    rows: int
    """Neighbour lists that changed, of which `recounted` (or more that turned out the same) in full."""
    recounted: int
    records: int
    """Records written."""


def update(
    versions: Versions,
    interactions: pl.DataFrame,
    items: pl.DataFrame | None = None,
    *,
    report: Report | None = None,
    bar: Bar = no_bar,
) -> Updated:
    """Add interactions to the current version; where nothing is new, it stays the current one.

    Args:
        interactions: `user_id, item_id, time` in the store's order and resolution; users may be new.
        items: catalogue rows of new items: `item_id, title` and optionally `categories, year`.
        report: as of `StoredCounts`.

    Raises:
        DataError: an item is in no catalogue.
        RunError: there is no version, another process writes, records needed are lost, or the disk is full.
    """
    started = time.monotonic()
    with versions.writer():
        version = versions.require()
        source = LmdbStore(version, report=report)
        advance = bar("update", _STEPS)
        old = source.log()
        log, changes = old.with_new(interactions, items)
        new_users, new_items = log.n_users - old.n_users, log.n_items - old.n_items
        advance(1)
        if not changes.histories and not new_items:
            return Updated(version, 0, interactions.height, 0, 0, 0, 0, 0, 0, 0)
        origin = Origin.of(version)
        origin = replace(origin, updates=origin.updates + 1, added=origin.added + changes.added)
        what = f"{changes.added:,} new interactions into the evidence"
        # Every list and weight at most.
        size = int(1.3 * source.bytes_on_disk) + (64 << 20)
        new = versions.adding(what, size, lambda: origin.after(started))
        with new as folder, ThreadPoolExecutor(1) as aside:
            copied = aside.submit(_copy, version / "data.mdb", folder / "data.mdb")
            entries, moved, rows, recounted = _entries(source, log, changes, advance)
            copied.result()
            with Writer(folder, size) as writer:
                writer.put_at_once(entries)
        advance(1)
        return Updated(
            folder, changes.added, interactions.height, len(changes.histories), new_users, new_items,
            moved, rows, recounted, len(entries),
        )  # fmt: skip


def _copy(source: Path, target: Path) -> None:
    """A copy that is on the disk: flushed here, while others count."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


@dataclass(frozen=True, eq=False)
class _Touched:
    """The counted parts of the changed users' histories, before and after."""

    before: Sequences
    after: Sequences
    n_items: int

    @classmethod
    def of(cls, changes: Changes, log: Log, meta: Meta) -> _Touched:
        def counted(source: Log) -> Sequences:
            users = sorted(changes.histories)
            lengths = [source.ptr[user + 1] - source.ptr[user] for user in users]
            part = replace(
                source,
                ptr=np.cumsum([0, *lengths], dtype=np.int64),
                items=np.concatenate([source.of_user(user).items for user in users] or [source.items[:0]]),
                times=np.concatenate([source.of_user(user).times for user in users] or [source.times[:0]]),
            )
            return capped(part.sequences(), meta.history_cap)

        return cls(counted(changes.before), counted(log), log.n_items)

    def moved(self) -> NDArray[np.int32]:
        """Items that some user gained or lost, ascending."""
        return self._in_one_alone(*(part.users * np.int64(self.n_items) for part in (self.before, self.after)))

    def placed(self) -> NDArray[np.int32]:
        """Items that some user gained, lost or has at another place of her sequence, ascending."""
        longest = np.maximum(self.before.lengths, self.after.lengths)
        # Room for each user's longer sequence, the same in both.
        start = np.cumsum(longest) - longest
        places = [
            (np.arange(len(part.items)) + (start - part.ptr[:-1])[part.users]) * self.n_items
            for part in (self.before, self.after)
        ]
        return self._in_one_alone(*places)

    def _in_one_alone(self, *numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Items whose number together with that of their entry is in one part alone."""
        before, after = (
            number + part.items for number, part in zip(numbers, (self.before, self.after), strict=True)
        )
        return np.unique(np.setxor1d(before, after) % self.n_items).astype(np.int32)

    def day_changes(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Item, day, and by how many interactions more (or less) on it; by item, then by day."""
        assert self.before.days is not None and self.after.days is not None
        # The day in the lower half, moved to where it is not negative.
        keys = [
            (part.items.astype(np.int64) << 32) + (days.astype(np.int64) + _DAY_ZERO)
            for part, days in ((self.before, self.before.days), (self.after, self.after.days))
        ]
        signs = np.repeat([-1, 1], [len(self.before.items), len(self.after.items)])
        found, place = np.unique(np.concatenate(keys), return_inverse=True)
        change = np.bincount(place, weights=signs, minlength=len(found)).astype(np.int64)
        found, change = found[change != 0], change[change != 0]
        days = (found & 0xFFFFFFFF) - _DAY_ZERO
        return (found >> 32).astype(np.int32), days.astype(np.int32), change


def _entries(
    source: LmdbStore, log: Log, changes: Changes, advance: Callable[[int], None]
) -> tuple[list[Entry], int, int, int]:
    """The records that are others now; how many items moved, lists changed, and lists were counted in full."""
    meta = source.meta
    touched = _Touched.of(changes, log, meta)
    fresh = np.arange(meta.n_items, log.n_items, dtype=np.int32)
    train = capped(log.sequences(), meta.history_cap)
    daily = _daily(source, touched) if meta.about.clock else None
    first_day = int(daily.days[0]) if daily is not None and len(daily.days) else 0
    about = replace(meta.about, n_users=log.n_users, n_items=log.n_items, first_day=first_day)
    users_of, places_of = postings_of(train, log.n_items)
    counts = Counts(
        about,
        train,
        users_of,
        days_of=None,
        places_of=places_of,
        daily=daily,
        ease_items=meta.ease_items,
        ridge=meta.ridge,
        components=meta.components,
        keys=user_keys(log.user_ids),
    )
    pairs = PairChanges.between(touched.before, touched.after, log.n_items)
    latest = meta_of(log, counts, Settings(**meta.settings))
    advance(1)

    moved = touched.moved()
    lists, rows, recounted = refreshed(
        counts, _old_lists(source, about), _padded(source.popularity, log.n_items), pairs
    )
    advance(1)
    entries = [(key(Kind.META), latest.record())]
    for kind in (Kind.LENGTHS, Kind.POPULARITY, Kind.DAILY):
        entries.append((key(kind), counted_again(counts, latest, kind, 0)))
    if log.n_users > meta.n_users or log.n_items > meta.n_items:
        entries += vocabulary_records(log)
    entries += [history_record(user, log) for user in sorted(changes.histories)]
    for item in np.union1d(touched.placed(), fresh).tolist():
        entries.append((key(Kind.POSTINGS, item), counted_again(counts, latest, Kind.POSTINGS, item)))
    entries += _days(source, touched, fresh)
    full = replace(counts, nearest=lists)
    for item in np.union1d(np.union1d(rows, fresh), source.mended(Kind.NEIGHBOURS)).tolist():
        entries.append((key(Kind.NEIGHBOURS, item), counted_again(full, latest, Kind.NEIGHBOURS, item)))
    advance(1)
    # Alone: LAPACK works on all cores, and keeps the interpreter's lock meanwhile. Beside the rest each waited
    # for the other, and an update of 10M interactions took 13 s.
    entries += model_records(*_model(source, counts, pairs), counts.factors())
    advance(1)
    return entries, len(moved), len(rows), recounted


def _model(
    source: LmdbStore, counts: Counts, pairs: PairChanges | None
) -> tuple[EaseModel | None, NDArray[np.int32] | None]:
    """The EASE model of today's counts, and its Gram matrix."""
    chosen = choose_items(counts.popularity, source.meta.ease_items)
    if chosen is None:
        return None, None
    gram = _gram(source, counts, chosen.items, pairs)
    return solve(chosen, gram, source.meta.ridge), gram


def _gram(
    source: LmdbStore, counts: Counts, items: NDArray[np.int32], pairs: PairChanges | None
) -> NDArray[np.int32]:
    """The old matrix with what changed, rows of items new to the model counted."""
    known = source.gram()
    fresh = items if known is None else np.setdiff1d(items, known[0])
    if pairs is None or known is None or len(fresh) > _MANY_FRESH:
        return count_gram(counts.train, items)
    _, at, old_at = np.intersect1d(items, known[0], assume_unique=True, return_indices=True)
    gram = np.zeros((len(items), len(items)), dtype=np.int32)
    gram[np.ix_(at, at)] = known[1][np.ix_(old_at, old_at)]
    place = np.full(counts.about.n_items, -1, dtype=np.int32)
    place[items] = np.arange(len(items))
    rows, columns = place[pairs.rows], place[pairs.items]
    inside = (rows >= 0) & (columns >= 0)
    gram[rows[inside], columns[inside]] += pairs.change[inside]
    for item in fresh.tolist():
        own = cooccurrence_row(counts, item)[items]
        gram[place[item]], gram[:, place[item]] = own, own
    gram[np.diag_indices(len(items))] = counts.popularity[items]
    return gram


def _old_lists(source: LmdbStore, about: About) -> Neighbours:
    """The lists as they were, with rows for new items and today's number of columns."""
    found = source.neighbours(np.arange(source.about.n_items, dtype=np.int32))
    items = np.full((about.n_items, about.width), -1, dtype=np.int32)
    both = np.zeros_like(items)
    rows, columns = found.items.shape
    if about.n_items > 1 and source.about.n_items > 1:
        items[:rows, :columns], both[:rows, :columns] = found.items, found.both
    return Neighbours(items, both)


def _padded(popularity: NDArray[np.int32], n_items: int) -> NDArray[np.int32]:
    return np.pad(popularity, (0, n_items - len(popularity)))


def _daily(source: LmdbStore, touched: _Touched) -> DayCounts:
    """Interactions by day."""
    _, days, change = touched.day_changes()
    old = source.daily
    assert old is not None
    found, place = np.unique(np.concatenate([old.days, days]), return_inverse=True)
    counts = np.zeros(len(found), dtype=np.int64)
    np.add.at(counts, place, np.concatenate([old.counts, change]))
    return DayCounts(found[counts != 0].astype(np.int32), counts[counts != 0])


def _days(source: LmdbStore, touched: _Touched, fresh: NDArray[np.int32]) -> Iterator[Entry]:
    """Days of items on which they were taken more, or less, often than before."""
    if not source.about.clock:
        for item in fresh.tolist():
            yield key(Kind.DAYS, item), encode(Kind.DAYS, item)
        return
    items, days, change = touched.day_changes()
    for item in np.union1d(items, fresh).tolist():
        part = slice(*np.searchsorted(items, [item, item + 1]))
        known = np.empty(0, dtype=np.int32)
        if item < source.about.n_items:
            (known,) = source.item_days(np.array([item], dtype=np.int32))
        yield key(Kind.DAYS, item), encode(Kind.DAYS, item, _changed(known, days[part], change[part]))


def _changed(
    days: NDArray[np.int32], changed: NDArray[np.int32], change: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Days, ascending, as often as they occur after changes of some counts."""
    found, place = np.unique(np.concatenate([days, changed]), return_inverse=True)
    weights = np.concatenate([np.ones(len(days), np.int64), change])
    total = np.bincount(place, weights=weights, minlength=len(found)).astype(np.int32)
    return np.repeat(found, total).astype(np.int32)
