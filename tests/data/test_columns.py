"""Names, delimiters, encodings and formats that people's files have, and what is said where one is missing."""

import json

import pytest
from tests.data.files import HEADER, ITEMS, load, times_of, write

from starrec.data import ColumnMap, FieldNames, TableOptions, load_tables
from starrec.errors import DataError

EDGES = HEADER + "a,i1,100\na,i2,200\n"


def columns(**names):
    return ColumnMap().updated({name.replace("__", "."): column for name, column in names.items()})


def test_columns_can_have_other_names_in_each_file(tmp_path):
    edges = EDGES.replace("user_id,item_id", "userID,artistID")
    items = ITEMS.replace("item_id,title", "id,name")
    mapped = columns(user_id="userID", interactions__item_id="artistID", items__item_id="id", title="name")
    dataset, _ = load(tmp_path, edges, items, columns=mapped)
    assert times_of(dataset) == {("a", "i1"): 100, ("a", "i2"): 200}
    assert dataset.titles[0] == "Title 0"


def test_what_is_missing_is_said_at_once_with_options_that_work(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path, items=ITEMS.replace("item_id,title", "id,name"))
    assert "Did you mean `--column items.item_id=id --column items.title=name`?" in str(caught.value)
    with pytest.raises(DataError) as caught:
        load(tmp_path, EDGES.replace("user_id,item_id,timestamp", "userID,artistID,when"))
    expected = (
        "interactions.user_id=userID --column interactions.item_id=artistID --column "
        "interactions.timestamp=when"
    )
    assert f"`--column {expected}`?" in str(caught.value)


@pytest.mark.parametrize(
    "header, never",
    [
        ("title,items", "item_id=title"),  # title is the title's
        ("id,item_title", "title=id"),
        ("title,titel", "item_id=titel"),
    ],
)
def test_no_column_is_suggested_that_is_anothers(tmp_path, header, never):
    with pytest.raises(DataError) as caught:
        load(tmp_path, items=ITEMS.replace("item_id,title", header))
    assert never not in str(caught.value)


def test_names_in_headers_are_stripped_and_quoted_in_hints(tmp_path):
    dataset, _ = load(tmp_path, EDGES.replace(HEADER, " user_id , item_id,timestamp \n"))
    assert dataset.user_ids == ["a"]
    with pytest.raises(DataError, match=r"--column interactions\.user_id='User ID'"):
        load(tmp_path, EDGES.replace("user_id", "User ID"))


def test_columns_with_usual_names_that_are_not_read_are_said(tmp_path):
    _, report = load(tmp_path, items=ITEMS.replace("\n", ",x\n").replace("title,x", "title,genres"))
    assert report.notes == [
        "items.csv: column 'genres' is not read; if it holds the categories, set "
        "`--column items.categories=genres`"
    ]


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(DataError, match="2 columns called 'item_id'"):
        load(tmp_path, "user_id,item_id,item_id,timestamp\na,i1,i2,5\n")


@pytest.mark.parametrize(
    "delimiter, log",
    [("::", "ratings.dat"), (";", "log.csv"), ("|", "log.txt"), ("\t", "log"), ("\t", "log.csv")],
)
def test_delimiters_are_seen(tmp_path, delimiter, log):
    dataset, _ = load(tmp_path, EDGES.replace(",", delimiter), log=log)
    assert times_of(dataset) == {("a", "i1"): 100, ("a", "i2"): 200}


def test_a_delimiter_that_is_not_the_suffix_s_is_said(tmp_path):
    _, report = load(tmp_path, EDGES.replace(",", ";"))
    assert report.notes == ["log.csv: columns are separated by semicolons"]


def test_movielens_1m_as_it_is(tmp_path):
    """Double colons, no header, Latin-1, bars and commas in the fields."""
    titles = ["Toy Story (1995)", "American President, The (1995)", "Misérables, Les (1995)"]
    movies = "".join(f"{n}::{titles[n % 3]}::Animation|Children's\n" for n in range(20))
    dataset, _ = load(
        tmp_path,
        "1::3::5::978300760\n1::2::1::978302109\n",
        movies.encode("latin-1"),
        log="ratings.dat",
        goods="movies.dat",
        encoding="latin-1",
        header=False,
        names=FieldNames(
            interactions=["user_id", "item_id", "rating", "timestamp"], items=["item_id", "title", "categories"]
        ),
    )
    assert times_of(dataset) == {("1", "3"): 978300760, ("1", "2"): 978302109}
    assert dataset.items.row(2) == ("2", "Misérables, Les (1995)", ["Animation", "Children's"], None)


