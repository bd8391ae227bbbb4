"""A lone quote is refused with its line and costs no other row; quotes that are whole are read as written."""

import pytest
from tests.data.files import HEADER, ITEMS, load, times_of

from starrec.data.files import ReadLimits
from starrec.errors import DataError


def log(*texts):
    """A row for each text, in a last column."""
    rows = "".join(f"u,i{n},{1000 + n},{text}\n" for n, text in enumerate(texts))
    return "user_id,item_id,timestamp,note\n" + rows


def test_a_lone_quote_is_refused_with_its_line_and_the_setting(tmp_path):
    with pytest.raises(DataError) as caught:
        load(tmp_path, log("fine", '"great', "fine", '"good"', "fine"))
    assert "log.csv, line 3, column 'note': the quoted field that begins here" in str(caught.value)
    assert '--quote ""' in str(caught.value) and "1 bad row:" in str(caught.value)


@pytest.mark.parametrize(
    "texts, lost",
    [
        (['"great', *["fine"] * 12], {0}),  # closes nowhere
        (["fine", '"great', *["fine"] * 5, '"good"', "fine"], {1}),  # closes at another's opening quote
        (["fine", '"great', "fine", '"great', "fine"], {1, 3}),
        (["fine", '"great', "fine", 'great"', "fine"], {1}),  # two lone quotes that look like one field
        (["fine", '"a"b', "fine"], {1}),
        (["fine", '"ends here', 'begins"'], {1}),
        (['"great'], {0}),
    ],
)
def test_a_lone_quote_costs_its_own_row_and_no_other(tmp_path, texts, lost):
    if lost == set(range(len(texts))):
        with pytest.raises(DataError, match="no usable interactions"):
            load(tmp_path, log(*texts), skip_bad_rows=True)
        return
    dataset, report = load(tmp_path, log(*texts), skip_bad_rows=True)
    kept = {int(item.removeprefix("i")) for _, item in times_of(dataset)}
    assert kept == set(range(len(texts))) - lost
    assert [row.line for row in report.rows] == sorted(at + 2 for at in lost)
    assert report.read[tmp_path / "log.csv"] == len(texts)


def test_two_lone_quotes_do_not_merge_items(tmp_path):
    items = ITEMS.replace("Title 3", '"Good').replace("Title 9", 'Bad"')
    with pytest.raises(DataError, match=r"items\.csv, line 5, column 'title'.*there are rows among"):
        load(tmp_path, items=items)
    dataset, report = load(tmp_path, items=items + "i20,One more\n", skip_bad_rows=True)
    assert dataset.n_items == 20 and report.bad == 1
    assert dataset.titles[dataset.item_ids.index("i9")] == 'Bad"'


def test_whole_quotes_are_read_as_written(tmp_path):
    items = ITEMS.replace("Title 3", '"He said ""no"", twice"').replace("Title 4", '"two\nlines"')
    items = items.replace("Title 5", '6" nail').replace("Title 6", '""')
    with pytest.raises(DataError, match=r"line 9, column 'title': there is no title"):
        load(tmp_path, items=items)
    dataset, _ = load(tmp_path, items=items.replace('""\n', '"x"\n'))
    titles = dict(zip(dataset.item_ids, dataset.items["title"], strict=True))
    assert titles["i3"] == 'He said "no", twice' and titles["i4"] == "two\nlines" and titles["i5"] == '6" nail'


def test_text_of_several_lines_may_hold_separators(tmp_path):
    # Its lines have two commas as rows do, but no time stands between them.
    edges = HEADER.replace("\n", ",note\n") + 'a,i1,5,"x\nbig, wide, good, cheap\ny"\nb,i2,6,z\n'
    dataset, _ = load(tmp_path, edges)
    assert times_of(dataset) == {("a", "i1"): 5, ("b", "i2"): 6}


def test_tabs_have_no_quotes_unless_told(tmp_path):
    edges = log("fine", '"great', "fine").replace(",", "\t")
    dataset, _ = load(tmp_path, edges, log="log.tsv")
    assert len(times_of(dataset)) == 3
    with pytest.raises(DataError, match=r"log\.tsv, line 3, column 'note'"):
        load(tmp_path, edges, log="log.tsv", quote='"')


def test_quotes_can_be_switched_off_or_be_others(tmp_path):
    dataset, _ = load(tmp_path, log("fine", '"great', "fine"), quote="")
    assert len(times_of(dataset)) == 3
    items = ITEMS.replace("Title 3", "'Salt, and ''pepper'''").replace("Title 4", '"odd')
    dataset, _ = load(tmp_path, items=items, quote="'")
    assert dataset.items["title"][3] == "Salt, and 'pepper'" and dataset.items["title"][4] == '"odd'


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 17])
def test_where_a_piece_of_the_file_ends_does_not_matter(tmp_path, piece):
    items = ITEMS.replace("Title 3", '"é, ""a"""').replace("Title 4", '"two\r\nlines"').replace("\n", "\r\n")
    limits = ReadLimits(piece_bytes=piece)
    dataset, _ = load(tmp_path, log('"x, y"', "z", '"a\nb"'), items, limits=limits)
    assert dataset.items["title"][3] == 'é, "a"' and len(times_of(dataset)) == 3


def test_a_field_that_goes_on_for_ever_is_refused(tmp_path):
    limits = ReadLimits(piece_bytes=64, field_characters=50)
    texts = ["fine", '"great', *["fine"] * 15]
    dataset, report = load(tmp_path, log(*texts), skip_bad_rows=True, limits=limits)
    assert [row.line for row in report.rows] == [3] and dataset.interactions.height == 16


def test_empty_lines_are_no_rows_and_empty_rows_are(tmp_path):
    dataset, report = load(tmp_path, HEADER + "\na,i1,5\n\n\r\n,,\n   \nb,i2,6\n\n", skip_bad_rows=True)
    assert times_of(dataset) == {("a", "i1"): 5, ("b", "i2"): 6}
    assert [(row.line, row.reason) for row in report.rows] == [
        (7, "1 field where the header has 3"),
        (6, "there is no user id"),
    ]
    assert report.read[tmp_path / "log.csv"] == 4
