"""Categories, titles and years as files write them."""

import json

import polars as pl
import pytest
from tests.data.files import HEADER, load, write

from starrec.data import load_tables
from starrec.errors import DataError


def csv_items(*cells, column="categories"):
    """20 items; the first have these cells."""
    rows = [f'i{n},Title {n},"{cells[n] if n < len(cells) else ""}"\n' for n in range(20)]
    return f"item_id,title,{column}\n" + "".join(rows)


def json_items(**cells):
    """20 items; the first have these values of a field."""
    ((name, values),) = cells.items()
    rows = [{"item_id": f"i{n}", "title": f"Title {n}"} for n in range(20)]
    for row, value in zip(rows, values, strict=False):
        row[name] = value
    return "\n".join(map(json.dumps, rows))


@pytest.mark.parametrize(
    "cell, expected",
    [
        ("Drama|Crime", ["Drama", "Crime"]),
        (" Drama | Crime |", ["Drama", "Crime"]),
        ("['Drama', 'Film Noir']", ["Drama", "Film Noir"]),
        ('[""Drama"", ""Arts, Crafts""]', ["Drama", "Arts, Crafts"]),
        ("['Drama' 'Crime']", ["Drama", "Crime"]),
        ("[['Drama'], ['Crime', None]]", ["Drama", "Crime"]),
        ("['Children''s']".replace("''", "\\'"), ["Children's"]),
        ("[]", []),
        ("(no genres listed)", []),
        ("nan", []),
        ("[Untitled", ["[Untitled"]),
        ("Drama, Crime", ["Drama, Crime"]),
        ("Drama|Drama", ["Drama"]),
    ],
)
def test_cells_of_text(tmp_path, cell, expected):
    dataset, _ = load(tmp_path, items=csv_items(cell, "Other|Plain"))
    assert dataset.items["categories"][0].to_list() == expected
    assert dataset.items["categories"][1].to_list() == ["Other", "Plain"]


@pytest.mark.parametrize(
    "value, expected",
    [
        (["Drama", None, "Crime"], ["Drama", "Crime"]),
        ([["Drama"], [["Crime"]]], ["Drama", "Crime"]),
        ("Drama|Crime", ["Drama", "Crime"]),
        (["Arts|Crafts"], ["Arts|Crafts"]),
        ([7, 7.0, "x"], ["7", "7.0", "x"]),
        (None, []),
    ],
)
def test_values_of_json(tmp_path, value, expected):
    dataset, _ = load(tmp_path, items=json_items(categories=[value]), goods="items.jsonl")
    assert dataset.items["categories"][0].to_list() == expected


@pytest.mark.parametrize("value", [{"main": "Drama"}, [{"id": 1, "name": "Drama"}], [["Drama", {"a": 1}]]])
def test_objects_are_refused_with_file_line_and_column(tmp_path, value):
    with pytest.raises(DataError, match=r"items\.jsonl, line 2, column 'categories': categories .* an object"):
        load(tmp_path, items=json_items(categories=["x", value]), goods="items.jsonl")
    cell = json.dumps(value).replace('"', '""')
    with pytest.raises(DataError, match=r"items\.csv, line 3, column 'categories': categories .* an object"):
        load(tmp_path, items=csv_items("x", cell))


def test_types_of_parquet(tmp_path):
    log = write(tmp_path, "log.csv", HEADER + "a,i1,5\n")
    frame = pl.DataFrame({"item_id": [f"i{n}" for n in range(20)], "title": ["T"] * 20})
    for values, expected in (
        ([["Drama ", None, ""]] * 20, ["Drama"]),
        ([[["Drama"], ["Crime"]]] * 20, ["Drama", "Crime"]),
        ([[1, 2]] * 20, ["1", "2"]),
        (["Drama|Crime"] * 20, ["Drama", "Crime"]),
    ):
        frame.with_columns(categories=pl.Series(values)).write_parquet(tmp_path / "items.parquet")
        dataset, _ = load_tables(log, tmp_path / "items.parquet")
        assert dataset.items["categories"][0].to_list() == expected
    frame.with_columns(categories=pl.Series([{"a": 1}] * 20)).write_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match=r"line 1, column 'categories': .* an object"):
        load_tables(log, tmp_path / "items.parquet")


def test_commas_are_said_and_can_separate(tmp_path):
    items = csv_items(*["Drama, Crime"] * 12)
    dataset, report = load(tmp_path, items=items)
    assert dataset.items["categories"][0].to_list() == ["Drama, Crime"]
    assert report.notes == [
        'items.csv: 12 of 12 cells of \'categories\' hold ", " and none holds "|", so each cell is one '
        "category; "
        'where commas separate them, set `--category-separator ", "`'
    ]
    dataset, report = load(tmp_path, items=items, category_separator=", ")
    assert dataset.items["categories"][0].to_list() == ["Drama", "Crime"] and not report.notes
    assert load(tmp_path, items=csv_items("Drama, old", *["a|b"] * 12))[1].notes == []


@pytest.mark.parametrize(
    "value, reason",
    [
        (float("nan"), "there is no title"),
        (None, "there is no title"),
        (" ", "there is no title"),
        ([], "there is no title"),
        (["A", "B"], "is a list, not one value"),
        ({"en": "A"}, "is an object, not one value"),
    ],
)
def test_titles_that_are_none(tmp_path, value, reason):
    with pytest.raises(DataError, match=rf"items\.jsonl, line 1, column 'title': .*{reason}"):
        load(tmp_path, items=json_items(title=[value]), goods="items.jsonl")


def test_a_title_in_a_list_is_one(tmp_path):
    dataset, _ = load(tmp_path, items=json_items(title=[["Fargo"], 300]), goods="items.jsonl")
    assert dataset.titles[:2] == ["Fargo", "300"]


def test_a_title_that_is_nan_in_text_is_missing(tmp_path):
    items = csv_items().replace("Title 3", "nan")
    with pytest.raises(DataError, match="line 5, column 'title': there is no title"):
        load(tmp_path, items=items)


def test_odd_years_are_unknown_and_said(tmp_path):
    items = csv_items("1995", "0", "20010", "-500", "1996.0", "nan", "2024", column="year")
    dataset, report = load(tmp_path, items=items)
    assert dataset.items["year"].to_list()[:7] == [1995, None, None, None, 1996, None, 2024]
    assert report.notes == [
        "items.csv: 3 years outside 1000 to 2100 (0, 20010, -500; line 3, 4, 5) read as unknown"
    ]
