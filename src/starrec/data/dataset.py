"""The Dataset: who took what, in which order, out of which catalogue.

String ids live in `users` and `items`; everything downstream works with row numbers of these two frames, a
contiguous integer vocabulary. The vocabulary and the stored rows do not depend on the order of the input
file, and neither does the order of a user's items: equal times are ordered by a seeded hash of (user id, item
id). That matters more than it looks: 44% of MovieLens-100K's last items share their second with the one
before, so ids or file order would decide what the test items are.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data.config import Repeats
from starrec.data.text import mention, printable
from starrec.errors import DataError
from starrec.hashing import combine, text_keys

Order: TypeAlias = Literal["clock", "position"]
SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """A part of one user's sequence, oldest first; arrays of one length, views."""

    items: NDArray[np.int32]
    days: NDArray[np.int32] | None
    ratings: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Sequences:
    """Each user's items, oldest first, as one ragged array."""

    ptr: NDArray[np.int64]
    """`(n_users + 1,)`: user u's items are `items[ptr[u]:ptr[u + 1]]`."""
    items: NDArray[np.int32]
    """`(n_interactions,)` item indices."""
    days: NDArray[np.int32] | None = None
    """`(n_interactions,)` whole days since 1970; None where interactions only have positions."""
    ratings: NDArray[np.float32] | None = None
    """`(n_interactions,)` NaN where unrated; None where nothing is rated."""
    parts: NDArray[np.int8] | None = None
    """`(n_interactions,)` the part of the data's own split (`split.PARTS`); None where they bring none."""

    def of(self, user: int) -> NDArray[np.int32]:
        """User's items, oldest first, `(length,) int32`; a view, not a copy."""
        return self.items[self.ptr[user] : self.ptr[user + 1]]

    def before(self, user: int, position: int) -> Stretch:
        """What the user took before a position of her sequence (negative: counted from its end)."""
        start, end = self.ptr[user], self.ptr[user + 1]
        part = slice(start, start + position if position >= 0 else max(start, end + position))
        return Stretch(
            self.items[part],
            None if self.days is None else self.days[part],
            None if self.ratings is None else self.ratings[part],
        )

    def kept(self, mask: NDArray[np.bool_]) -> Sequences:
        """The entries of `mask` `(n_interactions,)` alone; every user stays, with a shorter sequence."""
        ptr = np.zeros(len(self.ptr), dtype=np.int64)
        np.cumsum(np.bincount(self.users[mask], minlength=self.n_users), out=ptr[1:])
        return Sequences(
            ptr,
            self.items[mask],
            None if self.days is None else self.days[mask],
            None if self.ratings is None else self.ratings[mask],
            None if self.parts is None else self.parts[mask],
        )

    @property
    def n_users(self) -> int:
        return len(self.ptr) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`(n_users,)` number of items of each user."""
        return np.diff(self.ptr)

    @cached_property
    def users(self) -> NDArray[np.int32]:
        """`(n_interactions,)` the user of each entry of `items`."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), self.lengths)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items and how they are called; row number = item index."""

    items: pl.DataFrame
    """`item_id: str, title: str, categories: list[str], year: i32 | null`."""

    def __len__(self) -> int:
        return self.items.height

    @cached_property
    def item_ids(self) -> list[str]:
        return self.items["item_id"].to_list()

    @cached_property
    def titles(self) -> list[str]:
        """Display titles by item index (`display_titles`)."""
        return display_titles(self.items)

    @cached_property
    def mentions(self) -> list[str]:
        """How each item stands in messages, by item index: `⟦50|Star Wars (1977)⟧`."""
        return [mention(item_id, title) for item_id, title in zip(self.item_ids, self.titles, strict=True)]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions, users and items. Make one with `build`, which checks and normalises."""

    name: str
    order: Order
    """`clock`: `time` is ticks since 1970. `position`: it only orders the items of one user."""
    interactions: pl.DataFrame
    """`user: i32, item: i32, time: i64, rating: f32 | null`, one row for each (user, item) pair, sorted by
    (user, time, item); where the data bring their own split also `part: i8` (`split.PARTS`)."""
    users: pl.DataFrame
    """`user_id: str` and any attributes; the row number is the user index."""
    items: pl.DataFrame
    """`item_id: str, title: str, categories: list[str], year: i32 | null`; row number = item index."""
    repeats: int = 0
    """Interactions left out because the same user has the same item in another one."""
    resolution: int = 1
    """Ticks of `time` in a second: 1, 1000, 10^6 or 10^9; 1 where all times are whole seconds."""
    kept_repeat: Repeats = "first"
    """Which of repeated interactions counts."""
    times_written: str = "seconds"
    """What the times were read as, for people; empty with positions."""
    below_min_rating: int = 0
    """Interactions left out because they were rated lower than counts as taken."""

    @cached_property
    def days(self) -> tuple[int, int] | None:
        """First and last day of the interactions, in days since 1970; None without a clock."""
        if self.order != "clock" or not self.interactions.height:
            return None
        time = self.interactions["time"].to_numpy()
        ticks = SECONDS_A_DAY * self.resolution
        return int(time.min()) // ticks, int(time.max()) // ticks

    @property
    def n_users(self) -> int:
        return self.users.height

    @property
    def n_items(self) -> int:
        return self.items.height

    @cached_property
    def user_ids(self) -> list[str]:
        return self.users["user_id"].to_list()

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.items)

    @property
    def item_ids(self) -> list[str]:
        return self.catalogue.item_ids

    @property
    def titles(self) -> list[str]:
        """Display titles by item index (`display_titles`)."""
        return self.catalogue.titles

    @property
    def mentions(self) -> list[str]:
        """As `Catalogue.mentions`."""
        return self.catalogue.mentions

    @cached_property
    def sha256(self) -> str:
        """Hash of the content (not of the name), independent of the order of the input's rows."""
        resolution = f"/{self.resolution}" if self.resolution > 1 else ""
        digest = hashlib.sha256((self.order + resolution).encode())
        for column, dtype in (("user", "<i4"), ("item", "<i4"), ("time", "<i8")):
            digest.update(self.interactions[column].to_numpy().astype(dtype, copy=False).data)
        digest.update(
            self.interactions["rating"].fill_null(float("nan")).to_numpy().astype("<f4", copy=False).data
        )
        if "part" in self.interactions.columns:
            digest.update(self.interactions["part"].to_numpy().astype("<i1").data)
        for frame in (self.users, self.items):
            digest.update(json.dumps([frame.columns, frame.rows()], ensure_ascii=False, default=str).encode())
        return digest.hexdigest()

    def require_clock(self, what: str) -> None:
        """Raise `DataError` unless times are clock times; `what` names the thing that needs them."""
        if self.order != "clock":
            raise DataError(
                f"{what} needs to know when things happened, but dataset {self.name!r} only has positions. "
                "Give the interactions a column of Unix times (`--column timestamp=YOUR_COLUMN`)."
            )

    def sequences(self, tie_seed: int) -> Sequences:
        """Each user's items oldest first; equal times ordered by a hash of (tie_seed, user id, item id)."""
        user, item, time = (self.interactions[name].to_numpy() for name in ("user", "item", "time"))
        rating = self.interactions["rating"].fill_null(float("nan")).to_numpy()
        together = user[1:] == user[:-1]
        assert ((user[1:] > user[:-1]) | (together & (time[1:] >= time[:-1]))).all(), "rows out of order"
        # Rows stand by (user, time, item), so only those that share both with a neighbour have to move.
        together &= time[1:] == time[:-1]
        with_previous = np.append(False, together)
        tied = np.flatnonzero(with_previous | np.append(together, False))
        ties = combine(
            text_keys(self.user_ids, tie_seed, "ties/user")[user[tied]],
            text_keys(self.item_ids, tie_seed, "ties/item")[item[tied]],
        )
        moment = np.cumsum(~with_previous[tied])
        source = tied[np.lexsort((ties, moment))]
        items, ratings = item.astype(np.int32), rating.astype(np.float32)
        items[tied], ratings[tied] = item[source], rating[source]
        parts = None
        if "part" in self.interactions.columns:
            parts = self.interactions["part"].to_numpy().astype(np.int8)
            parts[tied] = parts[source]
        ptr = np.zeros(self.n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(user, minlength=self.n_users), out=ptr[1:])
        return Sequences(
            ptr,
            items,
            (time // (SECONDS_A_DAY * self.resolution)).astype(np.int32) if self.order == "clock" else None,
            None if np.isnan(rating).all() else ratings,
            parts,
        )


def display_titles(items: pl.DataFrame) -> list[str]:
    """`Fargo (1996)` for each row of `title, year`, the year added where known and not there yet."""
    return [
        printable(title if year is None or re.search(rf"\({year}\)", title) else f"{title} ({year})")
        for title, year in items.select("title", "year").iter_rows()
    ]


def date_of(day: int) -> str:
    """A day since 1970 as a date."""
    try:
        return str(date(1970, 1, 1) + timedelta(days=day))
    except OverflowError:
        return f"day {day:,} since 1970"
