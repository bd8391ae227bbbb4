"""A user's own files: what they may look like, and what is said about those that cannot be used."""

import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from starrec.data import ColumnMap, TableOptions, load_tables
from starrec.errors import DataError

ITEMS = "item_id,title,categories,year\n" + "".join(
    f'i{n},"Title, {n}",Drama | Comedy,{1990 + n}\n' for n in range(20)
)
EDGES = "user_id,item_id,timestamp,rating\na,i1,100,4.5\na,i0,50,\nb,i2,70,3\n"


def write(folder, name, text):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.fixture
def items(tmp_path):
    return write(tmp_path, "items.csv", ITEMS)


def load(tmp_path, items, edges, name="shop.csv", **options):
    users = options.pop("users", None)
    held_out = options.pop("held_out", None)
    return load_tables(
        write(tmp_path, name, edges), items, users, options=TableOptions(**options), held_out=held_out
    )


def test_csv(tmp_path, items):
    dataset, skipped = load(tmp_path, items, EDGES)
    assert (dataset.name, dataset.order, dataset.user_ids) == ("shop", "clock", ["a", "b"])
    assert dataset.interactions.rows() == [(0, 0, 50, None), (0, 1, 100, 4.5), (1, 2, 70, 3.0)]
    assert dataset.items.row(3) == ("i3", "Title, 3", ["Drama", "Comedy"], 1993)
    assert skipped.rows == [] and str(skipped) == "no bad rows"


def test_every_format_reads_alike(tmp_path, items):
    expected, _ = load(tmp_path, items, EDGES)
    frame = pl.read_csv(EDGES.encode())
    dated = frame.with_columns(timestamp=pl.from_epoch("timestamp"))
    frame.write_parquet(tmp_path / "shop.parquet")
    dated.write_parquet(tmp_path / "dated.parquet")
    tabs = EDGES.replace(",", "\t")
    files = [
        tmp_path / "shop.parquet",
        tmp_path / "dated.parquet",
        write(tmp_path, "shop.tsv", tabs),
        write(tmp_path, "shop.tsv.gz", tabs),
        write(tmp_path, "bom.csv", "\ufeff" + EDGES),
        write(tmp_path, "blank.csv", EDGES.replace("\n", "\n\n")),
        write(tmp_path, "shop.jsonl", frame.write_ndjson()),
        write(tmp_path, "shop.jsonl.gz", frame.write_ndjson()),
    ]
    for path in files:
        assert load_tables(path, items)[0].sha256 == expected.sha256, path
    listed = [
        json.dumps(
            {"item_id": f"i{n}", "title": f"Title, {n}", "categories": ["Drama", "Comedy"], "year": 1990 + n}
        )
        for n in range(20)
    ]
    as_json = write(tmp_path, "items.jsonl", "\n".join(listed))
    assert load_tables(files[0], as_json)[0].sha256 == expected.sha256


def test_columns_are_mapped(tmp_path, items):
    columns = ColumnMap(user_id="who", timestamp="when", item_id="item_id")
    text = EDGES.replace("user_id", "who").replace("timestamp", "when")
    dataset, _ = load(tmp_path, items, text, columns=columns)
    assert dataset.interactions["time"].to_list() == [50, 100, 70]


def test_positions_order_where_there_is_no_clock(tmp_path, items):
    dataset, _ = load(tmp_path, items, "user_id,item_id,position\na,i1,1\na,i0,0\n")
    assert dataset.order == "position" and dataset.sequences(0).of(0).tolist() == [0, 1]


def test_times_in_nanoseconds_keep_their_order(tmp_path, items):
    late = 10**18 + 1
    dataset, _ = load(tmp_path, items, f"user_id,item_id,timestamp\na,i1,{late}\na,i0,{late - 1}\n")
    assert dataset.interactions["time"].to_list() == [late - 1, late]


