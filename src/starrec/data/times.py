"""Times: numbers since 1970 in any unit, ISO 8601 text, or date types, as exact whole ticks since 1970.

Nobody writes down the unit of a number. It is recognised from the column as a whole, because a single number
can be meant in several units and a column cannot: seconds of this century have 9 or 10 digits, milliseconds 12
or 13, microseconds 15 or 16, nanoseconds 18 or 19. What was recognised is said. A row that then lies far
outside of the others (two rows in milliseconds, a zero for "unknown", the year 9999) is refused with its line:
one stray time would stretch the time that trends are counted over. All arithmetic is in integers; nanoseconds
of today do not fit a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from starrec.data.config import TimeUnit
from starrec.data.dataset import SECONDS_A_DAY, date_of
from starrec.data.ids import as_text
from starrec.data.report import Checks

_TICKS: Final[dict[TimeUnit, int]] = {
    "seconds": 1,
    "milliseconds": 1_000,
    "microseconds": 1_000_000,
    "nanoseconds": 1_000_000_000,
}
_BOUNDS: Final = (10**11, 10**14, 10**17)
"""From which number on a time is in the next finer unit: 10^11 is March 1973 in milliseconds, and the year 5138
in seconds."""
_NANO: Final = 1_000_000_000
_LEAST_MARGIN: Final = 30 * 365 * SECONDS_A_DAY
_PLACEHOLDERS: Final = (0, -1, 2**31 - 1)
"""Seconds that stand for an unknown time where the others are years away."""
_FAR: Final = 5 * 365 * SECONDS_A_DAY
_ISO: Final = (
    r"^\d{4}[-/]\d{2}[-/]\d{2}"
    r"(?:[T ](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,](?<fraction>\d{1,9})\d*)?)?)?"
    r" ?(?<zone>Z|z|UTC|[+-]\d{2}:?(?:\d{2})?)?$"
)


@dataclass(frozen=True)
class TimeSpan:
    """The days that a store already covers, which new times are measured against."""

    first_day: int
    """Days since 1970."""
    last_day: int


@dataclass(frozen=True)
class Times:
    """How a column of times was read."""

    written: str
    """What it holds, for people: `milliseconds`, `ISO 8601 text`, `dates`."""
    resolution: int
    """Ticks a second: 1, 1000, 10^6 or 10^9, the coarsest in which all of them are whole."""


def read_times(checks: Checks, name: str, unit: TimeUnit | None, span: TimeSpan | None = None) -> Times:
    """The column `name` as column `time`, whole ticks since 1970; rows without a time, or far outside, are
    refused.

    Args:
        unit: of numbers; None to recognise it.
        span: of what is there already.
    """
    checks.frame = checks.frame.rename({name: "time"})
    checks.table.called.setdefault("time", checks.table.called.get(name, name))
    column = checks.frame["time"]
    if column.dtype.is_temporal() and column.dtype not in (pl.Time, pl.Duration):
        seconds, nanos, written = _from_dates(column)
    elif column.dtype.is_integer():
        seconds, nanos, written = _from_numbers(_whole(column), None, unit, span)
    elif column.dtype == pl.Float64:
        seconds, nanos, written = _from_floats(column, unit, span)
    else:
        seconds, nanos, written = _from_text(as_text(column).str.strip_chars(), unit, span)
    del column
    if seconds.null_count():
        text = pl.col("time").cast(pl.String).str.strip_chars()
        absent = checks.frame.select(text.is_null() | text.is_in(["", "nan", "NaN"])).to_series()
        wrong = "is not ISO 8601 text, as most of the others are" if written == _ISO_TEXT else "is not a number"
        if seconds.null_count() == len(seconds):
            wrong = "is neither a number nor ISO 8601 text"
        seconds, nanos = _refuse(checks, seconds.is_null() & ~absent, f"timestamp {{}} {wrong}", seconds, nanos)
        seconds, nanos = _refuse(checks, seconds.is_null(), "there is no timestamp", seconds, nanos)
    if len(seconds):
        low, high = _span_window(span) if span is not None else _window(seconds, written)
        outside = ~seconds.is_between(low, high) | _placeholders(seconds, span)
        if outside.any():
            days = _days_of(seconds.filter(~outside))
            reason = f"timestamp {{}} is far outside of the others, {days}, when read as {written}"
            seconds, nanos = _refuse(checks, outside, reason, seconds, nanos)
    resolution = _resolution(nanos)
    ticks = (
        seconds if resolution == 1 or nanos is None else seconds * resolution + nanos // (_NANO // resolution)
    )
    checks.frame = checks.frame.with_columns(ticks.alias("time"))
    return Times(written, resolution)


def in_resolution(time: pl.Series, given: int, wanted: int) -> pl.Series:
    """Ticks of one resolution as ticks of another, the earlier where the wanted one is coarser."""
    return time * (wanted // given) if wanted >= given else time // (given // wanted)


_ISO_TEXT: Final = "ISO 8601 text"


def _refuse(
    checks: Checks, mask: pl.Series, reason: str, seconds: pl.Series, nanos: pl.Series | None
) -> tuple[pl.Series, pl.Series | None]:
    if not mask.any():
        return seconds, nanos
    checks.refuse(mask, "time", reason)
    return seconds.filter(~mask), None if nanos is None else nanos.filter(~mask)


def _whole(column: pl.Series) -> pl.Series:
    return column.cast(pl.Int64, strict=False)


def _from_dates(column: pl.Series) -> tuple[pl.Series, pl.Series | None, str]:
    if column.dtype == pl.Date:
        return column.to_physical().cast(pl.Int64) * SECONDS_A_DAY, None, "dates"
    per_second = {"ms": 1_000, "us": 1_000_000, "ns": _NANO}[column.dtype.time_unit or "us"]  # type: ignore[attr-defined]
    ticks = column.to_physical()
    return ticks // per_second, (ticks % per_second) * (_NANO // per_second), "dates"


def _from_numbers(
    whole: pl.Series, fraction: pl.Series | None, unit: TimeUnit | None, span: TimeSpan | None
) -> tuple[pl.Series, pl.Series | None, TimeUnit]:
    """Seconds and nanoseconds of numbers; `fraction` is billionths of their unit."""
    chosen = unit or _recognised(whole, span)
    per_second = _TICKS[chosen]
    if per_second == 1:
        return whole, fraction, chosen
    nanos = (whole % per_second) * (_NANO // per_second)
    if fraction is not None:
        nanos = nanos + fraction // per_second
    return whole // per_second, nanos, chosen


def _recognised(whole: pl.Series, span: TimeSpan | None) -> TimeUnit:
    """The unit in which most of the numbers are times; where two have as many, the one that fits what is
    there."""
    size = whole.drop_nulls().to_numpy()
    counts = np.diff([0, *((np.abs(size) < bound).sum() for bound in _BOUNDS), len(size)])
    units = list(_TICKS)
    most = [at for at in range(len(units)) if counts[at] == counts.max()]
    if span is not None and len(most) > 1:
        low, high = _span_window(span)
        fitting = [
            int(((size // _TICKS[units[at]] >= low) & (size // _TICKS[units[at]] <= high)).sum()) for at in most
        ]
        return units[most[int(np.argmax(fitting))]]
    return units[most[0]]


def _from_floats(
    column: pl.Series, unit: TimeUnit | None, span: TimeSpan | None
) -> tuple[pl.Series, pl.Series | None, str]:
    usable = column.is_finite() & (column.abs() < 2.0**63)
    column = column.to_frame("v").select(pl.when(usable).then("v")).to_series()
    whole = column.floor()
    fraction = ((column - whole) * 1e6).round()
    # Microseconds at best: a float of today's seconds has no more.
    carried = (fraction >= 1e6).fill_null(False)
    whole = whole + carried.cast(pl.Float64)
    nanos = fraction.zip_with(~carried, pl.Series([0.0])).cast(pl.Int64) * 1_000
    return _from_numbers(whole.cast(pl.Int64), nanos if (nanos != 0).any() else None, unit, span)


def _from_text(
    text: pl.Series, unit: TimeUnit | None, span: TimeSpan | None
) -> tuple[pl.Series, pl.Series | None, str]:
    frame = text.to_frame("text").with_columns(whole=pl.col("text").cast(pl.Int64, strict=False))
    whole, fraction = frame["whole"], None
    left = whole.is_null() & text.is_not_null() & (text != "")
    if left.any():
        whole, fraction = _decimals(frame)
        dates = _iso(text)
        as_dates, as_numbers = int(dates[0].is_not_null().sum()), int(whole.is_not_null().sum())
        if as_dates > as_numbers:
            return *dates, _ISO_TEXT
    return _from_numbers(whole, fraction, unit, span)


def _decimals(frame: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
    """Whole part, rounded down, and billionths of numbers written with a point or an exponent."""
    written = pl.col("text").str.extract_groups(r"^([+-]?)(\d+)\.(\d{0,9})\d*$").alias("parts")
    parts = frame.with_columns(written).unnest("parts").with_columns(
        absolute=pl.col("2").cast(pl.Int64, strict=False),
        billionths=pl.col("3").str.pad_end(9, "0").cast(pl.Int64, strict=False),
        # Digits of an exponent are exact to 15 places, which is all that is written so.
        rough=pl.when(pl.col("text").str.contains(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d+$")).then(
            pl.col("text").cast(pl.Float64, strict=False)
        ),
    )  # fmt: skip
    rough = pl.when(pl.col("rough").is_finite() & (pl.col("rough").abs() < 2.0**63)).then("rough")
    negative = pl.col("1") == "-"
    borrowed = negative & (pl.col("billionths") > 0)
    signed = pl.when(negative).then(-pl.col("absolute") - borrowed.cast(pl.Int64)).otherwise("absolute")
    whole = pl.coalesce("whole", signed, rough.floor().cast(pl.Int64, strict=False)).alias("whole")
    nanos = (
        pl.when(borrowed).then(_NANO - pl.col("billionths")).otherwise("billionths").fill_null(0).alias("nanos")
    )
    found = parts.select(whole, nanos)
    return found["whole"], found["nanos"] if (found["nanos"] != 0).any() else None


def _iso(text: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    date = text.str.slice(0, 10).str.replace_all("/", "-").str.to_date("%Y-%m-%d", strict=False)
    parts = text.str.extract_groups(_ISO).struct.unnest()
    fits = text.str.contains(_ISO)

    def number(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.Int64, strict=False).fill_null(0)

    digits = pl.col("zone").str.replace_all(r"\D", "").str.pad_end(4, "0")
    offset = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0) * 3600
    offset += digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0) * 60
    offset = pl.when(pl.col("zone").str.starts_with("-")).then(-offset).otherwise(offset)
    clock = (number("hour") < 24) & (number("minute") < 60) & (number("second") <= 60)
    seconds = number("hour") * 3600 + number("minute") * 60 + number("second") - offset
    found = parts.with_columns(date=date, fits=fits).select(
        seconds=pl.when(pl.col("fits") & clock).then(
            pl.col("date").to_physical().cast(pl.Int64) * SECONDS_A_DAY + seconds
        ),
        nanos=pl.col("fraction").str.pad_end(9, "0").cast(pl.Int64, strict=False).fill_null(0),
    )
    return found["seconds"], found["nanos"] if (found["nanos"] != 0).any() else None


def _window(seconds: pl.Series, written: str) -> tuple[int, int]:
    """Between which seconds a time counts as one of these."""
    # Not of rows in another unit, however many: coarser ones lie before 1973 then, finer ones after 5138.
    core = seconds.filter(seconds.abs() < _BOUNDS[0])
    if written in _TICKS and written != "seconds":
        core = core.filter(core >= _BOUNDS[0] // 1_000)
    if not len(core):
        core = seconds
    low, high = (int(core.quantile(part, "nearest") or 0) for part in (0.1, 0.9))
    return _widened(low, high)


def _span_window(span: TimeSpan) -> tuple[int, int]:
    return _widened(span.first_day * SECONDS_A_DAY, (span.last_day + 1) * SECONDS_A_DAY)


def _widened(low: int, high: int) -> tuple[int, int]:
    margin = max(4 * (high - low), _LEAST_MARGIN)
    return low - margin, high + margin


def _placeholders(seconds: pl.Series, span: TimeSpan | None) -> pl.Series:
    """Which of the times stand for an unknown one."""
    found = seconds.is_in(_PLACEHOLDERS)
    if not found.any():
        return found
    others = seconds.filter(~found)
    if span is not None:
        low, high = span.first_day * SECONDS_A_DAY, span.last_day * SECONDS_A_DAY
    elif len(others):
        low, high = (int(others.quantile(part, "nearest") or 0) for part in (0.1, 0.9))
    else:
        return found & False
    return found & ((seconds < low - _FAR) | (seconds > high + _FAR))


def _days_of(seconds: pl.Series) -> str:
    if not len(seconds):
        return "which are not times either"
    low, high = int(seconds.to_numpy().min()), int(seconds.to_numpy().max())
    return f"{date_of(low // SECONDS_A_DAY)} to {date_of(high // SECONDS_A_DAY)}"


def _resolution(nanos: pl.Series | None) -> int:
    if nanos is None:
        return 1
    return next(
        ticks for ticks in _TICKS.values() if ticks == _NANO or not (nanos % (_NANO // ticks) != 0).any()
    )
