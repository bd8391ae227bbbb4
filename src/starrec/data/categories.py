"""What belongs to an item: its categories, however the file writes them, its title and its year.

Lists are flattened, nulls left out, and a list that was written as text (`['a', 'b']`, what pandas makes of one
in a CSV) is read as the list it was. An object has no plain meaning and is refused.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

import polars as pl

from starrec.data.ids import MISSING, as_text
from starrec.data.report import LINE, Checks, shown

NO_CATEGORY: Final = ("(no genres listed)", *MISSING)
"""Text that stands for no category."""
FIRST_YEAR, LAST_YEAR = 1000, 2100
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_SKELETON: Final = re.compile(r"(?:[\[\]{},:\s]|§|None|[+-]?\d+(?:\.\d+)?)*")
_BRACKETED: Final = re.compile(r"\s*(\[.*\]|\{.*\})\s*", re.DOTALL)


class NotCategories(Exception):
    """A value that cannot be meant where it stands; `str` says why."""


def flat_categories(value: Any, separator: str) -> list[str]:
    """The categories in a value: text, or lists of it at any depth; without empty ones and repeats.

    Raises:
        NotCategories: there is an object in it.
    """
    return list(
        dict.fromkeys(name for name in _flat(value, separator, inside=False) if name not in NO_CATEGORY)
    )


def read_categories(checks: Checks, separator: str) -> None:
    """The column as lists of text; rows with an object are refused."""
    name = "categories"
    column = checks.frame[name]
    if column.dtype != pl.List(pl.String):
        if not column.dtype.is_nested():
            column = as_text(column)
        if column.dtype == pl.String and not column.str.contains(r"^\s*[\[{]").any():
            column = _split(column, separator)
        else:
            column = _read_each(checks, column, separator)
    checks.frame = checks.frame.with_columns(_without_noise(column).alias(name))
    if separator == "|":
        _note_commas(checks)


def _read_each(checks: Checks, column: pl.Series, separator: str) -> pl.Series:
    """Cell by cell, as lists of text."""
    read: list[list[str]] = []
    refused: list[str] = []
    for value in column.to_list():
        try:
            read.append(flat_categories(value, separator))
            refused.append("")
        except NotCategories as problem:
            read.append([])
            refused.append(str(problem))
    reasons = pl.Series(refused, dtype=pl.String)
    checks.refuse_each(reasons, "categories")
    return pl.Series(read, dtype=pl.List(pl.String)).filter(reasons == "")


def read_titles(checks: Checks) -> None:
    """The column as text; a row without a title, or with more than one, is refused."""
    column = checks.frame["title"]
    if column.dtype == pl.List:
        checks.refuse(column.list.len() > 1, "title", "title {} is a list, not one value")
        column = checks.frame["title"].list.first()
    if column.dtype.is_nested():
        checks.refuse(column.is_not_null(), "title", "title {} is an object, not one value")
        column = pl.repeat(None, checks.frame.height, dtype=pl.String, eager=True)
    text = as_text(column).str.strip_chars().rename("title")
    text = text.to_frame().select(pl.when(~pl.col("title").is_in(MISSING)).then("title")).to_series()
    missing = text.is_null()
    checks.refuse(missing, "title", "there is no title")
    checks.frame = checks.frame.with_columns(text.filter(~missing).alias("title"))


def read_years(checks: Checks) -> None:
    """The column as years; those that cannot be one are unknown, and said."""
    odd = checks.frame.filter(~pl.col("year").is_between(FIRST_YEAR, LAST_YEAR))
    if odd.height:
        values = ", ".join(f"{year:g}" for year in odd["year"].unique(maintain_order=True).head(3))
        lines = ", ".join(map(str, odd[LINE].head(3)))
        more = ", ..." if odd.height > 3 else ""
        checks.table.report.notes.append(
            f"{checks.table.path.name}: {odd.height:,} year{'s' if odd.height != 1 else ''} outside "
            f"{FIRST_YEAR} to {LAST_YEAR} ({values}{more}; line {lines}{more}) read as unknown"
        )
    year = pl.when(pl.col("year").is_between(FIRST_YEAR, LAST_YEAR)).then("year")
    checks.frame = checks.frame.with_columns(year.cast(pl.Int32).alias("year"))


def _flat(value: Any, separator: str, inside: bool) -> list[str]:
    if value is None or (isinstance(value, float) and value != value):
        return []
    if isinstance(value, dict):
        raise NotCategories(f"categories {shown(value)} is an object, not text or a list")
    if isinstance(value, (list, tuple, pl.Series)):
        return [name for entry in value for name in _flat(entry, separator, inside=True)]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if inside:
        return [text]
    listed = _written_list(text)
    if listed is not None:
        return _flat(listed, separator, inside=True)
    return [part.strip() for part in text.split(separator)]


def _written_list(text: str) -> list[Any] | None:
    """The list that a text is the JSON, Python or NumPy form of; None where it is something else."""
    if not _BRACKETED.fullmatch(text):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _python_list(text)
    if isinstance(found, dict):
        raise NotCategories(f"categories {shown(text)} are an object, not text or a list")
    return found if isinstance(found, list) else None


def _python_list(text: str) -> Any:
    literals = _LITERAL.findall(text)
    skeleton = re.sub(r"\b(null|nan|NaN)\b", "None", _LITERAL.sub("§", text))
    if skeleton.count("§") != len(literals) or not _SKELETON.fullmatch(skeleton):
        return None
    # NumPy writes no commas: ['a' 'b'], which Python would read as one text.
    skeleton = re.sub(r"§(?=\s+§)", "§,", skeleton)
    parts = iter(literals)
    try:
        return ast.literal_eval(re.sub("§", lambda _: next(parts), skeleton))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _split(column: pl.Series, separator: str) -> pl.Series:
    # The same few combinations stand in many rows: each is split once.
    distinct = column.unique().to_frame("text").with_columns(read=pl.col("text").str.split(separator))
    return column.to_frame("text").join(distinct, on="text", how="left", maintain_order="left")["read"]


def _without_noise(column: pl.Series) -> pl.Series:
    named = pl.element().str.strip_chars()
    kept = named.filter(named.is_not_null() & ~named.is_in(NO_CATEGORY))
    lists = pl.col("read").list.eval(kept).list.unique(maintain_order=True)
    return column.to_frame("read").select(lists.fill_null(pl.lit([], pl.List(pl.String)))).to_series()


def _note_commas(checks: Checks) -> None:
    lists = checks.frame["categories"]
    filled = lists.filter(lists.list.len() > 0)
    if not len(filled) or (filled.list.len() > 1).any():
        return
    commas = int(filled.list.first().str.contains(", ", literal=True).sum())
    if commas * 4 >= len(filled):
        column = checks.table.called["categories"]
        checks.table.report.notes.append(
            f"{checks.table.path.name}: {commas:,} of {len(filled):,} cells of {column!r} "
            'hold ", " and none holds "|", so each cell is one category; where commas separate them, set '
            '`--category-separator ", "`'
        )