@pytest.mark.parametrize("dtype", [pl.Int16, pl.UInt32, pl.Float32, pl.Float64, pl.Decimal(9, 2), pl.String])
def test_numbers_mean_the_same_in_every_type(tmp_path, items, dtype):
    frame = pl.read_csv(EDGES.replace("4.5", "4").encode())
    expected, _ = load(tmp_path, items, frame.write_csv())
    frame.with_columns(pl.col("timestamp", "rating").cast(dtype)).write_parquet(tmp_path / "typed.parquet")
    assert load_tables(tmp_path / "typed.parquet", items)[0].sha256 == expected.sha256


def test_times_of_32_bits_are_what_was_written(tmp_path, items):
    # The nearest 32-bit float to 1,400,000,100 is 1,400,000,128.
    frame = pl.read_csv(EDGES.encode()).with_columns(timestamp=pl.lit(1_400_000_100, dtype=pl.Float32))
    frame.write_parquet(tmp_path / "shop.parquet")
    dataset, _ = load_tables(tmp_path / "shop.parquet", items)
    assert dataset.interactions["time"].unique().to_list() == [1_400_000_100]


def test_floats_may_lack_a_rating_but_not_a_time(tmp_path, items):
    frame = pl.read_csv(EDGES.encode()).with_columns(
        timestamp=pl.Series([None, float("nan"), 70.5]), rating=pl.Series([float("inf"), 1.0, None])
    )
    frame.write_parquet(tmp_path / "shop.parquet")
    dataset, skipped = load_tables(tmp_path / "shop.parquet", items, options=TableOptions(skip_bad_rows=True))
    # 70.5 seconds are 70,500 milliseconds, the coarsest unit in which all times are whole.
    assert dataset.resolution == 1000 and dataset.interactions.rows() == [(0, 2, 70_500, None)]
    assert [(row.line, row.reason) for row in skipped.rows] == [
        (1, "there is no timestamp"),
        (2, "there is no timestamp"),
    ]
    frame[:2].with_columns(timestamp=pl.lit(1.0)).write_parquet(tmp_path / "shop.parquet")
    with pytest.raises(DataError, match="line 1, column 'rating': rating inf is not a number"):
        load_tables(tmp_path / "shop.parquet", items)


def test_a_user_with_one_interaction_is_fine(tmp_path, items):
    assert load(tmp_path, items, EDGES)[0].sequences(0).of(1).tolist() == [2]


def test_users_bring_attributes(tmp_path, items):
    users = write(tmp_path, "users.csv", "user_id,city\nb,Bern\nz,Zug\n")
    dataset, _ = load(tmp_path, items, EDGES, users=users)
    assert dataset.users.rows() == [("a", None), ("b", "Bern")]


BAD = "user_id,item_id,timestamp,rating\na,i1,100,4\na,i2,noon,4\n,i3,1,4\nb,i99,2,4\nb,i4,,4\nb,i5,3,great\n"


def test_bad_rows_are_refused_with_line_column_and_reason(tmp_path, items):
    with pytest.raises(DataError) as caught:
        load(tmp_path, items, BAD)
    for part in [
        "5 bad rows",
        "shop.csv, line 3, column 'timestamp': timestamp 'noon' is not a number",
        "shop.csv, line 4, column 'user_id': there is no user id",
        "shop.csv, line 5, column 'item_id': item 'i99' is not among the items",
        "shop.csv, line 6, column 'timestamp': there is no timestamp",
        "shop.csv, line 7, column 'rating': rating 'great' is not a number",
        "--skip-bad-rows",
    ]:
        assert part in str(caught.value)


def test_bad_rows_are_skipped_and_counted(tmp_path, items):
    dataset, skipped = load(tmp_path, items, BAD, skip_bad_rows=True)
    assert dataset.interactions.rows() == [(0, 1, 100, 4.0)]
    assert skipped.bad == 5 and skipped.counts == {tmp_path / "shop.csv": 5}
    assert skipped.read[tmp_path / "shop.csv"] == 6


def test_only_the_first_bad_rows_are_shown(tmp_path, items):
    with pytest.raises(DataError, match=r"12 bad rows.*and 7 more"):
        load(tmp_path, items, EDGES + "a,i9,x,\n" * 12)


