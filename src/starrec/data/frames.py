"""A Dataset from frames with string ids, checked and normalised."""

from __future__ import annotations

import numpy as np
import polars as pl

from starrec.data.config import Repeats
from starrec.data.dataset import Dataset, Order
from starrec.errors import DataError


def build(
    name: str,
    order: Order,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    users: pl.DataFrame | None = None,
    *,
    resolution: int = 1,
    repeats: Repeats = "first",
) -> Dataset:
    """A Dataset from frames with string ids.

    Args:
        interactions: `user_id, item_id, time` (anything that casts to int64) and optionally `rating` and
            `part`.
        items: `item_id, title` and optionally `categories: list[str]`, `year`; their order becomes the item
            index. users: optional attributes by `user_id`; users without interactions are left out.
        resolution: ticks of `time` in a second.
        repeats: which of several interactions of a user with an item stays.

    The users are those with interactions, shorter ids first, then alphabetically, so that numbers stand in
    their natural order.

    Raises:
        DataError: a column, id, time or title is missing, an item id repeats, or an item is not in the
            catalogue.
    """
    catalogue = _catalogue(name, items)
    _require(name, "interactions", interactions, ("user_id", "item_id", "time"))
    if interactions.height == 0:
        raise DataError(f"Dataset {name!r} has no interactions.")
    missing = interactions.filter(pl.any_horizontal(pl.col("user_id", "item_id", "time").is_null()))
    if missing.height:
        raise DataError(f"Dataset {name!r}: {missing.height} interactions lack a user, item or time.")

    ids = pl.col("user_id", "item_id").cast(pl.String)
    present = interactions.select(pl.col("user_id").cast(pl.String).unique())
    present = present.sort(pl.col("user_id").str.len_chars(), "user_id")
    people = present if users is None else _with_attributes(name, present, users)
    user_index = present.select("user_id", user=pl.int_range(pl.len(), dtype=pl.Int32))
    item_index = catalogue.select("item_id", item=pl.int_range(pl.len(), dtype=pl.Int32))
    rating = pl.col("rating") if "rating" in interactions.columns else pl.lit(None)
    # Lazily, so that the strings go before the next join makes its copy.
    indexed = (
        interactions.lazy()
        .with_columns(ids, pl.col("time").cast(pl.Int64), rating.cast(pl.Float32).alias("rating"))
        .join(user_index.lazy(), on="user_id", how="left", maintain_order="left")
        .join(item_index.lazy(), on="item_id", how="left", maintain_order="left")
        .select("user", "item", "time", "rating", *(["part"] if "part" in interactions.columns else []))
        .collect()
    )
    if indexed["item"].null_count():
        edges = interactions.select(ids)
        unknown = edges.join(item_index, on="item_id", how="anti")["item_id"].unique().sort()
        raise DataError(
            f"Dataset {name!r}: {unknown.len()} item ids of the interactions are not in the catalogue, "
            f"such as {', '.join(map(repr, unknown.head(3)))}. Add them to the items."
        )
    kept = _without_repeats(indexed, catalogue.height, repeats).sort("user", "time", "item")
    return Dataset(
        name,
        order,
        kept,
        people,
        catalogue,
        repeats=indexed.height - kept.height,
        resolution=resolution,
        kept_repeat=repeats,
        times_written="seconds" if order == "clock" else "",
    )


def _without_repeats(indexed: pl.DataFrame, n_items: int, repeats: Repeats) -> pl.DataFrame:
    """The earliest (or latest) row of each (user, item) pair, in any order."""
    pairs = indexed.select(pair=pl.col("user").cast(pl.Int64) * n_items + pl.col("item")).to_series()
    ordered = np.sort(pairs.to_numpy())
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(repeated) == 0:
        return indexed
    taken_again = pairs.is_in(pl.Series(repeated).implode())
    # The rating takes part in the sort so that of two rows alike in all else the same one stays, whatever the
    # file's order.
    last = repeats == "last"
    rest = [column for column in indexed.columns if column not in ("user", "item", "time")]
    chosen = (
        indexed.filter(taken_again)
        .sort(
            "user",
            "item",
            "time",
            *rest,
            descending=[False, False, last, *(False for _ in rest)],
            nulls_last=True,
        )
        .unique(["user", "item"], keep="first", maintain_order=True)
    )
    return pl.concat([indexed.filter(~taken_again), chosen])


def _catalogue(name: str, items: pl.DataFrame) -> pl.DataFrame:
    _require(name, "items", items, ("item_id", "title"))
    no_categories = pl.lit([], dtype=pl.List(pl.String))
    catalogue = items.select(
        pl.col("item_id").cast(pl.String),
        pl.col("title").cast(pl.String).str.strip_chars(),
        (
            pl.col("categories").cast(pl.List(pl.String)).fill_null(no_categories)
            if "categories" in items.columns
            else no_categories
        ).alias("categories"),
        (pl.col("year") if "year" in items.columns else pl.lit(None)).cast(pl.Int32).alias("year"),
    )
    untitled = catalogue.filter(pl.col("title").fill_null("") == "")
    if untitled.height:
        raise DataError(f"Dataset {name!r}: item {untitled['item_id'][0]!r} has no title.")
    if catalogue["item_id"].null_count():
        nameless = catalogue.filter(pl.col("item_id").is_null())["title"][0]
        raise DataError(f"Dataset {name!r}: the item titled {nameless!r} has no id.")
    if catalogue["item_id"].n_unique() < catalogue.height:
        repeated = catalogue.filter(pl.col("item_id").is_duplicated())["item_id"][0]
        raise DataError(f"Dataset {name!r}: item id {repeated!r} stands more than once in the catalogue.")
    return catalogue


def _with_attributes(name: str, present: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    _require(name, "users", users, ("user_id",))
    attributes = users.with_columns(pl.col("user_id").cast(pl.String))
    if attributes["user_id"].n_unique() < attributes.height:
        repeated = attributes.filter(pl.col("user_id").is_duplicated())["user_id"][0]
        raise DataError(f"Dataset {name!r}: user id {repeated!r} stands more than once in the users.")
    return present.join(attributes, on="user_id", how="left", maintain_order="left")


def _require(name: str, table: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in frame.columns:
            raise DataError(f"Dataset {name!r}: the {table} have no column {column!r}, only {frame.columns}.")
