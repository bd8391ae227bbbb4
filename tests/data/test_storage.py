"""A dataset on disk is the dataset, or an error that says what to run."""

import json

import polars as pl
import pytest

from starrec.data import build, load_saved_dataset, save_dataset
from starrec.errors import RunError


@pytest.fixture
def folder(small, tmp_path):
    save_dataset(small, tmp_path / "data")
    return tmp_path / "data"


def test_round_trip(dataset, small, tables, tmp_path):
    interactions, items = tables
    attributes = pl.DataFrame({"user_id": ["u0", "u1"], "age": [30, None], "city": ["⟦Köln⟧", "a\nb"]})
    doubled = build("doubled", "clock", pl.concat([interactions, interactions.head(7)]), items, attributes)
    assert doubled.repeats == 7
    for number, original in enumerate((dataset, small, doubled)):
        written = save_dataset(original, tmp_path / str(number))
        assert sorted(path.name for path in (tmp_path / str(number)).iterdir()) == sorted(
            path.name for path in written
        )
        assert written[-1].name == "dataset.json"
        again = load_saved_dataset(tmp_path / str(number))
        assert again.sha256 == original.sha256
        assert (again.name, again.order, again.repeats) == (original.name, original.order, original.repeats)
        for name in ("interactions", "users", "items"):
            assert getattr(again, name).equals(getattr(original, name))
        assert again.mentions == original.mentions


def tamper(folder, name, change):
    path = folder / f"{name}.parquet"
    change(pl.read_parquet(path)).write_parquet(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("interactions", lambda frame: frame.head(frame.height - 1)),
        ("interactions", lambda frame: frame.with_columns(time=pl.col("time") + 1)),
        ("interactions", lambda frame: frame.reverse()),
        ("items", lambda frame: frame.with_columns(title=pl.col("title").str.replace("Title 1", "Titel 1"))),
        ("items", lambda frame: frame.with_columns(year=pl.lit(1999, dtype=pl.Int32))),
        ("users", lambda frame: frame.with_columns(user_id=pl.col("user_id").reverse())),
    ],
)
def test_changed_content_is_detected(folder, name, change):
    tamper(folder, name, change)
    with pytest.raises(RunError, match=r"not what was written.*starrec data"):
        load_saved_dataset(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', "{}", '{"name": "x", "order": "clock"}', "\x00"]
)
def test_an_unreadable_description_is_an_error_of_the_run(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(RunError, match=r"cannot be read.*starrec data") as raised:
        load_saved_dataset(folder)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("order", ["clock", "sideways"])
def test_another_order_is_detected(folder, order):
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**about, "order": order}))
    with pytest.raises(RunError, match="starrec data"):
        load_saved_dataset(folder)


@pytest.mark.parametrize("name", ["interactions.parquet", "users.parquet", "items.parquet", "dataset.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "text"])
def test_a_damaged_file_is_an_error_of_the_run(folder, name, damage):
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"item_id,title\n1,2\n")
    with pytest.raises(RunError, match="starrec data"):
        load_saved_dataset(folder)


def test_a_column_that_is_gone_is_an_error_of_the_run(folder):
    tamper(folder, "interactions", lambda frame: frame.drop("rating"))
    with pytest.raises(RunError, match="starrec data"):
        load_saved_dataset(folder)


def test_no_dataset_is_an_error_of_the_run(tmp_path):
    with pytest.raises(RunError, match="starrec data"):
        load_saved_dataset(tmp_path / "nowhere")
