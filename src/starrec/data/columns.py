"""Which columns of a file are meant, and what to say where one is missing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starrec.data.config import ColumnMap, FileRole, TableOptions
from starrec.errors import DataError

_REQUIRED: Final[dict[FileRole, tuple[str, ...]]] = {
    "interactions": ("user_id", "item_id"),
    "items": ("item_id", "title"),
    "users": ("user_id",),
}
_OPTIONAL: Final[dict[FileRole, tuple[str, ...]]] = {
    "interactions": ("rating",),
    "items": ("categories", "year"),
    "users": (),
}
_ALSO_CALLED: Final = {
    "user_id": ("userid", "user", "uid", "reviewerid", "customerid", "visitorid", "sessionid"),
    "item_id": (
        *(
            "itemid",
            "item",
            "iid",
            "movieid",
            "artistid",
            "asin",
            "parentasin",
            "productid",
            "bookid",
            "songid",
        ),
        *("trackid", "businessid", "gameid", "articleid", "newsid", "sku", "id"),
    ),
    "timestamp": ("time", "ts", "date", "datetime", "createdat", "unixreviewtime", "when", "eventtime"),
    "position": ("pos", "index", "order", "rank"),
    "rating": ("ratings", "score", "stars", "overall"),
    "title": ("name", "itemname", "moviename", "movietitle", "originaltitle", "booktitle", "label"),
    "categories": ("category", "genres", "genre", "tags"),
    "year": ("releaseyear", "publicationyear"),
}
"""What public data sets call these, letters only and in lower case."""


def find_columns(path: Path, role: FileRole, found: Sequence[str], options: TableOptions) -> dict[str, str]:
    """The file's columns by our names: what the role needs and what of the rest is there.

    Raises:
        DataError: one is missing, is there twice, or cannot be used.
    """
    columns = options.columns
    required = list(_REQUIRED[role])
    if role == "interactions":
        required.append(_order_column(path, found, columns))
    missing = [name for name in required if columns.column(role, name) not in found]
    for name in _OPTIONAL[role]:
        if columns.column(role, name) in found:
            required.append(name)
        elif columns.renamed(role, name):
            missing.append(name)
    if missing:
        raise DataError(_explain(path, role, missing, found, columns))
    wanted = {name: columns.column(role, name) for name in required}
    if role == "interactions":
        if options.split_column is not None:
            if options.split_column not in found:
                raise DataError(
                    f"{path} has no column {options.split_column!r} (split), only {_listed(found)}. Name the "
                    "column that says train, validation or test with `--split-column`."
                )
            wanted["part"] = options.split_column
        _refuse_weights(path, found, wanted)
    if role == "users":
        used = set(wanted.values())
        wanted |= {column: column for column in found if column not in used and column != "user_id"}
    for column in wanted.values():
        if list(found).count(column) > 1:
            raise DataError(
                f"{path} has {list(found).count(column)} columns called {column!r}. Rename all but one."
            )
    return wanted


def unmapped(path: Path, role: FileRole, found: Sequence[str], options: TableOptions) -> list[str]:
    """A note on each optional column that the file seems to have under a usual name of it, and that is not
    read."""
    notes = []
    for name in _OPTIONAL[role]:
        if options.columns.column(role, name) not in found:
            likely = _usual(name, [column for column in found if column not in _taken(role, options.columns)])
            if likely is not None:
                notes.append(
                    f"{path.name}: column {likely!r} is not read; if it holds the {name}, set "
                    f"`--column {role}.{name}={_quoted(likely)}`"
                )
    return notes


def _taken(role: FileRole, columns: ColumnMap) -> set[str]:
    names = (*_REQUIRED[role], *_OPTIONAL[role], *(("timestamp", "position") if role == "interactions" else ()))
    return {columns.column(role, name) for name in names}


def _usual(name: str, free: Sequence[str]) -> str | None:
    """The column that public data sets call so for this name."""
    letters = {candidate: "".join(filter(str.isalnum, candidate.lower())) for candidate in free}
    for known in (name.replace("_", ""), *_ALSO_CALLED[name]):
        match = next((candidate for candidate in free if letters[candidate] == known), None)
        if match is not None:
            return match
    return None


def _order_column(path: Path, found: Sequence[str], columns: ColumnMap) -> str:
    for name in ("timestamp", "position"):
        if columns.column("interactions", name) in found:
            return name
    if columns.renamed("interactions", "position") and not columns.renamed("interactions", "timestamp"):
        return "position"
    return "timestamp"


def _refuse_weights(path: Path, found: Sequence[str], wanted: dict[str, str]) -> None:
    weight = next((column for column in found if column.strip().lower() == "weight"), None)
    if weight is not None and weight not in wanted.values():
        raise DataError(
            f"{path} has a column {weight!r}: interactions are counted and not weighed here, and dropping the "
            "weights silently would change what they mean. Remove the column, or read it as a rating "
            f"(`--column rating={weight}`), if you like with `--min-rating`."
        )


def _explain(
    path: Path, role: FileRole, missing: Sequence[str], found: Sequence[str], columns: ColumnMap
) -> str:
    """All that is missing, and options that would map it; no column is suggested that is another's."""
    free = [column for column in found if column not in _taken(role, columns)]
    needs, options = [], []
    for name in missing:
        column = columns.column(role, name)
        needs.append(f"{column!r} ({name})")
        close = _suggested(name, column, free)
        if close is not None:
            free.remove(close)
        options.append(f"--column {role}.{name}={_quoted(close) if close is not None else 'YOUR_COLUMN'}")
    for name in _OPTIONAL[role]:
        if name not in missing and columns.column(role, name) not in found and (usual := _usual(name, free)):
            free.remove(usual)
            options.append(f"--column {role}.{name}={_quoted(usual)}")
    also = ""
    if role == "interactions" and "timestamp" in missing:
        also = f" (or {columns.column(role, 'position')!r}, a column that only orders them, as position)"
    known = all(not option.endswith("=YOUR_COLUMN") for option in options)
    hint = "Did you mean" if known else "Map them with" if len(missing) > 1 else "Map it with"
    end = "?" if known else "."
    problem = f"{path} has no column {', '.join(needs)}{also}, only {_listed(found)}"
    return f"{problem}. {hint} `{' '.join(options)}`{end}"


def _suggested(name: str, column: str, free: Sequence[str]) -> str | None:
    letters = {candidate: "".join(filter(str.isalnum, candidate.lower())) for candidate in free}
    asked = "".join(filter(str.isalnum, column.lower()))
    usual = next((candidate for candidate in free if letters[candidate] == asked), None) or _usual(name, free)
    if usual is not None:
        return usual
    # What is another column's own name, or one of its usual ones, is not offered for this one.
    others = {
        known
        for other, knowns in _ALSO_CALLED.items()
        if other != name
        for known in (other.replace("_", ""), *knowns)
    }
    left = [candidate for candidate in free if letters[candidate] not in others]
    return next(iter(difflib.get_close_matches(column, left, n=1, cutoff=0.6)), None)


def _quoted(column: str) -> str:
    return column if column.replace("_", "").replace("-", "").replace(".", "").isalnum() else repr(column)


def _listed(found: Sequence[str]) -> str:
    return ", ".join(map(repr, found))
