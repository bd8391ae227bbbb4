"""Everything that is counted: each user's interactions in order, with their times, and both vocabularies.

A store keeps all of it, also what the cap leaves out of the counts, because an update must decide as a full
rebuild would: of a repeated pair the earliest stays, or the latest where the data say so (also when it is
beyond the cap), and what arrives late is put where its time says. Numbers of users and items never change; new
ones are appended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data import Dataset, Order, Repeats, Sequences
from starrec.data.dataset import SECONDS_A_DAY
from starrec.errors import DataError
from starrec.hashing import Keys, combine, text_keys
from starrec.store.records import as_json

CATALOGUE: Final = pl.Schema(
    {
        "item_id": pl.String(),
        "title": pl.String(),
        "categories": pl.List(pl.String()),
        "year": pl.Int32(),
    }
)
"""Columns of the catalogue."""


class History(NamedTuple):
    """One user's interactions, oldest first."""

    items: NDArray[np.int32]
    times: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Log:
    """All interactions; times are ticks since 1970 or positions, as `order` says."""

    order: Order
    tie_seed: int
    user_ids: list[str]
    catalogue: pl.DataFrame
    """`item_id, title, categories, year`; row number = item index."""
    ptr: NDArray[np.int64]
    """`(n_users + 1,)`"""
    items: NDArray[np.int32]
    """`(n,)` oldest first within a user, equal times by a hash of (user id, item id)."""
    times: NDArray[np.int64]
    """`(n,)`"""
    resolution: int = 1
    """Ticks of a time in a second."""
    repeats: Repeats = "first"
    """Which of a user's interactions with one item counts."""

    @classmethod
    def of(cls, dataset: Dataset, tie_seed: int) -> Log:
        """All interactions of a dataset, each user's in the order of `dataset.sequences`."""
        sequences = dataset.sequences(tie_seed)
        # Its rows stand by user and time already: only items of one moment change places.
        times = dataset.interactions["time"].to_numpy().astype(np.int64)
        return cls(
            dataset.order,
            tie_seed,
            dataset.user_ids,
            dataset.items.select(*CATALOGUE).cast(CATALOGUE),
            sequences.ptr,
            sequences.items,
            times,
            dataset.resolution,
            dataset.kept_repeat,
        )

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return self.catalogue.height

    def of_user(self, user: int) -> History:
        part = slice(self.ptr[user], self.ptr[user + 1])
        return History(self.items[part], self.times[part])

    def sequences(self) -> Sequences:
        """As counts are made of them; not capped."""
        return Sequences(
            self.ptr, self.items, days(self.times, self.resolution) if self.order == "clock" else None
        )

    def sha256(self) -> str:
        """Of all content, numbers of users and items included."""
        digest = hashlib.sha256(
            as_json([self.order, self.resolution, self.repeats, self.tie_seed, self.user_ids])
        )
        digest.update(as_json(self.catalogue.rows()))
        for array, dtype in ((self.ptr, "<i8"), (self.items, "<i4"), (self.times, "<i8")):
            digest.update(np.ascontiguousarray(array, dtype=dtype).data)
        return digest.hexdigest()

    def with_new(self, interactions: pl.DataFrame, items: pl.DataFrame | None) -> tuple[Log, Changes]:
        """This log and new interactions, as if all had been there from the start but for the numbers of new
        users and items, which are appended (users shorter ids first, then alphabetically).

        Args:
            interactions: `user_id, item_id, time` in ticks of this log; users may be new.
            items: rows of the catalogue for items that it lacks; those it has are left as they are.

        Raises:
            DataError: an interaction's item is in neither catalogue.
        """
        catalogue = self.catalogue
        if items is not None:
            fresh = items.filter(~pl.col("item_id").is_in(catalogue["item_id"].implode()))
            catalogue = pl.concat([catalogue, _as_catalogue(fresh)])
        present = interactions["user_id"].cast(pl.String).unique()
        known = pl.Series("user_id", self.user_ids, dtype=pl.String)
        arrived = present.filter(~present.is_in(known.implode())).to_frame()
        arrived = arrived.sort(pl.col("user_id").str.len_chars(), "user_id")
        user_ids = [*self.user_ids, *arrived["user_id"].to_list()]
        rows = interactions.select(
            pl.col("user_id", "item_id").cast(pl.String), pl.col("time").cast(pl.Int64)
        ).join(
            pl.DataFrame({"user_id": user_ids}, schema={"user_id": pl.String}).with_row_index("user"),
            on="user_id", how="left", maintain_order="left",
        ).join(
            catalogue.select("item_id").with_row_index("item"), on="item_id", how="left", maintain_order="left",
        )  # fmt: skip
        unknown = rows.filter(pl.col("item").is_null())["item_id"].unique().sort()
        if unknown.len():
            raise DataError(
                f"{unknown.len()} item ids of the new interactions are not in the catalogue, such as "
                f"{', '.join(map(repr, unknown.head(3)))}. Give their titles with --items FILE."
            )
        log = replace(
            self,
            user_ids=user_ids,
            catalogue=catalogue,
            ptr=np.append(self.ptr, np.full(len(arrived), self.ptr[-1])),
        )
        return log._merged(*(rows[name].to_numpy().astype(np.int64) for name in ("user", "item", "time")))

    def _merged(
        self, user: NDArray[np.int64], item: NDArray[np.int64], time: NDArray[np.int64]
    ) -> tuple[Log, Changes]:
        user_keys = dict(
            zip(
                (asked := np.unique(user)).tolist(),
                text_keys([self.user_ids[at] for at in asked.tolist()], self.tie_seed, "ties/user").tolist(),
                strict=True,
            )
        )
        item_ids = self.catalogue["item_id"].to_list()
        grouped = np.argsort(user, kind="stable")
        changed: dict[int, History] = {}
        added = 0
        for rows in np.split(grouped, np.flatnonzero(np.diff(user[grouped])) + 1) if len(user) else []:
            who = int(user[rows[0]])
            old = self.of_user(who)
            new = _merge(
                old, item[rows], time[rows], np.uint64(user_keys[who]), item_ids, self.tie_seed, self.repeats
            )
            if not (np.array_equal(old.items, new.items) and np.array_equal(old.times, new.times)):
                changed[who] = new
                added += len(new.items) - len(old.items)
        return self._replaced(changed), Changes(self, changed, added)

    def _replaced(self, changed: dict[int, History]) -> Log:
        """The log with other histories of some users."""
        lengths = np.diff(self.ptr)
        for user, history in changed.items():
            lengths[user] = len(history.items)
        ptr = np.zeros(len(self.ptr), dtype=np.int64)
        np.cumsum(lengths, out=ptr[1:])
        items, times = np.empty(ptr[-1], dtype=np.int32), np.empty(ptr[-1], dtype=np.int64)
        edges = [-1, *sorted(changed), self.n_users]
        for before, after in pairwise(edges):
            # What lies between two changed users is copied in one piece.
            source = slice(self.ptr[before + 1], self.ptr[after])
            target = slice(ptr[before + 1], ptr[after])
            items[target], times[target] = self.items[source], self.times[source]
            if after in changed:
                own = slice(ptr[after], ptr[after + 1])
                items[own], times[own] = changed[after]
        return replace(self, ptr=ptr, items=items, times=times)


