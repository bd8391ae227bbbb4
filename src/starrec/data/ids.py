"""Ids as text, the same id whatever wrote it.

A float that is whole is the id without its `.0` (pandas turns a column of integers into floats as soon as one
is missing), digit for digit: 16-digit ids do not survive a detour over floating point. NaN is no id.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from starrec.data.report import Checks

MISSING: Final = ("", "nan", "NaN")
"""Text that stands for no value: pandas writes its NaN so where a column was made text."""
_WHOLE: Final = r"^([+-]?\d+)\.0*$"


def read_ids(checks: Checks, name: str) -> None:
    """The column as text ids; rows without one are refused."""
    column = as_text(checks.frame[name])
    # Each id stands in many rows: looked at once, and the rows are touched only where an id changes.
    written = column.unique().drop_nulls().to_frame("written")
    read = pl.col("written").str.strip_chars().str.replace(_WHOLE, "$1")
    changed = written.select("written", read=read).with_columns(
        read=pl.when(pl.col("read").is_in(MISSING)).then(None).otherwise("read")
    ).filter(pl.col("written").ne_missing(pl.col("read")))  # fmt: skip
    if changed.height:
        joined = column.to_frame("written").join(
            changed.with_columns(changed=True), on="written", how="left", maintain_order="left"
        )
        column = joined.select(pl.when("changed").then("read").otherwise("written")).to_series()
    checks.frame = checks.frame.with_columns(column.alias(name))
    if column.null_count():
        checks.refuse(pl.col(name).is_null(), name, f"there is no {name.replace('_', ' ')}")


def as_text(column: pl.Series) -> pl.Series:
    """A column of any scalar type as text; NaN as `nan`, whole floats without a fraction."""
    if not column.dtype.is_float():
        return column.cast(pl.String)
    if column.dtype != pl.Float64:
        # By way of text, where 1.4e9 is what was written and not 1,400,000,128 or so.
        column = column.cast(pl.String).cast(pl.Float64, strict=False)
    whole = ((column.floor() == column) & (column.abs() < 2.0**63)).fill_null(False)
    integers = column.cast(pl.Int64, strict=False).cast(pl.String)
    return column.cast(pl.String).zip_with(~whole, integers)
