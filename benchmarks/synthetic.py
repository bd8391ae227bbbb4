"""Interactions shaped like MovieLens-25M, at any size, for measuring how work grows.

.venv/bin/python benchmarks/synthetic.py --interactions 10000000 --out FOLDER [--seed 0]

Writes `interactions.parquet` and `items.parquet`, which starrec reads as a user's own files. What is kept of
MovieLens-25M (Harper and Konstan, 2015; 25,000,095 ratings by 162,541 users of 59,047 films):

- interactions a user: at least 20, median 71, mean 154, 99th percentile about 1,300, some with many thousands,
  as 20 + LogNormal(ln 51, 1.39) has them. Sizes are quantiles, not draws, so that every seed has this shape.
- items: 59,047 at 25M, growing with the square root of the interactions.
- popularity: an item's weight is (rank + 200)^-2.4, which puts the most popular item into the histories of four
  users in ten and leaves the rarest to a handful. The offset is in items, not in a share of the catalogue, so
  that the head stays the same at every size.
- taste: items and users belong to communities of unequal size. A loyal user draws a large part of the history
  from the community, another follows popularity alone, and one in three changes community half way.

Nobody takes an item twice: a history is drawn without replacement, in the order in which its items were drawn.
Times grow along it, in sessions that lie days or months apart, and users arrive over twenty years.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import ndtri

FEWEST = 20
MEAN = 154
COMMUNITIES = 40
_HEAD = 200
_START = 800_000_000
_YEAR = 365 * 86_400
_CHUNK = 1_000_000
_HEAVY = 40
"""A user who takes more than one in so many items is drawn by sorting the catalogue, not by trying again."""


class Interactions(NamedTuple):
    """Sorted by user, and each user's own oldest first."""

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    n_users: int
    n_items: int


class Catalogue(NamedTuple):
    """How likely items are, by community. Item indices say nothing of popularity."""

    weights: NDArray[np.float64]
    """`(n_items,)`, sum 1."""
    community: NDArray[np.int64]
    """`(n_items,)`"""
    order: NDArray[np.int64]
    """`(n_items,)` items by community, most popular first."""
    cumulative: NDArray[np.float64]
    """`(n_items,)` summed weights in that order; a community is a range of it."""
    bounds: NDArray[np.float64]
    """`(COMMUNITIES + 1,)` where each community's range begins and ends."""


def generate(interactions: int, seed: int = 0) -> Interactions:
    """About so many interactions (within 0.1%), the same for the same seed."""
    random = np.random.default_rng(seed)
    catalogue = _catalogue(interactions, seed)
    n_items = len(catalogue.weights)
    lengths = random.permutation(_lengths(interactions, n_items))
    n_users = len(lengths)
    ptr = np.concatenate([[0], np.cumsum(lengths)])
    # A third of the users care little for their community, the others take most from it.
    loyalty = np.where(random.random(n_users) < 0.35, 0.15, 0.8)
    sizes = np.diff(catalogue.bounds)
    homes = random.choice(COMMUNITIES, (n_users, 2), p=sizes / sizes.sum())
    steady = random.random(n_users) < 2 / 3
    homes[steady, 1] = homes[steady, 0]

    users = np.repeat(np.arange(n_users, dtype=np.int32), lengths)
    items = np.empty(ptr[-1], dtype=np.int32)
    times = np.empty(ptr[-1], dtype=np.int64)
    heavy = lengths > n_items // _HEAVY
    for first, last in _chunks(ptr):
        # Chunks have a stream of their own each: what one draws does not shift the others.
        stream = np.random.default_rng((seed, 2, first))
        light = first + np.flatnonzero(~heavy[first:last])
        taken = _draw_light(catalogue, lengths[light], loyalty[light], homes[light], stream)
        here = items[ptr[first] : ptr[last]]
        here[np.repeat(~heavy[first:last], lengths[first:last])] = taken
        for user in first + np.flatnonzero(heavy[first:last]):
            items[ptr[user] : ptr[user + 1]] = _draw_heavy(
                catalogue, int(lengths[user]), float(loyalty[user]), homes[user], stream
            )
        times[ptr[first] : ptr[last]] = _times(lengths[first:last], stream)
    return Interactions(users, items, times, n_users, n_items)