@dataclass(frozen=True, eq=False)
class Changes:
    """What new interactions changed."""

    before: Log
    """The log before, with the new users (who had nothing) and items."""
    histories: dict[int, History]
    """The users whose histories are others now."""
    added: int
    """Interactions that were not known; the rest repeat known pairs."""


def days(times: NDArray[np.int64], resolution: int) -> NDArray[np.int32]:
    """Whole days since 1970 of times in ticks, so many a second."""
    found: NDArray[np.int32] = (times // (SECONDS_A_DAY * resolution)).astype(np.int32)
    return found


def read_catalogue(rows: list[list[Any]]) -> pl.DataFrame:
    """The catalogue from its record."""
    columns = zip(*rows, strict=True) if rows else [()] * len(CATALOGUE)
    return pl.DataFrame(dict(zip(CATALOGUE, map(list, columns), strict=True)), schema=CATALOGUE)


def _as_catalogue(items: pl.DataFrame) -> pl.DataFrame:
    empty = {"categories": pl.lit([], dtype=pl.List(pl.String())), "year": pl.lit(None, dtype=pl.Int32())}
    absent = [value.alias(name) for name, value in empty.items() if name not in items.columns]
    filled = items.with_columns(absent).select(*CATALOGUE).cast(CATALOGUE)
    return filled.with_columns(
        pl.col("title").str.strip_chars(), pl.col("categories").fill_null(empty["categories"])
    )


def _merge(
    old: History,
    items: NDArray[np.int64],
    times: NDArray[np.int64],
    user_key: np.uint64,
    item_ids: list[str],
    tie_seed: int,
    repeats: Repeats,
) -> History:
    """A history and new interactions of the same user; of a repeated item the first or last stays."""
    item = np.concatenate([old.items.astype(np.int64), items])
    time = np.concatenate([old.times, times])
    item, place = np.unique(item, return_inverse=True)
    bounds = np.iinfo(np.int64)
    kept = np.full(len(item), bounds.max if repeats == "first" else bounds.min)
    (np.minimum if repeats == "first" else np.maximum).at(kept, place, time)
    ties = _ties(np.full(len(item), user_key), item_ids, tie_seed, item)
    placed = np.lexsort((ties, kept))
    return History(item[placed].astype(np.int32), kept[placed])


def _ties(user_keys: Keys, item_ids: list[str], tie_seed: int, item: NDArray[Any]) -> Keys:
    """What orders interactions of one user at one time, `(n,)`, as `Dataset.sequences` does."""
    asked, place = np.unique(item, return_inverse=True)
    keys = text_keys([item_ids[at] for at in asked.tolist()], tie_seed, "ties/item")
    return combine(user_keys, keys[place])
