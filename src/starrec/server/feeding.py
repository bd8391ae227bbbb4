"""Events into the evidence: what users took since is counted, and who was deleted is not.

New events are an update of the evidence, as `starrec signals update` makes one of a file. Where somebody was
deleted whose interactions are counted, the evidence is built again from its own log without her, whatever they
came from: the run's data, updates, or events. Servers take in the new version when they see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from starrec.server.events import AT_ONCE, Event, Events
from starrec.store import LmdbStore, Log, Origin, Settings, Versions, build, update

_MICROSECONDS = 10**6


@dataclass(frozen=True, slots=True)
class Fed:
    """What feeding did."""

    version: Path
    added: int
    """Interactions that were new to the evidence."""
    events: int
    """Events that were read; the rest of them were counted before, or are of items that it does not know."""
    removed: tuple[str, ...]
    """Deleted users who were taken out."""


def feed(events: Events, versions: Versions) -> Fed:
    """Take the events that the evidence lacks into it, and those out of it who were deleted.

    Raises:
        EventsUnavailable: the database does not answer.
        RunError: there is no evidence, another process writes it, or the disk is full.
    """
    due, forgotten = events.rebuilds_due(), events.forgotten()
    removed = _rebuilt_without(forgotten, versions)
    if due:
        events.rebuilt(due[-1].number)
    name, version = versions.folder.name, versions.require()
    # Evidence that was built anew has no events yet.
    last = events.fed(name) if Origin.of(version).updates else 0
    added = read = 0
    while new := events.after(last, AT_ONCE):
        store = LmdbStore(versions.require())
        done = update(versions, _interactions(new, store))
        version, last = done.version, new[-1].number
        added, read = added + done.added, read + len(new)
        events.note_fed(name, last)
    return Fed(version, added, read, removed)


def without(log: Log, user_ids: Iterable[str]) -> Log:
    """A log without some of its users; the others keep their order and get new numbers."""
    gone = set(user_ids)
    kept = np.array([user not in gone for user in log.user_ids], dtype=np.bool_)
    lengths = np.diff(log.ptr)
    entries = np.repeat(kept, lengths)
    return replace(
        log,
        user_ids=[user for user in log.user_ids if user not in gone],
        ptr=np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64),
        items=log.items[entries],
        times=log.times[entries],
    )


def _rebuilt_without(forgotten: Mapping[str, Sequence[Event]], versions: Versions) -> tuple[str, ...]:
    """Build the evidence again without what deleted users took before; who of them was in it."""
    version = versions.require()
    store = LmdbStore(version)
    counted = sorted(forgotten.keys() & set(store.user_ids))
    if not counted:
        return ()
    log, ids = store.log(), store.catalogue["item_id"].to_list()
    index = {user: at for at, user in enumerate(log.user_ids)}
    stale = []
    for user in counted:
        since = {event.item_id for event in forgotten[user]}
        if not since.issuperset(ids[item] for item in log.of_user(index[user]).items.tolist()):
            stale.append(user)
    if stale:
        settings = Settings(**store.meta.settings)
        build(versions, without(log, stale), Origin.of(version).inputs, settings, fresh=True)
    return tuple(stale)


def _interactions(events: Sequence[Event], store: LmdbStore) -> pl.DataFrame:
    """`user_id, item_id, time` as the store orders them; events of items that it does not know are left out."""
    known = set(store.catalogue["item_id"].to_list())
    rows = [event for event in events if event.item_id in known]
    times = [
        int(event.time.timestamp() * _MICROSECONDS) * store.meta.resolution // _MICROSECONDS for event in rows
    ]
    if store.meta.order == "position":
        rows, times = _after_their_last(rows, store.log())
    return pl.DataFrame(
        {"user_id": [row.user_id for row in rows], "item_id": [row.item_id for row in rows], "time": times},
        schema={"user_id": pl.String, "item_id": pl.String, "time": pl.Int64},
    )


def _after_their_last(rows: Sequence[Event], log: Log) -> tuple[list[Event], list[int]]:
    """Where positions take the place of times, each user's events follow her last position."""
    index = {user: at for at, user in enumerate(log.user_ids)}
    last: dict[str, int] = {}
    ordered, places = sorted(rows, key=lambda row: (row.time, row.number)), []
    for row in ordered:
        if row.user_id not in last:
            taken = log.of_user(index[row.user_id]).times if row.user_id in index else np.empty(0)
            last[row.user_id] = int(taken[-1]) if len(taken) else -1
        last[row.user_id] += 1
        places.append(last[row.user_id])
    return ordered, places