def _lengths(interactions: int, n_items: int) -> NDArray[np.int64]:
    n_users = max(round(interactions / MEAN), 1)
    excess = 51 * np.exp(1.39 * ndtri((np.arange(n_users) + 0.5) / n_users))
    most = n_items // 3 - FEWEST
    wanted = interactions - FEWEST * n_users
    for _ in range(20):
        excess = np.minimum(excess * (wanted / excess.sum()), most)
    return FEWEST + np.rint(excess).astype(np.int64)


def _catalogue(interactions: int, seed: int) -> Catalogue:
    random = np.random.default_rng((seed, 1))
    n_items = round(59_047 * math.sqrt(interactions / 25e6))
    weights = random.permutation((np.arange(n_items) + _HEAD) ** -2.4)
    weights /= weights.sum()
    # The largest community is some four times the smallest.
    sizes = np.linspace(4, 1, COMMUNITIES)
    community = random.choice(COMMUNITIES, n_items, p=sizes / sizes.sum())
    order = np.lexsort((-weights, community))
    cumulative = np.cumsum(weights[order])
    ends = np.searchsorted(community[order], np.arange(COMMUNITIES + 1))
    bounds = np.concatenate([[0.0], cumulative])[ends]
    return Catalogue(weights, community, order, cumulative, bounds)


