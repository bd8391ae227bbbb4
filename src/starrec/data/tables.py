"""A user's own files: CSV, TSV, Parquet or JSON Lines, with columns mapped by name.

Nothing is guessed silently. A file that cannot be meant (wrong delimiter, missing column, no rows) is refused
with what was found and which setting would mend it. A row that cannot be used is refused with its file, line,
column and reason, or, with `skip_bad_rows`, left out and counted. Cells of CSV and TSV are read as text, so
that the error can show what stands there.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import polars as pl

from starrec.data.config import ColumnMap
from starrec.data.dataset import Dataset, Order, build
from starrec.errors import DataError

MIN_ITEMS = 20
"""A task has 20 candidates, so a catalogue has at least as many items."""
_SHOWN = 5
_LINE = "__line__"
_TEXT = "__text__"
_PARSED = "__parsed__"
_DELIMITERS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
_SUFFIXES = ".csv, .tsv, .csv.gz, .tsv.gz, .parquet, .jsonl, .jsonl.gz"


class BadRow(NamedTuple):
    """A row that cannot be used, and why."""

    file: Path
    line: int
    """Line of a text file, counting the header; row of a Parquet file, from 1."""
    column: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column!r}: {self.reason}"


@dataclass
class SkipReport:
    """The rows left out because they could not be used."""

    rows: list[BadRow] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows left out by file name."""
        return dict(Counter(row.file.name for row in self.rows))

    def __str__(self) -> str:
        shown = "; ".join(map(str, self.rows[:_SHOWN]))
        more = f"; and {len(self.rows) - _SHOWN} more" if len(self.rows) > _SHOWN else ""
        return f"{len(self.rows)} bad rows: {shown}{more}" if self.rows else "no bad rows"


@dataclass(frozen=True)
class _Table:
    path: Path
    frame: pl.DataFrame
    """Columns as in the file, and `_LINE`."""
    bad: list[BadRow]


def load_tables(
    interactions: Path,
    items: Path,
    users: Path | None = None,
    *,
    columns: ColumnMap | None = None,
    delimiter: str | None = None,
    skip_bad_rows: bool = False,
) -> tuple[Dataset, SkipReport]:
    """A Dataset out of a user's files, and the rows that were left out.

    Interactions need `user_id`, `item_id` and `timestamp` or `position`; items need `item_id` and `title`.

    Raises:
        DataError: a file is missing, empty or not what its suffix says; a column is missing; there are fewer
            than 20 items; or, unless `skip_bad_rows`, a row has no id, title or numeric time, an item id
            stands twice, or an interaction's item is not among the items.
    """
    names = columns or ColumnMap()
    catalogue, bad = _items(_read(items, delimiter), names)
    # No name is kept for the table as read, so that its text is gone before `build` needs the room.
    edges, order, bad_edges = _interactions(_read(interactions, delimiter), names, catalogue["item_id"])
    report = SkipReport([*bad, *bad_edges])
    people = None
    if users is not None:
        user_table = _read(users, delimiter)
        _require(user_table, names, "user_id")
        people = user_table.frame.drop(_LINE).rename({names.user_id: "user_id"}).drop_nulls("user_id")
        report.rows += user_table.bad
    if report.rows and not skip_bad_rows:
        raise DataError(f"{report}. Mend them, or leave them out with --skip-bad-rows.")
    if catalogue.height < MIN_ITEMS:
        raise DataError(
            f"{items} has {catalogue.height} usable items; ranking tasks need {MIN_ITEMS}. Add some."
        )
    if edges.height == 0:
        raise DataError(f"{interactions} has no usable rows.")
    return build(interactions.name.split(".")[0], order, edges, catalogue, people), report


class Additions(NamedTuple):
    """New interactions, and items that come with them."""

    interactions: pl.DataFrame
    """`user_id, item_id, time[, rating]`"""
    order: Order
    items: pl.DataFrame | None
    """As in `build`; None where no file was given."""
    skipped: SkipReport


def load_additions(
    interactions: Path,
    items: Path | None,
    known: Sequence[str],
    *,
    columns: ColumnMap | None = None,
    delimiter: str | None = None,
    skip_bad_rows: bool = False,
) -> Additions:
    """Interactions to add to data that is there already; the formats are those of `load_tables`.

    Args:
        items: new items, if there are any.
        known: ids of the items that are there.

    Raises:
        DataError: as `load_tables`; an interaction's item must be known or among the new ones.
    """
    names = columns or ColumnMap()
    report = SkipReport()
    item_ids, fresh = pl.Series(known, dtype=pl.String), None
    if items is not None:
        fresh, report.rows = _items(_read(items, delimiter), names)
        item_ids = pl.concat([item_ids, fresh["item_id"].cast(pl.String)])
    edges, order, bad_edges = _interactions(_read(interactions, delimiter), names, item_ids)
    report.rows += bad_edges
    if report.rows and not skip_bad_rows:
        raise DataError(f"{report}. Mend them, or leave them out with --skip-bad-rows.")
    return Additions(edges, order, fresh, report)


