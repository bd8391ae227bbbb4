"""Amazon, Goodreads and Yelp as the AgentSociety benchmark merges them: what each calls things, as one.

The benchmark keeps each platform's own fields beside `item_id`, `user_id`, `stars` and `source`:

    items     title (Yelp: name); categories, a list (Amazon) or text with commas (Yelp); popular_shelves and
              publication_year (Goodreads)
    reviews   date as ISO text (Yelp), timestamp in milliseconds (Amazon), date_added as `Fri Nov 08 00:00:00
              -0800 2013` (Goodreads)

Ratings and counts that an item carries (Yelp's `stars`, Goodreads' `average_rating`) are not read: the review
that a task asks about is counted in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from starrec.data.categories import read_categories, read_titles, read_years
from starrec.data.config import TableOptions
from starrec.data.dataset import Dataset, Stretch
from starrec.data.frames import build
from starrec.data.ids import read_ids
from starrec.data.json_lines import objects_frame
from starrec.data.numbers import read_number
from starrec.data.report import LINE, Checks, Report, Table
from starrec.data.tables import Interactions, check_interactions, joined
from starrec.data.times import TimeSpan

ITEM_FIELDS: Final[Mapping[str, str]] = {
    "item_id": "item_id",
    "title": "title",
    "name": "name",
    "categories": "categories",
    "main_category": "main_category",
    "shelves": "popular_shelves",
    "year": "publication_year",
    "source": "source",
}
"""Fields of an item, by our names."""
TIME_FIELDS: Final = ("date", "timestamp", "date_added", "date_updated")
"""Fields with the time of a review; the first that it has counts."""
REVIEW_FIELDS: Final[Mapping[str, str]] = {
    "user_id": "user_id",
    "item_id": "item_id",
    "rating": "stars",
    "other_rating": "rating",
    **{field: field for field in TIME_FIELDS},
    "source": "source",
}
"""Fields of a review, by our names."""
_GOODREADS_TIME: Final = r"^[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} "
_SHELVES: Final = 5
_NO_GENRE: Final = frozenset(
    (
        *("to-read", "currently-reading", "read", "owned", "books-i-own", "own", "favorites", "favourites"),
        *("default", "library", "wish-list", "my-books", "kindle", "ebook", "ebooks", "re-read", "abandoned"),
    )
)
"""Shelves that say what a reader did with a book and not what it is."""


def item_options(options: TableOptions) -> TableOptions:
    """The options under which items are read: text with commas is several categories."""
    unset = options.category_separator == TableOptions().category_separator
    return options.model_copy(update={"category_separator": ","}) if unset else options


def read_catalogue(table: Table, options: TableOptions) -> pl.DataFrame:
    """`item_id, title, categories, year` of items under the names of `ITEM_FIELDS`, shelves as JSON text."""
    table.frame = table.frame.with_columns(title=_first_filled("title", "name"))
    checks = Checks(table)
    read_ids(checks, "item_id")
    read_titles(checks)
    repeated = pl.col("item_id").is_duplicated() & ~pl.col("item_id").is_first_distinct()
    checks.refuse(repeated, "item_id", "item id {} stood in an earlier line already")
    read_categories(checks, item_options(options).category_separator)
    read_number(checks, "year")
    read_years(checks)
    shelves = pl.Series("shelves", map(_genres, checks.frame["shelves"]), dtype=pl.List(pl.String))
    main = pl.concat_list("main_category").list.drop_nulls()
    return checks.frame.with_columns(shelves).select(
        "item_id",
        "title",
        categories=pl.when(pl.col("categories").list.len() > 0)
        .then("categories")
        .when(pl.col("shelves").list.len() > 0)
        .then("shelves")
        .otherwise(main),
        year="year",
    )


def read_reviews(
    path: Path,
    frame: pl.DataFrame,
    options: TableOptions,
    item_ids: pl.Series,
    report: Report,
    span: TimeSpan | None = None,
) -> Interactions:
    """Reviews as interactions; what cannot be used is refused and counted as in `check_interactions`.

    Args:
        frame: reviews under the names of `REVIEW_FIELDS`, as text, and `LINE`.
        item_ids: of the catalogue.
        span: of the times that are known already.
    """
    frame = frame.with_columns(_iso(field) for field in TIME_FIELDS).with_columns(
        rating=_first_filled("rating", "other_rating")
    )
    frame = frame.with_columns(rating=_unrated(frame["rating"], path, report))
    given = pl.coalesce(
        *(pl.when(pl.col(field).is_not_null()).then(pl.lit(field)) for field in TIME_FIELDS)
    ).alias("field")
    frame = frame.with_columns(given)
    # Each platform writes times in its own way, and a unit is recognised from a column as a whole.
    fields = [field for field in TIME_FIELDS if (frame["field"] == field).any()] or [TIME_FIELDS[0]]
    # Reviews without any time are refused among those of the first field.
    frame = frame.with_columns(pl.col("field").fill_null(fields[0]))
    parts = []
    for field in fields:
        part = frame.filter(pl.col("field") == field)
        columns = part.select("user_id", "item_id", "rating", LINE, timestamp=field)
        called = {name: REVIEW_FIELDS[name] for name in ("user_id", "item_id", "rating")} | {"timestamp": field}
        table = Table(path, columns, called, list(REVIEW_FIELDS.values()), report)
        parts.append(check_interactions(table, options, item_ids, span))
    return joined(parts)


def history_of(
    user_id: str, reviews: Iterable[Any], dataset: Dataset, options: TableOptions, tie_seed: int
) -> tuple[Stretch, Report]:
    """One user's reviews as a history of a dataset's items, oldest first, and what of them was left out:
    reviews that cannot be read, of other items, or rated too low. Repeats and equal times are treated as in the
    dataset.

    Args:
        reviews: objects as the files hold them.
    """
    report = Report()
    path = Path("reviews")
    objects = ((at, each if isinstance(each, Mapping) else "no object") for at, each in enumerate(reviews, 1))
    frame = objects_frame(path, objects, REVIEW_FIELDS, options, report)
    frame = frame.with_columns(user_id=pl.lit(user_id, dtype=pl.String))
    span = None if dataset.days is None else TimeSpan(*dataset.days)
    edges = read_reviews(path, frame, options, dataset.items["item_id"], report, span)
    if not edges.frame.height:
        return Stretch(np.empty(0, dtype=np.int32), None, None), report
    places = dataset.items.select("item_id", "title", "categories", "year").with_row_index("place")
    catalogue = places.filter(pl.col("item_id").is_in(edges.frame["item_id"].unique().implode()))
    resolution = edges.times.resolution if edges.times else 1
    own = build(
        user_id, "clock", edges.frame, catalogue, resolution=resolution, repeats=dataset.kept_repeat
    ).sequences(tie_seed)
    items = catalogue["place"].to_numpy().astype(np.int32)[own.items]
    return Stretch(items, own.days if dataset.order == "clock" else None, own.ratings), report


def items_of(items: Iterable[Any], options: TableOptions) -> pl.DataFrame:
    """`item_id, title, categories, year` of items that are no part of a dataset; those that cannot be read are
    missing."""
    path, report = Path("items"), Report()
    objects = ((at, each if isinstance(each, Mapping) else "no object") for at, each in enumerate(items, 1))
    frame = objects_frame(path, objects, ITEM_FIELDS, item_options(options), report, as_json=("shelves",))
    return read_catalogue(Table(path, frame, dict(ITEM_FIELDS), list(ITEM_FIELDS.values()), report), options)


def _first_filled(*names: str) -> pl.Expr:
    return pl.coalesce(*(pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)) for name in names))


def _iso(field: str) -> pl.Expr:
    """Goodreads' times as ISO 8601 text in UTC; others as they are, empty ones as none."""
    text = pl.col(field).str.strip_chars()
    read = text.str.to_datetime("%a %b %d %H:%M:%S %z %Y", strict=False, time_zone="UTC")
    goodreads = text.str.contains(_GOODREADS_TIME) & read.is_not_null()
    return (
        pl.when(goodreads).then(read.dt.strftime("%Y-%m-%dT%H:%M:%SZ")).when(text != "").then(text).alias(field)
    )


def _unrated(stars: pl.Series, path: Path, report: Report) -> pl.Series:
    """Ratings without zeros: no platform gives zero stars, and Goodreads writes so where there is no rating."""
    zero = (stars.cast(pl.Float64, strict=False) == 0).fill_null(False)
    if zero.any():
        report.notes.append(f"{path.name}: {int(zero.sum()):,} ratings of 0 stars read as no rating")
    return stars.zip_with(~zero, pl.Series([None], dtype=pl.String))


def _genres(shelves: str | None) -> list[str]:
    """The shelves on which most readers put a book, of those that say what it is."""
    try:
        listed = json.loads(shelves or "[]")
        counts = {str(shelf["name"]): int(shelf["count"]) for shelf in listed}
    except (ValueError, TypeError, KeyError):
        return []
    telling = [name for name in counts if name not in _NO_GENRE]
    return sorted(telling, key=lambda name: (-counts[name], name))[:_SHELVES]
