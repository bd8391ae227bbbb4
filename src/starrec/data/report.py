"""What reading a user's files found: rows that cannot be used, rows that were left out, and what was decided.

Every row that was read is either kept or accounted for here, in every mode: a row that goes without a word is a
result that nobody can check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

LINE: Final = "__line__"
"""Column of a table as read: the line of each row."""
_SHOWN: Final = 5
_EXAMPLES: Final = 100
"""Bad rows of one kind that are kept as examples; all are counted."""
_LONGEST: Final = 80


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
class Report:
    """Rows read, rows left out and why, and what was decided on the way."""

    rows: list[BadRow] = field(default_factory=list)
    """Bad rows, at most 100 of a kind."""
    counts: Counter[Path] = field(default_factory=Counter)
    """Bad rows of each file, all of them."""
    read: Counter[Path] = field(default_factory=Counter)
    """Rows of each file, the header and empty lines not counted."""
    notes: list[str] = field(default_factory=list)
    """What was decided and should be known, a sentence each."""
    below_min_rating: int = 0
    """Interactions that do not count as taken because they are rated lower than `min_rating`."""

    @property
    def bad(self) -> int:
        """Bad rows of all files."""
        return self.counts.total()

    def add(self, file: Path, line: int, column: str, reason: str) -> None:
        """Count one bad row."""
        self.add_all(file, column, [(line, reason)], 1)

    def add_all(self, file: Path, column: str, examples: Iterable[tuple[int, str]], count: int) -> None:
        """Count bad rows of one kind, of which some are shown."""
        self.counts[file] += count
        kept = sum(row.file == file and row.column == column for row in self.rows)
        for line, reason in examples:
            if kept < _EXAMPLES:
                self.rows.append(BadRow(file, line, column, reason))
                kept += 1

    def __str__(self) -> str:
        if not self.bad:
            return "no bad rows"
        shown = "; ".join(map(str, self.rows[:_SHOWN]))
        left = self.bad - min(len(self.rows), _SHOWN)
        rows = "bad row" if self.bad == 1 else "bad rows"
        return f"{self.bad:,} {rows}: {shown}{f'; and {left:,} more' if left else ''}"


def shown(value: object) -> str:
    """A value as it stands in a message: escaped, and not longer than a line."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@dataclass
class Table:
    """A file as read: the wanted columns under our own names, before anything was checked."""

    path: Path
    frame: pl.DataFrame
    """The wanted columns that the file has, under the names of `ColumnMap`, and `LINE`."""
    called: dict[str, str]
    """What the file calls each of them."""
    columns: list[str]
    """All columns of the file."""
    report: Report


class Checks:
    """Takes rows out of a table's frame and counts why."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.frame = table.frame

    def refuse(self, bad: pl.Expr | pl.Series, name: str, reason: str) -> None:
        """Take out the rows of a mask; `{}` in the reason stands for the value in column `name`."""
        mask = (self.frame.select(bad).to_series() if isinstance(bad, pl.Expr) else bad).fill_null(False)
        count = int(mask.sum())
        if not count:
            return
        examples = self.frame.filter(mask).head(_EXAMPLES).select(LINE, name).iter_rows()
        found = [(line, reason.replace("{}", shown(value))) for line, value in examples]
        self.table.report.add_all(self.table.path, self.table.called.get(name, name), found, count)
        self.frame = self.frame.filter(~mask)

    def refuse_each(self, reasons: pl.Series, name: str) -> None:
        """Take out the rows that have a reason, each its own; the others have an empty one."""
        mask = reasons != ""
        lines = self.frame[LINE].filter(mask)
        found = zip(
            lines.head(_EXAMPLES).to_list(), reasons.filter(mask).head(_EXAMPLES).to_list(), strict=True
        )
        self.table.report.add_all(self.table.path, self.table.called.get(name, name), found, len(lines))
        self.frame = self.frame.filter(~mask)
