"""A user's own files as a Dataset: CSV, TSV and their kin, Parquet or JSON Lines, with columns mapped by name.

Nothing is guessed silently. A file that cannot be meant (wrong delimiter, missing column, no rows) is refused
with what was found and which setting would mend it. A row that cannot be used is refused with its file, line,
column and reason, or, with `skip_bad_rows`, left out and counted: rows read = rows kept + rows reported. What
columns hold is the matter of `ids`, `times` and `categories`; how files are written that of `delimited`,
`json_lines` and `quotes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import polars as pl

from starrec.data.categories import read_categories, read_titles, read_years
from starrec.data.columns import find_columns, unmapped
from starrec.data.config import FileRole, TableOptions
from starrec.data.dataset import Dataset, Order
from starrec.data.delimited import open_delimited, read_delimited
from starrec.data.files import DEFAULT_LIMITS, ReadLimits, format_of, reading
from starrec.data.frames import build
from starrec.data.ids import read_ids
from starrec.data.json_lines import json_columns, read_json
from starrec.data.numbers import read_number, read_positions
from starrec.data.report import LINE, Checks, Report, Table
from starrec.data.split import PART_WORDS, PARTS
from starrec.data.times import Times, TimeSpan, in_resolution, read_times
from starrec.errors import DataError

MIN_ITEMS: Final = 20
"""A task has 20 candidates, so a catalogue has at least as many items."""


@dataclass(frozen=True)
class Interactions:
    """Interactions that were read and checked."""

    frame: pl.DataFrame
    """`user_id, item_id, time[, rating][, part]`"""
    order: Order
    times: Times | None
    """None with positions."""


def load_tables(
    interactions: Path,
    items: Path,
    users: Path | None = None,
    *,
    options: TableOptions | None = None,
    held_out: Mapping[str, Path] | None = None,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> tuple[Dataset, Report]:
    """A Dataset out of a user's files, and what was found on the way.

    Interactions need `user_id`, `item_id` and `timestamp` or `position`; items need `item_id` and `title`.

    Args:
        held_out: more files of interactions, by the part of the user's own split (`validation`, `test`) that
            they are; `interactions` then is its training part.
        limits: of what is held of a text file at once.

    Raises:
        DataError: a file is missing, empty or of no known kind; a column is missing; there are fewer than 20
            items; or, unless `skip_bad_rows`, a row has no id, title or time, or one that cannot be meant, an
            item id stands twice, or an interaction's item is not among the items.
    """
    options = options or TableOptions()
    report = Report()
    catalogue = read_items(items, options, report, limits)
    # At once: interactions with a refused item would only be noise.
    refuse_bad_rows(report, options)
    files = {0: interactions, **{PARTS.index(part): path for part, path in (held_out or {}).items()}}
    if len(files) > 1 and options.split_column is not None:
        raise DataError("Give your own split as a column (`split_column`) or as files, not both.")
    tables = {part: _table(path, "interactions", options, report, limits) for part, path in files.items()}
    if len(files) == 1:
        # No name is kept for the table as read, so that its text is gone before `build` needs the room.
        edges = check_interactions(tables.pop(0), options, catalogue["item_id"])
    else:
        edges = joined(
            [
                _in_part(check_interactions(table, options, catalogue["item_id"]), part)
                for part, table in tables.items()
            ]
        )
    people = None if users is None else _users(users, options, report, limits)
    refuse_bad_rows(report, options)
    if catalogue.height < MIN_ITEMS:
        raise DataError(
            f"{items} has {catalogue.height} usable items; ranking tasks need {MIN_ITEMS}. Add some."
        )
    if edges.frame.height == 0:
        raise DataError(f"{interactions} has no usable interactions: {_why_none(report)}.")
    dataset = build(
        interactions.name.split(".")[0],
        edges.order,
        edges.frame,
        catalogue,
        people,
        resolution=edges.times.resolution if edges.times else 1,
        repeats=options.repeats,
    )
    written = edges.times.written if edges.times else ""
    return replace(dataset, times_written=written, below_min_rating=report.below_min_rating), report


def read_items(
    path: Path, options: TableOptions, report: Report, limits: ReadLimits = DEFAULT_LIMITS
) -> pl.DataFrame:
    """`item_id, title[, categories][, year]` of a file of items."""
    checks = Checks(_table(path, "items", options, report, limits))
    read_ids(checks, "item_id")
    read_titles(checks)
    repeated = pl.col("item_id").is_duplicated() & ~pl.col("item_id").is_first_distinct()
    checks.refuse(repeated, "item_id", "item id {} stood in an earlier line already")
    if "categories" in checks.frame.columns:
        read_categories(checks, options.category_separator)
    if "year" in checks.frame.columns:
        read_number(checks, "year")
        read_years(checks)
    return checks.frame.drop(LINE)


def read_interactions(
    path: Path, options: TableOptions, item_ids: pl.Series, report: Report, span: TimeSpan | None = None
) -> Interactions:
    """The interactions of a file with the items of a catalogue; span: of the times that are known already."""
    return check_interactions(_table(path, "interactions", options, report), options, item_ids, span)


def check_interactions(
    table: Table, options: TableOptions, item_ids: pl.Series, span: TimeSpan | None = None
) -> Interactions:
    """As `read_interactions`, from a table as read."""
    report = table.report
    checks = Checks(table)
    table.frame = pl.DataFrame()
    for name in ("user_id", "item_id"):
        read_ids(checks, name)
    times = None
    if "timestamp" in checks.frame.columns:
        times = read_times(checks, "timestamp", options.time_unit, span)
    else:
        read_positions(checks)
    unknown = checks.frame.select(pl.col("item_id").unique()).to_series()
    unknown = unknown.filter(~unknown.is_in(item_ids.cast(pl.String).implode()))
    if len(unknown):
        checks.refuse(pl.col("item_id").is_in(unknown.implode()), "item_id", "item {} is not among the items")
    if "part" in checks.frame.columns:
        _read_parts(checks)
    if "rating" in checks.frame.columns:
        read_number(checks, "rating")
        if options.min_rating is not None:
            low = (checks.frame["rating"] < options.min_rating).fill_null(False)
            report.below_min_rating += int(low.sum())
            checks.frame = checks.frame.filter(~low)
    elif options.min_rating is not None:
        raise DataError(
            f"{table.path} has no column of ratings, so `min_rating` cannot be used. Map it with "
            "`--column rating=YOUR_COLUMN`, or leave `min_rating` out."
        )
    return Interactions(checks.frame.drop(LINE), "clock" if times else "position", times)


def refuse_bad_rows(report: Report, options: TableOptions) -> None:
    """Raises: DataError: there are bad rows and they are not to be skipped."""
    if report.bad and not options.skip_bad_rows:
        raise DataError(f"{report}. Mend them, or leave them out with --skip-bad-rows.")


def _table(
    path: Path, role: FileRole, options: TableOptions, report: Report, limits: ReadLimits = DEFAULT_LIMITS
) -> Table:
    """A file as read, the wanted columns under our names."""
    kind = format_of(path, options.encoding)
    if kind == "parquet":
        with reading(path, "Parquet"):
            columns = list(_parquet(pl.read_parquet_schema, path))
    elif kind == "json":
        columns = json_columns(path, options, limits)
        if not columns:
            _explain_no_objects(path, options, report)
    else:
        file = open_delimited(path, role, options, limits)
        columns = file.columns
    wanted = find_columns(path, role, columns, options)
    report.notes += unmapped(path, role, columns, options)
    if kind == "parquet":
        with reading(path, "Parquet"):
            frame = _parquet(pl.read_parquet, path, columns=list(wanted.values()))
        report.read[path] += frame.height
        frame = frame.select(pl.col(column).alias(name) for name, column in wanted.items())
        _refuse_nested(path, role, frame, wanted)
        frame = frame.with_row_index(LINE, offset=1)
    elif kind == "json":
        as_json = wanted if role == "users" else ()
        frame = read_json(path, wanted, options, report, as_json=as_json, limits=limits)
    else:
        if file.note:
            report.notes.append(file.note)
        frame = read_delimited(file, wanted, report)
    if frame.height == 0 and report.counts[path] == 0:
        below = " under the header" if kind == "delimited" and file.has_header else ""
        raise DataError(f"{path} has no {role}{below}. Add some rows.")
    if frame.height == 0 and not options.skip_bad_rows:
        refuse_bad_rows(report, options)
    return Table(path, frame, dict(wanted), columns, report)


def _parquet(read, path: Path, **arguments):  # type: ignore[no-untyped-def]
    try:
        return read(path, **arguments)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}.") from error


def _refuse_nested(path: Path, role: FileRole, frame: pl.DataFrame, wanted: Mapping[str, str]) -> None:
    for name, dtype in frame.schema.items():
        if dtype.is_nested() and name not in ("categories", "title") and role != "users":
            raise DataError(
                f"{path}, column {wanted[name]!r} holds {dtype}, and {name.replace('_', ' ')} is one value a "
                f"row. Map another column with `--column {role}.{name}=YOUR_COLUMN`."
            )


def _explain_no_objects(path: Path, options: TableOptions, report: Report) -> None:
    read_json(path, {}, options, report)
    if report.counts[path]:
        raise DataError(f"{path} has no JSON objects, one a line: {report}.")
    raise DataError(f"{path} is empty. It needs one JSON object a line.")


def _users(path: Path, options: TableOptions, report: Report, limits: ReadLimits) -> pl.DataFrame:
    checks = Checks(_table(path, "users", options, report, limits))
    read_ids(checks, "user_id")
    repeated = pl.col("user_id").is_duplicated() & ~pl.col("user_id").is_first_distinct()
    checks.refuse(repeated, "user_id", "user id {} stood in an earlier line already")
    return checks.frame.drop(LINE)


def _read_parts(checks: Checks) -> None:
    words = pl.col("part").cast(pl.String).str.strip_chars().str.to_lowercase()
    part = words.replace_strict(PART_WORDS, default=None, return_dtype=pl.Int8)
    numbered = checks.frame.select(part).to_series()
    allowed = f"none of {', '.join(PARTS)}"
    bad = numbered.is_null()
    checks.refuse(bad, "part", f"the split says {{}}, {allowed}")
    checks.frame = checks.frame.with_columns(numbered.filter(~bad).alias("part"))


def joined(parts: Sequence[Interactions]) -> Interactions:
    """Interactions of several tables as one: times in the finest of their resolutions.

    Raises:
        DataError: some have timestamps, others positions.
    """
    orders = {part.order for part in parts}
    if len(orders) > 1:
        raise DataError("The files of your split must all have timestamps, or all positions.")
    (order,) = orders
    times = None
    frames = []
    if order == "clock":
        read = [part.times for part in parts if part.times is not None]
        finest = max(read, key=lambda one: one.resolution)
        written = ", ".join(dict.fromkeys(one.written for one in read))
        times = Times(written, finest.resolution)
    for part in parts:
        frame = part.frame
        if times is not None and part.times is not None:
            time = in_resolution(frame["time"], part.times.resolution, times.resolution)
            frame = frame.with_columns(time.alias("time"))
        frames.append(frame)
    return Interactions(pl.concat(frames, how="diagonal_relaxed"), order, times)


def _in_part(interactions: Interactions, number: int) -> Interactions:
    """The interactions as a part of the user's own split."""
    frame = interactions.frame.with_columns(part=pl.lit(number, dtype=pl.Int8))
    return replace(interactions, frame=frame)


def _why_none(report: Report) -> str:
    if report.below_min_rating:
        return f"{report.below_min_rating:,} are rated below `min_rating`" + (
            f"; {report}" if report.bad else ""
        )
    return str(report)


__all__: Sequence[str] = [
    "MIN_ITEMS",
    "Interactions",
    "check_interactions",
    "joined",
    "load_tables",
    "read_interactions",
    "read_items",
    "refuse_bad_rows",
]
