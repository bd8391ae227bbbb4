"""The Dataset does not depend on the order of its input, and orders each user's items by time and hash."""

import numpy as np
import polars as pl
import pytest

from starrec.data import build
from starrec.errors import DataError


def catalogue(*ids, **columns):
    return pl.DataFrame({"item_id": list(ids), "title": [f"T{i}" for i in ids], **columns})


def edges(*rows):
    return pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")


def test_vocabulary_and_rows():
    dataset = build("d", "clock", edges(("10", "b", 5), ("2", "a", 7), ("2", "b", 6)), catalogue("b", "a"))
    # Users in natural order, items in the order of the items.
    assert dataset.user_ids == ["2", "10"] and dataset.item_ids == ["b", "a"]
    assert dataset.interactions.rows() == [(0, 0, 6, None), (0, 1, 7, None), (1, 0, 5, None)]
    assert dataset.interactions.schema == {
        "user": pl.Int32, "item": pl.Int32, "time": pl.Int64, "rating": pl.Float32
    }  # fmt: skip
    assert dataset.items.schema == {
        "item_id": pl.String, "title": pl.String, "categories": pl.List(pl.String), "year": pl.Int32
    }  # fmt: skip
    assert (dataset.n_users, dataset.n_items, dataset.repeats) == (2, 2, 0)


def test_the_earliest_of_repeated_pairs_stays():
    dataset = build("d", "clock", edges(("u", "a", 9), ("u", "b", 5), ("u", "a", 3)), catalogue("a", "b"))
    assert dataset.repeats == 1
    assert dataset.sequences(0).of(0).tolist() == [0, 1]


def test_input_order_does_not_matter(tables, dataset):
    interactions, items = tables
    shuffled = build("other name", "clock", interactions.sample(fraction=1, shuffle=True, seed=1), items)
    assert shuffled.sha256 == dataset.sha256
    assert np.array_equal(shuffled.sequences(3).items, dataset.sequences(3).items)


def test_content_changes_the_hash(tables, dataset):
    interactions, items = tables
    changed = interactions.with_columns(rating=pl.lit(1.0))
    assert build("small", "clock", changed, items).sha256 != dataset.sha256
    assert build("small", "position", interactions, items).sha256 != dataset.sha256
    assert build("small", "clock", interactions, items.with_columns(year=2000)).sha256 != dataset.sha256


def test_sequences_follow_time(dataset):
    time = {(u, i): t for u, i, t, _ in dataset.interactions.iter_rows()}
    sequences = dataset.sequences(0)
    for user in range(dataset.n_users):
        times = [time[user, item] for item in sequences.of(user).tolist()]
        assert times == sorted(times)
    assert np.array_equal(sequences.users, np.sort(dataset.interactions["user"].to_numpy()))


def test_ties_are_broken_by_seed_and_ids_not_by_index(tables, dataset):
    interactions, items = tables
    assert not np.array_equal(dataset.sequences(0).items, dataset.sequences(1).items)
    # Reversing the catalogue renumbers all items; the order of a user's item ids stays.
    turned = build("small", "clock", interactions, items.reverse())
    for user in range(dataset.n_users):
        here = [dataset.item_ids[item] for item in dataset.sequences(0).of(user)]
        assert here == [turned.item_ids[item] for item in turned.sequences(0).of(user)]


def test_ties_favour_no_index():
    # 2,000 users who took the same two items at the same time: either comes first half of the time,
    # 1,000 -+ 4 * sqrt(2000 / 4) = 89.
    rows = [(f"u{user}", item, 0) for user in range(2000) for item in ("a", "b")]
    first = build("d", "clock", edges(*rows), catalogue("a", "b")).sequences(0).items[::2]
    assert abs(int(first.sum()) - 1000) < 90


def test_titles_and_mentions():
    items = pl.DataFrame(
        {"item_id": ["1", "2", "3"], "title": ["Fargo", "Heat (1995)", "A|B"], "year": [1996, 1995, None]}
    )
    dataset = build("d", "clock", edges(("u", "1", 0)), items)
    assert dataset.titles == ["Fargo (1996)", "Heat (1995)", "A|B"]
    assert dataset.mentions == ["⟦1|Fargo (1996)⟧", "⟦2|Heat (1995)⟧", "⟦3|A&#124;B⟧"]


def test_what_needs_a_clock_refuses_positions(dataset):
    dataset.require_clock("trend")
    positions = build("d", "position", edges(("u", "a", 0)), catalogue("a"))
    with pytest.raises(DataError, match="trend needs to know when"):
        positions.require_clock("trend")


def test_users_keep_their_attributes():
    users = pl.DataFrame({"user_id": ["x", "b", "a"], "city": ["X", "B", "A"]})
    dataset = build("d", "clock", edges(("a", "i", 0), ("b", "i", 0), ("c", "i", 0)), catalogue("i"), users)
    assert dataset.users.rows() == [("a", "A"), ("b", "B"), ("c", None)]


@pytest.mark.parametrize(
    "interactions, items, message",
    [
        (edges(("u", "z", 0)), catalogue("a"), "'z'"),
        (edges(("u", "a", None)), catalogue("a"), "lack a user, item or time"),
        (edges(("u", "a", 0)).clear(), catalogue("a"), "no interactions"),
        (edges(("u", "a", 0)), catalogue("a", "a"), "more than once"),
        (edges(("u", "a", 0)), catalogue("a").with_columns(title=pl.lit(" ")), "'a' has no title"),
        (edges(("u", "a", 0)).drop("time"), catalogue("a"), "no column 'time'"),
    ],
)
def test_what_cannot_be_is_refused(interactions, items, message):
    with pytest.raises(DataError, match=message):
        build("d", "clock", interactions, items)