def test_columns_without_names_are_numbers(tmp_path):
    mapped = columns(user_id="1", interactions__item_id="2", timestamp="3", items__item_id="1", title="2")
    edges, items = EDGES.removeprefix(HEADER), ITEMS.removeprefix("item_id,title\n")
    dataset, _ = load(tmp_path, edges, items, header=False, columns=mapped)
    assert times_of(dataset) == {("a", "i1"): 100, ("a", "i2"): 200} and dataset.n_items == 20
    with pytest.raises(DataError, match="has 3 columns, and 2 names were given"):
        load(tmp_path, edges, ITEMS, names=FieldNames(interactions=["user_id", "item_id"]))


def test_a_byte_in_another_encoding_is_refused_with_its_line(tmp_path):
    items = ITEMS.replace("Title 7", "Café 7").encode("latin-1")
    with pytest.raises(DataError) as caught:
        load(tmp_path, items=items)
    for part in (
        "items.csv, line 9, column 'title'",
        "byte 0xe9 is not UTF-8",
        "encoding",
        "--encoding latin-1",
    ):
        assert part in str(caught.value)
    dataset, _ = load(tmp_path, items=items, encoding="latin-1")
    assert dataset.titles[7] == "Café 7"
    dataset, report = load(tmp_path, items=items + b"i20,One more\n", skip_bad_rows=True)
    assert report.bad == 1 and dataset.n_items == 20


def test_utf_16_with_its_mark_is_read(tmp_path):
    dataset, _ = load(tmp_path, EDGES.encode("utf-16"), ITEMS.replace("Title 7", "Café 7").encode("utf-16"))
    assert dataset.titles[7] == "Café 7" and dataset.user_ids == ["a"]


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="no such encoding"):
        TableOptions(encoding="latin-99")


@pytest.mark.parametrize("name", ["items.json", "items.jsonl", "items.txt", "items.json.gz", "items.csv"])
def test_json_lines_are_seen_under_any_name(tmp_path, name):
    lines = "\n".join(json.dumps({"item_id": f"i{n}", "title": f"Title {n}"}) for n in range(20))
    assert load(tmp_path, EDGES, lines, goods=name)[0].titles[3] == "Title 3"


def test_an_array_of_objects(tmp_path):
    rows = [{"item_id": f"i{n}", "title": f"Title {n}"} for n in range(20)]
    dataset, report = load(tmp_path, EDGES, json.dumps(rows, indent=1), goods="items.json")
    assert dataset.n_items == 20 and report.read[tmp_path / "items.json"] == 20
    with pytest.raises(DataError, match=r"items\.json, line 4: the array of objects cannot be read"):
        load(
            tmp_path,
            EDGES,
            json.dumps(rows, indent=1).replace('"title": "Title 0"', '"title": oops'),
            goods="items.json",
        )


def test_whole_floats_are_ids_digit_for_digit(tmp_path):
    # 9007199254740993 and 1234567890123457 do not survive a float with their neighbours.
    ids = ["7", "1234567890123457", "9007199254740993", *map(str, range(100, 117))]
    items = "\n".join(json.dumps({"item_id": int(one), "title": one}) for one in ids)
    log = [
        '{"user_id": 1, "item_id": 7.0, "timestamp": 5}',
        '{"user_id": 1.0, "item_id": 1234567890123457, "timestamp": 6}',
        '{"user_id": "1", "item_id": 9007199254740993.0, "timestamp": 7}',
        '{"user_id": 1, "item_id": 1.01e2, "timestamp": 8}',
    ]
    dataset, _ = load(tmp_path, "\n".join(log), items, log="log.jsonl", goods="items.jsonl")
    assert dataset.user_ids == ["1"] and dataset.item_ids == ids
    assert times_of(dataset) == {
        ("1", "7"): 5, ("1", "1234567890123457"): 6, ("1", "9007199254740993"): 7, ("1", "101"): 8
    }  # fmt: skip
    edges = HEADER + "1.0,7.0,5\n1,1234567890123457.0,6\n"
    assert len(times_of(load(tmp_path, edges, items, goods="items.jsonl")[0])) == 2


def test_ids_that_only_look_like_numbers_stay_as_they_are(tmp_path):
    items = "item_id,title\n" + "".join(f"{one},T\n" for one in ("007", "1e5", "1.50", "0x1", *range(10, 26)))
    dataset, _ = load(tmp_path, HEADER + "01,007,5\n", items)
    assert dataset.item_ids[:4] == ["007", "1e5", "1.50", "0x1"] and dataset.user_ids == ["01"]


def test_archives_and_spreadsheets_are_named(tmp_path):
    for start, word in ((b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"ARROW1", "Arrow")):
        with pytest.raises(DataError, match=word):
            load(tmp_path, start + b"x" * 20)


def test_a_gzip_file_that_was_cut_is_refused(tmp_path):
    path = write(tmp_path, "log.csv.gz", EDGES * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"log\.csv\.gz cannot be read"):
        load_tables(path, write(tmp_path, "items.csv", ITEMS))