def test_lines_are_counted_right_after_a_line_break_in_quotes(tmp_path, items):
    edges = 'user_id,item_id,timestamp,note\na,i1,1,"two\nlines"\na,i2,x,\n'
    with pytest.raises(DataError, match=r"line 4, column 'timestamp'"):
        load(tmp_path, items, edges)


def test_rows_with_too_many_fields(tmp_path, items):
    edges = EDGES + "a,i3,1,2,3,4\n"
    with pytest.raises(DataError, match=r"line 5, column 'rating': 6 fields where the header has 4"):
        load(tmp_path, items, edges)
    assert load(tmp_path, items, edges, skip_bad_rows=True)[0].interactions.height == 3


@pytest.mark.parametrize(
    "line, reason",
    [
        ("i5,,Drama,2000\n", "line 22, column 'title': there is no title"),
        ("i5,Again,Drama,2000\n", "line 22, column 'item_id': item id 'i5' stood in an earlier line"),
        ("i50,New,Drama,MMXX\n", "line 22, column 'year': year 'MMXX' is not a number"),
    ],
)
def test_bad_items(tmp_path, line, reason):
    with pytest.raises(DataError) as caught:
        load(tmp_path, write(tmp_path, "items.csv", ITEMS + line), EDGES)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "name, edges, parts",
    [
        ("s.csv", "x\n1\n", ["only one column, 'x'", "names its columns"]),
        (
            "s.csv",
            EDGES.replace("item_id", "itemid"),
            ["no column 'item_id'", "'itemid'", "Did you mean", "--column interactions.item_id=itemid"],
        ),
        (
            "s.csv",
            EDGES.replace("timestamp", "t"),
            ["'timestamp'", "'position'", "--column interactions.timestamp="],
        ),
        ("s.csv", "", ["is empty"]),
        ("s.csv", "user_id,item_id,timestamp\n", ["has no interactions under the header"]),
        ("s.xlsx", "PK\x03\x04", ["a spreadsheet", "save it as CSV"]),
        ("s.parquet", "PAR1" + EDGES, ["cannot be read as Parquet"]),
        ("s.csv.gz", "", ["is empty"]),
        ("s.jsonl", "", ["is empty"]),
        ("s.jsonl", '{"user_id": 1\n', ["line 1", "not JSON"]),
        ("s.jsonl", "[1]\n", ["line 1", "not a JSON object"]),
    ],
)
def test_files_that_cannot_be_meant(tmp_path, items, name, edges, parts):
    with pytest.raises(DataError) as caught:
        load(tmp_path, items, edges, name=name)
    for part in [name, *parts]:
        assert part in str(caught.value)


def test_missing_file(tmp_path, items):
    with pytest.raises(DataError, match=r"no file .*nowhere\.csv"):
        load_tables(tmp_path / "nowhere.csv", items)


def test_a_delimiter_can_be_named(tmp_path):
    items = write(tmp_path, "items.csv", "item_id;title\n" + "".join(f"i{n};T{n}\n" for n in range(20)))
    assert load(tmp_path, items, EDGES.replace(",", ";"), delimiter=";")[0].n_users == 2


def test_fewer_than_twenty_items(tmp_path):
    items = write(tmp_path, "items.csv", "".join(ITEMS.splitlines(keepends=True)[:20]))
    with pytest.raises(DataError, match="19 usable items"):
        load(tmp_path, items, EDGES)


def test_an_optional_column_that_was_mapped_must_be_there(tmp_path, items):
    with pytest.raises(DataError, match=r"no column 'stars' \(rating\)"):
        load(tmp_path, items, EDGES, columns=ColumnMap(rating="stars"))


def test_dates_are_seconds(tmp_path, items):
    frame = pl.DataFrame({"user_id": ["a"], "item_id": ["i1"], "timestamp": [datetime(2020, 1, 1, tzinfo=UTC)]})
    frame.write_parquet(tmp_path / "d.parquet")
    dataset, _ = load_tables(tmp_path / "d.parquet", items)
    assert dataset.interactions["time"].to_list() == [1577836800]
