"""Times in any unit and form come out exact; what lies far outside is refused."""

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.files import HEADER, ITEMS, load, times_of, write

from starrec.data import describe, load_additions, load_tables
from starrec.data.config import TableOptions
from starrec.data.times import TimeSpan
from starrec.errors import DataError

DAY = 86_400
SECONDS = 1_501_809_776
"""2017-08-04 01:22:56 UTC."""


def rows(times, user="a"):
    return HEADER + "".join(f"{user},i{n},{time}\n" for n, time in enumerate(times))


@pytest.mark.parametrize(
    "unit, per_second",
    [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)],
)
def test_the_unit_is_recognised_and_said(tmp_path, unit, per_second):
    dataset, _ = load(tmp_path, rows([(SECONDS + n * DAY) * per_second for n in range(5)]))
    # Whole seconds are kept as seconds, whatever the file counts in.
    assert dataset.resolution == 1 and dataset.interactions["time"].to_list() == [
        SECONDS + n * DAY for n in range(5)
    ]
    assert f"timestamps read as {unit}: 2017-08-04 to 2017-08-08" in describe(dataset)


def test_times_within_a_second_keep_their_order_exactly(tmp_path):
    late = SECONDS * 10**9 + 1  # 1501809776000000001 is no float
    dataset, _ = load(tmp_path, rows([late, late - 1]))
    assert dataset.resolution == 10**9
    assert times_of(dataset) == {("a", "i0"): late, ("a", "i1"): late - 1}
    sequences = dataset.sequences(0)
    assert sequences.items.tolist() == [1, 0] and sequences.days.tolist() == [SECONDS // DAY] * 2
    # In milliseconds it is enough to keep milliseconds.
    dataset, _ = load(tmp_path, rows([SECONDS * 1000 + 250, SECONDS * 1000]))
    assert dataset.resolution == 1000 and dataset.sequences(0).items.tolist() == [1, 0]


@pytest.mark.parametrize(
    "text, offset, nanos",
    [
        ("2017-08-04T01:22:56Z", 0, 0),
        ("2017-08-04T01:22:56+00:00", 0, 0),
        ("2017-08-04 01:22:56", 0, 0),
        ("2017-08-04 01:22:56 UTC", 0, 0),
        ("2017-08-04T03:22:56+02:00", 0, 0),
        ("2017-08-03T19:52:56-0530", 0, 0),
        ("2017-08-04T01:22:56.25Z", 0, 250_000_000),
        ("2017-08-04T01:22:56.123456789", 0, 123_456_789),
        ("2017-08-04T01:22", -56, 0),
        ("2017-08-04", -4976, 0),
        ("2017/08/04 01:22:56", 0, 0),
    ],
)
def test_iso_8601(tmp_path, text, offset, nanos):
    # 01:22:56 are 4,976 seconds.
    dataset, _ = load(tmp_path, rows([text]))
    (time,) = times_of(dataset).values()
    assert time * (10**9 // dataset.resolution) == (SECONDS + offset) * 10**9 + nanos
    assert dataset.times_written == "ISO 8601 text"


@pytest.mark.parametrize("text", ["2017-02-30", "2017-08-04T25:00:00", "04/08/2017", "2017-8-4", "yesterday"])
def test_what_is_no_time_is_refused(tmp_path, text):
    with pytest.raises(DataError, match=r"line 2, column 'timestamp': .* is neither a number nor ISO 8601"):
        load(tmp_path, rows([text]))
    with pytest.raises(DataError, match=r"line 4, column 'timestamp': .* is not ISO 8601 text"):
        load(tmp_path, rows(["2017-01-01", "2017-01-02", text]))


@pytest.mark.parametrize(
    "values, expected",
    [
        ([date(2017, 8, 4)], (SECONDS - 4976) * 10**9),
        ([datetime(2017, 8, 4, 1, 22, 56)], SECONDS * 10**9),
        ([datetime(2017, 8, 4, 3, 22, 56, 1000, timezone(timedelta(hours=2)))], SECONDS * 10**9 + 10**6),
        ([datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC)], -(10**9) // 2),
    ],
)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_date_types_of_parquet(tmp_path, values, expected, unit):
    frame = pl.DataFrame({"user_id": ["a"], "item_id": ["i1"], "timestamp": values})
    if not isinstance(frame.schema["timestamp"], pl.Date):
        frame = frame.with_columns(pl.col("timestamp").dt.cast_time_unit(unit))
    frame.write_parquet(tmp_path / "log.parquet")
    dataset, _ = load_tables(tmp_path / "log.parquet", write(tmp_path, "items.csv", ITEMS))
    (time,) = times_of(dataset).values()
    assert time * (10**9 // dataset.resolution) == expected and dataset.times_written == "dates"


def test_seconds_with_a_fraction(tmp_path):
    dataset, _ = load(tmp_path, rows([f"{SECONDS}.5", f"{SECONDS}.25", f"{SECONDS}.0", "1.501809777e9"]))
    assert dataset.resolution == 1000
    assert list(times_of(dataset).values()) == sorted(times_of(dataset).values())
    assert times_of(dataset)["a", "i1"] == SECONDS * 1000 + 250
    assert times_of(dataset)["a", "i3"] == (SECONDS + 1) * 1000


@pytest.mark.parametrize("stray", [SECONDS * 10**6, SECONDS * 1000, 0, -1, 253_402_300_799, 2**31 - 1, 2**62])
def test_a_row_far_outside_is_refused_with_its_line(tmp_path, stray):
    times = [SECONDS + n * DAY for n in range(10)]
    with pytest.raises(DataError) as caught:
        load(tmp_path, rows([*times, stray]))
    assert f"line 12, column 'timestamp': timestamp {stray} is far outside of the others" in str(caught.value)
    assert "2017-08-04 to 2017-08-13, when read as seconds" in str(caught.value)
    dataset, report = load(tmp_path, rows([*times, stray]), skip_bad_rows=True)
    assert dataset.interactions.height == 10 and report.bad == 1


def test_many_rows_in_another_unit_do_not_hide_each_other(tmp_path):
    times = [SECONDS + n for n in range(11)] + [(SECONDS + n) * 1000 for n in range(8)]
    dataset, report = load(tmp_path, rows(times), skip_bad_rows=True)
    assert dataset.interactions.height == 11 and report.bad == 8
    few = [SECONDS + n for n in range(8)] + [(SECONDS + n) * 1000 for n in range(11)]
    dataset, report = load(tmp_path, rows(few), skip_bad_rows=True)
    assert dataset.interactions.height == 11 and report.bad == 8 and dataset.times_written == "milliseconds"


def test_old_times_of_a_long_history_are_kept(tmp_path):
    # Most of a log is of its last year; the first rows are 20 years older.
    times = [SECONDS - 20 * 365 * DAY, *(SECONDS + n * DAY for n in range(18))]
    assert load(tmp_path, rows(times))[0].interactions.height == 19


def test_the_unit_can_be_said(tmp_path):
    # 10 to the 9th in milliseconds is January 1970, which nobody would guess.
    dataset, _ = load(tmp_path, rows([10**9, 10**9 + 500]), time_unit="milliseconds")
    assert describe(dataset).endswith("timestamps read as milliseconds: 1970-01-12 to 1970-01-12")


@given(
    st.lists(st.integers(0, 10**9 * 365 * DAY), min_size=1, max_size=19, unique=True),
    st.sampled_from([1, 10**3, 10**6, 10**9]),
)
def test_any_times_come_back_exactly(tmp_path_factory, nanos, per_second):
    base = SECONDS * per_second
    times = [base + value // (10**9 // per_second) for value in nanos]
    dataset, _ = load(tmp_path_factory.mktemp("times"), rows(times))
    found = times_of(dataset)
    assert [found["a", f"i{n}"] * (per_second // dataset.resolution) for n in range(len(times))] == times


class TestAdditions:
    span = TimeSpan(SECONDS // DAY - 100, SECONDS // DAY)

    def add(self, tmp_path, times, **options):
        path = write(tmp_path, "new.csv", rows(times))
        known = [f"i{n}" for n in range(20)]
        return load_additions(path, None, known, options=TableOptions(**options), span=self.span)

    def test_two_rows_in_another_unit_are_refused(self, tmp_path):
        times = [SECONDS, SECONDS + 1, SECONDS + 2, SECONDS * 1000, SECONDS * 1000 + 1]
        with pytest.raises(DataError, match=r"2 bad rows: .*new\.csv, line 5.*far outside"):
            self.add(tmp_path, times)
        given_ = self.add(tmp_path, times, skip_bad_rows=True)
        assert given_.interactions["time"].to_list() == times[:3] and given_.report.bad == 2

    def test_a_file_in_another_unit_is_read_in_it(self, tmp_path):
        given_ = self.add(tmp_path, [SECONDS * 1000, SECONDS * 1000 + 1000])
        assert given_.times.written == "milliseconds" and given_.times.resolution == 1
        assert given_.interactions["time"].to_list() == [SECONDS, SECONDS + 1]

    # 7,258,118,400 seconds after 1970 is the year 2200, which is far outside of the span in either unit.
    @pytest.mark.parametrize(
        "times, unit, bad_line",
        [
            ([SECONDS * 1000, 7_258_118_400], "milliseconds", 3),
            ([7_258_118_400_000, SECONDS], "seconds", 2),
        ],
    )
    def test_where_units_have_as_many_rows_the_one_that_fits_is_meant(self, tmp_path, times, unit, bad_line):
        given_ = self.add(tmp_path, times, skip_bad_rows=True)
        assert given_.times.written == unit and given_.interactions["time"].to_list() == [SECONDS]
        assert [row.line for row in given_.report.rows] == [bad_line]

    def test_a_zero_alone_is_refused(self, tmp_path):
        with pytest.raises(DataError, match=r"line 2, .*timestamp 0 is far outside"):
            self.add(tmp_path, [0])