def _items(table: _Table, names: ColumnMap) -> tuple[pl.DataFrame, list[BadRow]]:
    _require(table, names, "item_id", "title")
    wanted = ["item_id", "title", *_optional(table, names, "categories", "year")]
    frame = table.frame.select(_LINE, *(pl.col(getattr(names, name)).alias(name) for name in wanted))
    if frame.schema.get("categories") == pl.String:
        categories = pl.col("categories").str.split("|").list.eval(pl.element().str.strip_chars())
        frame = frame.with_columns(categories.list.eval(pl.element().filter(pl.element() != "")))
    checks = _Checks(table, names)
    frame = checks.present(frame, "item_id")
    frame = checks.present(frame, "title")
    repeated = pl.col("item_id").is_duplicated() & ~pl.col("item_id").is_first_distinct()
    frame = checks.refuse(frame, repeated, "item_id", "item id {!r} stood in an earlier line already")
    if "year" in frame.columns:
        frame = checks.number(frame, "year", required=False)
        frame = frame.with_columns(pl.col("year").cast(pl.Int32, strict=False))
    return frame.drop(_LINE), checks.bad


def _interactions(
    table: _Table, names: ColumnMap, item_ids: pl.Series
) -> tuple[pl.DataFrame, Order, list[BadRow]]:
    order: Order = "clock"
    if names.timestamp not in table.frame.columns:
        order = "position"
        if names.position not in table.frame.columns:
            raise DataError(
                f"{table.path} has neither a column {names.timestamp!r} (timestamp) nor {names.position!r} "
                f"(position), only {_columns(table)}; the order of a user's items is unknown. Map one with "
                "`--column timestamp=YOUR_COLUMN` or `--column position=YOUR_COLUMN`."
            )
    _require(table, names, "user_id", "item_id")
    time = "timestamp" if order == "clock" else "position"
    wanted = ["user_id", "item_id", time, *_optional(table, names, "rating")]
    frame = table.frame.select(_LINE, *(pl.col(getattr(names, name)).alias(name) for name in wanted))
    if frame.schema[time].is_temporal():
        frame = frame.with_columns(pl.col(time).cast(pl.Datetime("us")).dt.epoch("s"))
    checks = _Checks(table, names)
    for name in ("user_id", "item_id"):
        frame = checks.present(frame, name)
    frame = checks.number(frame, time)
    if "rating" in frame.columns:
        frame = checks.number(frame, "rating", required=False)
    unknown = ~pl.col("item_id").cast(pl.String).is_in(item_ids.cast(pl.String).implode())
    frame = checks.refuse(frame, unknown, "item_id", "item {!r} is not among the items")
    return frame.drop(_LINE).rename({time: "time"}), order, checks.bad


@dataclass
class _Checks:
    """Takes rows out of a frame and notes why."""

    table: _Table
    names: ColumnMap
    bad: list[BadRow] = field(init=False)

    def __post_init__(self) -> None:
        self.bad = list(self.table.bad)

    def refuse(self, frame: pl.DataFrame, bad: pl.Expr, name: str, reason: str) -> pl.DataFrame:
        mask = frame.select(bad).to_series()
        if not mask.any():
            return frame
        column = getattr(self.names, name)
        for line, value in frame.filter(mask).select(_LINE, name).iter_rows():
            self.bad.append(BadRow(self.table.path, line, column, reason.format(value)))
        return frame.filter(~mask)

    def present(self, frame: pl.DataFrame, name: str) -> pl.DataFrame:
        frame = frame.with_columns(pl.col(name).cast(pl.String).str.strip_chars())
        return self.refuse(
            frame, pl.col(name).fill_null("") == "", name, f"there is no {name.replace('_', ' ')}"
        )

    def number(self, frame: pl.DataFrame, name: str, required: bool = True) -> pl.DataFrame:
        """The column as integers where all are, else as floats; ratings stay floats."""
        given = frame.schema[name]
        # Times of 32 bits go through text, where 1.4e9 is what was written and not 1,400,000,128 or so.
        if given.is_integer() or given == pl.Float64 or (given == pl.Float32 and name == "rating"):
            parsed, absent = pl.col(name), pl.col(name).is_null()
            whole = parsed.floor().cast(pl.Int64)
        else:
            # Columns rather than expressions: each is used several times and would be computed as often.
            text, parsed = pl.col(_TEXT), pl.col(_PARSED)
            frame = frame.with_columns(pl.col(name).cast(pl.String).str.strip_chars().alias(_TEXT))
            frame = frame.with_columns(text.cast(pl.Float64, strict=False).alias(_PARSED))
            absent = text.fill_null("") == ""
            # Through Int64 first: a float would round times in nanoseconds.
            whole = pl.coalesce(text.cast(pl.Int64, strict=False), parsed.floor().cast(pl.Int64))
        usable = parsed.is_finite().fill_null(False)
        frame = self.refuse(frame, ~(usable | absent), name, f"{name} {{!r}} is not a number")
        if required:
            frame = self.refuse(frame, absent, name, f"there is no {name}")
        number = parsed.cast(pl.Float64) if name == "rating" else whole
        return frame.with_columns(number.alias(name)).drop(_TEXT, _PARSED, strict=False)


