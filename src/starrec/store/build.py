"""Building a version: count everything, then write it down.

A build is skipped when the current version was made of the same inputs. What `update` has added since is not
thrown away without being told to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.config import fingerprint
from starrec.data import Sequences
from starrec.engines import Engine
from starrec.errors import RunError
from starrec.signals.count_store import NEIGHBOURS_KEPT, Neighbours
from starrec.signals.counts import HISTORY_CAP, Counts, all_neighbours, neighbour_block
from starrec.signals.ease import EASE_ITEMS, RIDGE, EaseModel, choose_items, count_gram, solve
from starrec.signals.factors import FACTORS, Factors, user_keys
from starrec.store.derived import counted_again, ease_records, factors_record
from starrec.store.lmdb_store import Writer
from starrec.store.log import Log
from starrec.store.records import BY_ITEM, HEADER_BYTES, Kind, Meta, as_json, encode, key
from starrec.store.versions import Versions

_PAGES: Final = 1.3
"""Room for LMDB's pages over the bytes of the records."""

Entry = tuple[bytes, bytes]
Bar = Callable[[str, int], Callable[[int], None]]
"""Begins a piece of work (its name, its size) and returns what to tell how much more of it is done."""


def no_bar(name: str, total: int) -> Callable[[int], None]:
    """Shows nothing."""
    return lambda done: None


@dataclass(frozen=True)
class Settings:
    """What decides the counts, beside the interactions."""

    history_cap: int = HISTORY_CAP
    """Latest items of a user that are counted."""
    kept: int = NEIGHBOURS_KEPT
    """Neighbours of an item at most."""
    ease_items: int = EASE_ITEMS
    """Items of the EASE model at most."""
    ridge: float = RIDGE
    components: int = FACTORS
    """Of an item's vectors."""

    def inputs(self, dataset_sha256: str, tie_seed: int) -> str:
        """What a build is known by."""
        return fingerprint({"dataset": dataset_sha256, "tie_seed": tie_seed, "settings": asdict(self)})


