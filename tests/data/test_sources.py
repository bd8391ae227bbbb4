"""MovieLens from different places: one content, checked, with a way out when nothing can be had."""

import hashlib
import zipfile

import pytest

from starrec.data.sources import (
    LICENCE_NOTE,
    MOVIELENS_100K,
    Release,
    Source,
    canonical_interactions,
    load_movielens_100k,
    read_movielens,
)
from starrec.errors import DataError

# Three films in the layout of each publisher: an ordinary one, one released on video, and the one without a
# title.
GROUPLENS = {
    "u.data": "196\t1\t3\t881250949\n2\t3\t5\t891717742\n2\t1\t4\t891717742\n",
    "u.item": "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|Misérables III, Les: Again (1994) (V)|01-Jan-1995||http://x|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0\n"
    "3|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n",
}
RECBOLE = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "2\t1\t4\t891717742\n196\t1\t3\t881250949\n2\t3\t5\t891717742\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tToy Story\t1995\tAnimation Children's Comedy\n"
    "2\tMisérables III, Les: Again (1994)\tV\tDrama\n"
    "3\tunkonwn\tunkonwn\tunknown\n",
}
CANONICAL = b"2\t1\t4\t891717742\n2\t3\t5\t891717742\n196\t1\t3\t881250949\n"
SHA256 = hashlib.sha256(CANONICAL).hexdigest()


def write(folder, files, encoding):
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding=encoding)
    return folder


@pytest.fixture
def grouplens(tmp_path):
    return write(tmp_path / "grouplens" / "ml-100k", GROUPLENS, "latin-1").parent


@pytest.fixture
def recbole(tmp_path):
    folder = write(tmp_path / "recbole", RECBOLE, "utf-8")
    with zipfile.ZipFile(tmp_path / "recbole.whl", "w") as archive:
        for name in RECBOLE:
            archive.write(folder / name, f"recbole/dataset_example/ml-100k/{name}")
    return tmp_path / "recbole.whl"


def release(*sources, sha256=SHA256, n_items=3):
    return Release("tiny", sources, sha256, n_items)


def test_both_layouts_give_the_same_dataset(tmp_path, grouplens, recbole):
    notes = []
    datasets = [
        load_movielens_100k(tmp_path / f"cache{i}", local=path, release=release(), notify=notes.append)
        for i, path in enumerate([grouplens, recbole])
    ]
    assert datasets[0].sha256 == datasets[1].sha256
    assert datasets[0].titles == ["Toy Story (1995)", "Misérables III, Les: Again (1994)", "unknown"]
    assert datasets[0].items["categories"].to_list() == [["Animation", "Children's", "Comedy"], ["Drama"], []]
    assert datasets[0].items["year"].to_list() == [1995, 1994, None]
    assert datasets[0].user_ids == ["2", "196"] and datasets[0].order == "clock"
    assert canonical_interactions(read_movielens(recbole).interactions) == CANONICAL


def test_the_cache_serves_and_the_licence_is_shown_once(tmp_path, recbole):
    notes, fetched = [], []

    def fetch(scratch):
        fetched.append(scratch)
        return recbole

    for _ in range(2):
        load_movielens_100k(tmp_path / "cache", release=release(Source("s", fetch)), notify=notes.append)
    assert len(fetched) == 1 and notes == [LICENCE_NOTE]
    # A damaged cache is fetched again.
    (tmp_path / "cache" / "tiny" / "items.parquet").write_bytes(b"PAR1")
    load_movielens_100k(tmp_path / "cache", release=release(Source("s", fetch)), notify=notes.append)
    assert len(fetched) == 2 and notes == [LICENCE_NOTE]


def test_when_all_fail_the_error_names_each_and_the_way_out(tmp_path, recbole):
    def offline(scratch):
        raise TimeoutError("timed out")

    cut = tmp_path / "cut.zip"
    cut.write_bytes(recbole.read_bytes()[:100])
    empty = tmp_path / "empty"
    empty.mkdir()
    sources = [
        Source("first", offline),
        Source("second", lambda _: cut),
        Source("third", lambda _: empty),
        Source("fourth", lambda _: recbole),
    ]
    with pytest.raises(DataError) as caught:
        load_movielens_100k(tmp_path / "cache", release=release(*sources, sha256="0" * 64))
    for part in [
        "first: timed out.",
        "second: ",
        "third: ",
        "holds neither",
        "fourth: its interactions have SHA",
    ]:
        assert part in str(caught.value)
    assert "--local PATH" in str(caught.value) and MOVIELENS_100K.sources[0].name == "GroupLens"
    assert not (tmp_path / "cache").exists()


def test_the_next_source_is_tried(tmp_path, recbole):
    def offline(scratch):
        raise TimeoutError("timed out")

    sources = [Source("first", offline), Source("second", lambda _: recbole)]
    loaded = load_movielens_100k(tmp_path / "cache", release=release(*sources), notify=lambda _: None)
    assert loaded.n_items == 3


def test_a_wrong_local_path_is_not_passed_over(tmp_path, recbole):
    sources = [Source("network", lambda _: recbole)]
    with pytest.raises(DataError, match=r"local copy .*nowhere: no such file or folder"):
        load_movielens_100k(tmp_path / "cache", local=tmp_path / "nowhere", release=release(*sources))


def test_a_list_of_items_cut_short_is_refused(tmp_path, recbole):
    with pytest.raises(DataError, match="3 items, not 4"):
        load_movielens_100k(tmp_path / "cache", local=recbole, release=release(n_items=4))