def _chunks(ptr: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    first = 0
    while first < len(ptr) - 1:
        last = max(int(np.searchsorted(ptr, ptr[first] + _CHUNK, side="right")) - 1, first + 1)
        yield first, last
        first = last


def _draw_light(
    catalogue: Catalogue,
    lengths: NDArray[np.int64],
    loyalty: NDArray[np.float64],
    homes: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Draws until each user has enough, leaving out what the user has already; users in order, joined."""
    n_items = len(catalogue.weights)
    ptr = np.concatenate([[0], np.cumsum(lengths)])
    taken = np.empty(ptr[-1], dtype=np.int64)
    short = np.arange(len(lengths))
    done = np.zeros(len(lengths), dtype=np.int64)
    while len(short):
        tries = (lengths[short] - done) * 3 // 2 + 4
        user = np.repeat(np.arange(len(short)), tries)
        tried = np.arange(len(user)) - np.repeat(np.cumsum(tries) - tries, tries)
        second_half = 2 * (done[user] + tried) >= lengths[short][user]
        home = homes[short][user, second_half.astype(np.int64)]
        loyal = random.random(len(user)) < loyalty[short][user]
        low = np.where(loyal, catalogue.bounds[home], 0.0)
        high = np.where(loyal, catalogue.bounds[home + 1], catalogue.bounds[-1])
        place = np.searchsorted(catalogue.cumulative, low + (high - low) * random.random(len(user)), "right")
        keys = user * n_items + catalogue.order[np.minimum(place, n_items - 1)]
        # What a user has stands first, so that of equal keys it is what stays.
        before = np.repeat(np.arange(len(short)), done)
        had = taken[_ranges(ptr[short], done)]
        keys = np.concatenate([before * n_items + had, keys])
        keys = keys[np.sort(np.unique(keys, return_index=True)[1])]
        keys = keys[np.argsort(keys // n_items, kind="stable")]
        user, item = np.divmod(keys, n_items)
        found = np.bincount(user, minlength=len(short))
        keep = np.arange(len(user)) - np.repeat(np.cumsum(found) - found, found) < lengths[short][user]
        done = np.minimum(found, lengths[short])
        taken[_ranges(ptr[short], done)] = item[keep]
        still = done < lengths[short]
        short, done = short[still], done[still]
    return taken


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """`starts[0], starts[0] + 1, …` for each start, joined."""
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())


def _draw_heavy(
    catalogue: Catalogue, length: int, loyalty: float, homes: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Likewise at once, both homes mixed: the first to arrive at rates that are the weights (Efraimidis and
    Spirakis, 2006)."""
    weights = catalogue.weights * (1 - loyalty)
    for home in homes:
        mine = catalogue.community == home
        share = catalogue.bounds[home + 1] - catalogue.bounds[home]
        weights[mine] += catalogue.weights[mine] * loyalty / share / len(homes)
    arrival = random.exponential(size=len(weights)) / weights
    best = np.argpartition(arrival, length - 1)[:length]
    return best[np.argsort(arrival[best])]


def _times(lengths: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Seconds or minutes between the items of a session, and about three longer breaks a user."""
    total = int(lengths.sum())
    gaps = 1 + random.exponential(30, total)
    pause = random.random(total) < np.repeat(3 / lengths, lengths)
    gaps[pause] += random.exponential(40 * 86_400, int(pause.sum()))
    starts = np.cumsum(lengths) - lengths
    gaps[starts] = 0
    clock = np.cumsum(gaps)
    begin = _START + random.random(len(lengths)) * 20 * _YEAR
    return (clock + np.repeat(begin - clock[starts], lengths)).astype(np.int64)


def catalogue_frame(interactions: int, seed: int = 0) -> pl.DataFrame:
    """`item_id, title, categories, year` of the items of `generate` with the same arguments.

    The first category is the item's community, under a name of its own; half of the items stand in another too.
    """
    random = np.random.default_rng((seed, 3))
    community = _catalogue(interactions, seed).community
    other = random.integers(0, COMMUNITIES, len(community))
    second = (random.random(len(community)) < 0.5) & (other != community)
    numbers = pl.int_range(len(community), eager=True).cast(pl.String)
    names = pl.Series([f"Taste {number}" for number in range(COMMUNITIES)])
    return pl.DataFrame(
        {
            "item_id": numbers,
            "title": "Item " + numbers,
            "first": names.gather(community),
            "second": names.gather(other).set(pl.Series(~second), None),
            "year": 2015 - random.exponential(18, len(community)).clip(0, 95).astype(np.int32),
        }
    ).select("item_id", "title", categories=pl.concat_list("first", "second").list.drop_nulls(), year="year")


def write(made: Interactions, items: pl.DataFrame, folder: Path) -> None:
    """The two files of starrec's own-files path; interactions in blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("timestamp", pa.int64())])
    with pq.ParquetWriter(folder / "interactions.parquet", schema, compression="zstd") as file:
        for start in range(0, len(made.users), _CHUNK):
            block = slice(start, start + _CHUNK)
            columns = [
                pa.array(made.users[block]).cast(pa.string()),
                pa.array(made.items[block]).cast(pa.string()),
                pa.array(made.times[block]),
            ]
            file.write_table(pa.table(columns, schema=schema))
    items.write_parquet(folder / "items.parquet")


def shape(made: Interactions) -> dict[str, float]:
    """What `generate` is to resemble MovieLens-25M in."""
    lengths = np.bincount(made.users, minlength=made.n_users)
    popularity = np.bincount(made.items, minlength=made.n_items)
    return {
        "interactions": len(made.users),
        "users": made.n_users,
        "items": made.n_items,
        "mean_per_user": round(float(lengths.mean()), 1),
        "median_per_user": float(np.median(lengths)),
        "p99_per_user": round(float(np.quantile(lengths, 0.99))),
        "most_per_user": int(lengths.max()),
        "most_popular_share": round(int(popularity.max()) / made.n_users, 3),
        "median_per_item": float(np.median(popularity)),
        "items_taken_50_times": int((popularity >= 50).sum()),
        "items_never_taken": int((popularity == 0).sum()),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--interactions", type=int, default=1_000_000)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    started = time.perf_counter()
    made = generate(given.interactions, given.seed)
    made_in = time.perf_counter() - started
    write(made, catalogue_frame(given.interactions, given.seed), given.out)
    print(
        json.dumps(
            {
                **shape(made),
                "generate_s": round(made_in, 1),
                "write_s": round(time.perf_counter() - started - made_in, 1),
                "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