def _require(table: _Table, names: ColumnMap, *wanted: str) -> None:
    for name in wanted:
        column = getattr(names, name)
        if column not in table.frame.columns:
            found = [found for found in table.frame.columns if found != _LINE]
            close = difflib.get_close_matches(column, found, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(
                f"{table.path} has no column {column!r} ({name}), only {_columns(table)}; {hint}"
                f"Map it with `--column {name}={close[0] if close else 'YOUR_COLUMN'}`."
            )


def _optional(table: _Table, names: ColumnMap, *wanted: str) -> list[str]:
    """Those of wanted that the table has; one that was mapped to another name must be there."""
    present = []
    for name in wanted:
        if getattr(names, name) != ColumnMap.model_fields[name].default:
            _require(table, names, name)
        if getattr(names, name) in table.frame.columns:
            present.append(name)
    return present


def _columns(table: _Table) -> str:
    return ", ".join(repr(column) for column in table.frame.columns if column != _LINE)


def _read(path: Path, delimiter: str | None) -> _Table:
    if not path.is_file():
        raise DataError(f"There is no file {path}. Check the path.")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind not in ("csv", "tsv", "parquet", "jsonl", "ndjson"):
        raise DataError(f"{path}: the suffix says no known format. Use one of {_SUFFIXES}.")
    try:
        if kind == "parquet":
            table = _Table(path, pl.read_parquet(path).with_row_index(_LINE, offset=1), [])
        elif kind in ("jsonl", "ndjson"):
            table = _read_json_lines(path)
        else:
            table = _read_delimited(path, delimiter or ("\t" if kind == "tsv" else ","))
    except (OSError, EOFError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as {kind}: {error}.") from error
    if table.frame.height == 0:
        raise DataError(f"{path} has no usable rows: {SkipReport(table.bad)}.")
    return table


def _text(path: Path) -> IO[str]:
    # utf-8-sig: spreadsheets like to put a byte order mark before the first column's name.
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _read_delimited(path: Path, delimiter: str) -> _Table:
    with _text(path) as file:
        header = next(csv.reader(file, delimiter=delimiter), [])
    if not header:
        raise DataError(f"{path} is empty. It needs a header and rows.")
    if len(header) < 2:
        _explain_single_column(path, header[0], delimiter)
    try:
        frame = pl.read_csv(path, separator=delimiter, infer_schema=False, truncate_ragged_lines=False)
    except pl.exceptions.ComputeError:
        return _read_delimited_slowly(path, header, delimiter)
    with _text(path) as file:
        n_lines = sum(1 for _ in file)
    if n_lines != frame.height + 1:
        # Line breaks inside quotes: row numbers are not line numbers.
        return _read_delimited_slowly(path, header, delimiter)
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    frame = frame.with_row_index(_LINE, offset=2)
    return _Table(path, frame.filter(~blank) if blank.any() else frame, [])


def _read_delimited_slowly(path: Path, header: list[str], delimiter: str) -> _Table:
    """Row by row, which knows the line of each row and finds the ones with too many or too few fields."""
    lines, rows, bad = [], [], []
    with _text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        next(reader)
        for row in reader:
            if len(row) == len(header):
                lines.append(reader.line_num)
                rows.append([value or None for value in row])
            elif row:
                reason = f"{len(row)} fields where the header has {len(header)}"
                bad.append(BadRow(path, reader.line_num, header[min(len(row), len(header)) - 1], reason))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String()), orient="row")
    return _Table(path, frame.with_columns(pl.Series(_LINE, lines, dtype=pl.UInt32)), bad)


def _explain_single_column(path: Path, header: str, delimiter: str) -> None:
    counts = {other: len(next(csv.reader([header], delimiter=other), [])) for other in _DELIMITERS}
    best = max(counts, key=lambda other: counts[other])
    found = f"{path} has only one column, {header!r}, when split by {_named(delimiter)}"
    if counts[best] > 1:
        raise DataError(
            f"{found}; {_named(best)} would give {counts[best]}. Set `--delimiter {best!r}`, or "
            "`delimiter` under `[data]`."
        )
    raise DataError(f"{found}. It needs a header that names its columns.")


def _named(delimiter: str) -> str:
    return _DELIMITERS.get(delimiter, repr(delimiter))


def _read_json_lines(path: Path) -> _Table:
    lines, rows, bad = [], [], []
    with _text(path) as file:
        for line, row in _json_objects(file):
            if isinstance(row, dict):
                lines.append(line)
                rows.append(row)
            else:
                bad.append(BadRow(path, line, "-", row))
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [pl.Series(name, [row.get(name) for row in rows], strict=False) for name in names]
    return _Table(path, pl.DataFrame([pl.Series(_LINE, lines, dtype=pl.UInt32), *columns]), bad)


def _json_objects(file: IO[str]) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Line numbers with the object there, or with what is wrong with it."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, f"not JSON: {error.msg} at character {error.colno}"
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object"