@dataclass(frozen=True)
class Origin:
    """Where a version came from (`about.json`)."""

    inputs: str
    """`Settings.inputs` of the build."""
    built: float
    """When that was, in seconds since 1970."""
    updates: int = 0
    """How often it was updated since."""
    added: int = 0
    """Interactions that updates added."""
    seconds: float = 0.0
    """What the last build or update took."""

    def after(self, started: float) -> dict[str, Any]:
        """As JSON, with the time since a moment of `time.monotonic`."""
        return {**asdict(self), "seconds": round(time.monotonic() - started, 3)}

    @classmethod
    def of(cls, version: Path) -> Origin:
        """Raises: RunError: about.json is unreadable."""
        try:
            return cls(**json.loads((version / "about.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(
                f"{version / 'about.json'} is unreadable ({error}). Build the evidence again with `starrec "
                "signals build --fresh`."
            ) from error


def built(versions: Versions, inputs: str) -> Path | None:
    """The current version if it was made of these inputs, also where it was updated since."""
    current = versions.current()
    return current if current is not None and Origin.of(current).inputs == inputs else None


def build(
    versions: Versions,
    log: Log,
    inputs: str,
    settings: Settings | None = None,
    *,
    engine: Callable[[Counts], Engine[Counts]] | None = None,
    fresh: bool = False,
    bar: Bar = no_bar,
) -> Path:
    """Count a log and make it the current version; its folder.

    Args:
        inputs: of the log and settings (`Settings.inputs`).
        engine: opens where blocks of neighbours are counted; None for threads of this process.
        fresh: also where the current version was updated with what the log lacks.
        bar: shows progress.

    Raises:
        RunError: another process writes, updates would be lost, or the disk is full.
    """
    settings = settings or Settings()
    with versions.writer():
        current = None if fresh else versions.current()
        if current is not None and (before := Origin.of(current)).updates and before.inputs != inputs:
            raise RunError(
                f"The evidence in {versions.folder} was updated since it was built (interactions added: "
                f"{before.added:,}), and a build would lose that. Keep updating it, or build anew with --fresh."
            )
        started = time.monotonic()
        keys = user_keys(log.user_ids)
        counts = Counts.build(log.sequences(), log.n_items, keys=keys, **asdict(settings))
        advance = bar("neighbours", log.n_items)
        if engine is None:
            nearest = all_neighbours(counts, advance)
        else:
            with engine(_for_neighbours(counts)) as workers:
                nearest = all_neighbours(
                    counts, advance, lambda _, blocks: workers.map(neighbour_block, blocks)
                )
        advance = bar("EASE", 1)
        model, gram = None, None
        if (chosen := choose_items(counts.popularity, settings.ease_items)) is not None:
            gram = count_gram(counts.train, chosen.items)
            model = solve(chosen, gram, settings.ridge)
        advance(1)
        advance = bar("vectors", 1)
        factors = counts.factors()
        advance(1)
        needed = _size_of(counts, nearest, gram, factors, log)
        entries = _entries(log, replace(counts, nearest=nearest), model_records(model, gram, factors), settings)
        advance = bar("writing", _count_of(log))
        what = f"{len(log.items):,} interactions as evidence"
        origin = Origin(inputs, time.time())
        new = versions.adding(what, needed, lambda: origin.after(started))
        with new as folder, Writer(folder, needed) as writer:
            writer.put(_told(entries, advance), ascending=True)
        return folder


def meta_of(log: Log, counts: Counts, settings: Settings) -> Meta:
    """What describes a version."""
    return Meta(
        order=log.order,
        tie_seed=log.tie_seed,
        n_users=log.n_users,
        n_items=log.n_items,
        interactions=len(log.items),
        first_day=counts.about.first_day,
        sha256=log.sha256(),
        resolution=log.resolution,
        repeats=log.repeats,
        **asdict(settings),
    )


def history_record(user: int, log: Log) -> Entry:
    """A user's record."""
    items, times = log.of_user(user)
    return key(Kind.HISTORY, user), encode(Kind.HISTORY, user, times, items)


def vocabulary_records(log: Log) -> list[Entry]:
    """Users and items by name."""
    names = {Kind.USERS: log.user_ids, Kind.CATALOGUE: log.catalogue.rows()}
    return [(key(kind), encode(kind, 0, as_json(content))) for kind, content in names.items()]


def model_records(
    model: EaseModel | None, gram: NDArray[np.int32] | None, factors: Factors | None
) -> list[Entry]:
    """The EASE model, and the vectors."""
    ease_items, precision = ease_records(model)
    return [
        (key(Kind.EASE_ITEMS), ease_items),
        (key(Kind.PRECISION), precision),
        (key(Kind.GRAM), encode(Kind.GRAM, 0, *(() if gram is None else (gram,)))),
        (key(Kind.FACTORS), factors_record(factors)),
    ]


def _entries(log: Log, counts: Counts, model: list[Entry], settings: Settings) -> Iterator[Entry]:
    """All records, in order of their keys."""
    meta = meta_of(log, counts, settings)
    yield key(Kind.META), meta.record()
    for kind in (Kind.LENGTHS, Kind.POPULARITY, Kind.DAILY):
        yield key(kind), counted_again(counts, meta, kind, 0)
    yield from vocabulary_records(log)
    yield from model
    for user in range(log.n_users):
        yield history_record(user, log)
    for kind in BY_ITEM:
        for item in range(log.n_items):
            yield key(kind, item), counted_again(counts, meta, kind, item)


def _count_of(log: Log) -> int:
    return 10 + log.n_users + len(BY_ITEM) * log.n_items


def _told(entries: Iterable[Entry], advance: Callable[[int], None]) -> Iterator[Entry]:
    for number, entry in enumerate(entries, start=1):
        yield entry
        if number % 1000 == 0:
            advance(1000)


def _size_of(
    counts: Counts, nearest: Neighbours, gram: NDArray[np.int32] | None, factors: Factors | None, log: Log
) -> int:
    """Bytes of a version, about."""
    numbers = 4 * (3 * len(log.items) + 3 * len(counts.train.items) + 2 * nearest.items.size + log.n_users)
    heads = (HEADER_BYTES + 16) * _count_of(log)
    names = sum(map(len, log.user_ids)) + int(log.catalogue.estimated_size())
    squares = 0 if gram is None else 3 * gram.nbytes
    squares += 0 if factors is None else factors.vectors.nbytes
    return int(_PAGES * (numbers + heads + names) + squares + (1 << 16))


def _for_neighbours(counts: Counts) -> Counts:
    """Only what neighbours are counted from: it travels to every worker."""
    return replace(
        counts,
        train=Sequences(counts.train.ptr, counts.train.items),
        days_of=None,
        places_of=np.empty(0, dtype=np.int32),
        daily=None,
    )
