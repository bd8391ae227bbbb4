"""Columns of plain numbers: ratings, years, positions. NaN and empty cells are no number; text that is none is
refused."""

from __future__ import annotations

import polars as pl

from starrec.data.ids import MISSING, as_text
from starrec.data.report import Checks


def read_number(checks: Checks, name: str) -> None:
    """The column as floats, null where there is none."""
    column = checks.frame[name]
    if column.dtype.is_integer() or column.dtype.is_float():
        number = column.cast(pl.Float64).fill_nan(None)
        bad = number.is_infinite().fill_null(False)
    else:
        text = as_text(column).str.strip_chars()
        number = text.cast(pl.Float64, strict=False)
        number = number.to_frame("n").select(pl.when(pl.col("n").is_finite()).then("n")).to_series()
        bad = number.is_null() & text.is_not_null() & ~text.is_in(MISSING)
    checks.refuse(bad, name, f"{name} {{}} is not a number")
    checks.frame = checks.frame.with_columns(number.filter(~bad).alias(name))


def read_positions(checks: Checks) -> None:
    """The column `position` as whole numbers in column `time`, rounded down; a row without one is refused."""
    checks.frame = checks.frame.rename({"position": "time"})
    checks.table.called["time"] = checks.table.called["position"]
    column = checks.frame["time"]
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        absent = column.is_null()
    else:
        text = as_text(column).str.strip_chars()
        number = text.cast(pl.Float64, strict=False)
        usable = number.is_finite() & (number.abs() < 2.0**63)
        floored = number.to_frame("n").select(
            pl.when(usable).then(pl.col("n").floor().cast(pl.Int64, strict=False))
        )
        exact = text.cast(pl.Int64, strict=False)
        whole = exact.zip_with(exact.is_not_null(), floored.to_series())
        absent = text.is_null() | text.is_in(MISSING)
    wrong = whole.is_null() & ~absent
    checks.refuse(wrong, "time", "position {} is not a number")
    whole, absent = whole.filter(~wrong), absent.filter(~wrong)
    checks.refuse(absent, "time", "there is no position")
    checks.frame = checks.frame.with_columns(whole.filter(~absent).alias("time"))
