"""The Dataset does not depend on the order of its input, and orders each user's items by time and hash."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import Sequences, build
from starrec.errors import DataError
from starrec.hashing import combine, text_keys


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


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["10", "2", "b"]),
            st.sampled_from("wxyz"),
            st.integers(-2, 2).map(lambda time: time * 50_000),
            st.none() | st.integers(1, 3),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 3),
)
def test_rows_and_sequences_are_those_of_a_plain_loop(rows, tie_seed):
    # Of a pair's rows the earliest stays; of those the lowest rated, an unrated one only where none is rated.
    earliest = {}
    for row in rows:
        rivals = [earliest.get(row[:2], row), row]
        earliest[row[:2]] = min(rivals, key=lambda row: (row[2], row[3] is None, row[3] or 0))
    users = sorted({user for user, *_ in rows}, key=lambda user: (len(user), user))

    def tie(user, item):
        return combine(text_keys([user], tie_seed, "ties/user"), text_keys([item], tie_seed, "ties/item"))[0]

    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "rating"], orient="row")
    dataset = build("d", "clock", interactions, catalogue(*"zyxw"))
    expected = [(users.index(user), "zyxw".index(item), *values) for (user, item, *values) in earliest.values()]
    assert dataset.interactions.rows() == sorted(expected, key=lambda row: (row[0], row[2], row[1]))
    assert dataset.repeats == len(rows) - len(earliest)

    sequences = dataset.sequences(tie_seed)
    expected.sort(key=lambda row: (row[0], row[2], tie(users[row[0]], "zyxw"[row[1]])))
    assert sequences.users.tolist() == [user for user, *_ in expected]
    assert sequences.items.tolist() == [item for _, item, *_ in expected]
    assert sequences.days.tolist() == [time // 86_400 for *_, time, _ in expected]
    ratings = [np.nan if rating is None else rating for *_, rating in expected]
    assert (sequences.ratings is None) == all(np.isnan(ratings))
    if sequences.ratings is not None:
        np.testing.assert_array_equal(sequences.ratings, np.array(ratings, dtype=np.float32))


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


def test_days_are_whole_days_since_1970_and_go_back_beyond():
    # The first second of 1970, the last one before it, a day before that, and the last second of the first day.
    times = (0, -1, -86_401, 86_399)
    rows = [("u", item, time) for item, time in zip("abcd", times, strict=True)]
    sequences = build("d", "clock", edges(*rows), catalogue("a", "b", "c", "d")).sequences(0)
    assert sequences.items.tolist()[:2] == [2, 1] and sequences.days.tolist() == [-2, -1, 0, 0]
    assert sequences.days.dtype == np.int32
    assert build("d", "position", edges(*rows), catalogue("a", "b", "c", "d")).sequences(0).days is None


def test_days_and_ratings_stand_beside_their_items(dataset):
    known = {(u, i): (t // 86_400, r) for u, i, t, r in dataset.interactions.iter_rows()}
    sequences = dataset.sequences(0)
    assert min(sequences.days) < 0 < max(sequences.days)
    rows = zip(
        sequences.users.tolist(),
        sequences.items.tolist(),
        sequences.days.tolist(),
        sequences.ratings.tolist(),
        strict=True,
    )
    for user, item, day, rating in rows:
        assert day == known[user, item][0]
        assert rating == known[user, item][1] or (np.isnan(rating) and known[user, item][1] is None)
    assert sequences.ratings.dtype == np.float32 and np.isnan(sequences.ratings).any()


def test_where_nothing_is_rated_there_are_no_ratings(tables):
    interactions, items = tables
    assert build("d", "clock", interactions.drop("rating"), items).sequences(0).ratings is None


class TestSequences:
    @pytest.fixture
    def three(self):
        """Users of three, no and two items."""
        return Sequences(
            np.array([0, 3, 3, 5]),
            np.array([7, 8, 9, 5, 6], dtype=np.int32),
            np.array([1, 2, 3, 4, 5], dtype=np.int32),
            np.array([1.0, 2.0, np.nan, 4.0, 5.0], dtype=np.float32),
        )

    @pytest.mark.parametrize(
        ("user", "position", "items", "days", "ratings"),
        [
            (0, 2, [7, 8], [1, 2], [1, 2]),
            (0, 0, [], [], []),
            (0, 3, [7, 8, 9], [1, 2, 3], [1, 2, np.nan]),
            (0, -1, [7, 8], [1, 2], [1, 2]),
            (2, -1, [5], [4], [4]),
            (2, 1, [5], [4], [4]),
            # More than there is from the end leaves nothing, and nothing of the user before.
            (2, -2, [], [], []),
            (2, -5, [], [], []),
            (0, -5, [], [], []),
            (1, 0, [], [], []),
            (1, -1, [], [], []),
        ],
    )
    def test_before_is_what_came_first(self, three, user, position, items, days, ratings):
        before = three.before(user, position)
        assert before.items.tolist() == items and before.days.tolist() == days
        np.testing.assert_array_equal(before.ratings, ratings)

    def test_kept_keeps_every_user_and_what_belongs_together(self, three):
        kept = three.kept(np.array([True, False, True, False, False]))
        assert [kept.of(user).tolist() for user in range(3)] == [[7, 9], [], []]
        assert kept.days.tolist() == [1, 3]
        np.testing.assert_array_equal(kept.ratings, np.array([1, np.nan], dtype=np.float32))
        assert three.lengths.tolist() == [3, 0, 2]
        assert three.kept(np.zeros(5, dtype=bool)).lengths.tolist() == [0, 0, 0]

    def test_without_days_and_ratings_there_stay_none(self, three):
        bare = Sequences(three.ptr, three.items)
        kept = bare.kept(np.ones(5, dtype=bool))
        assert (kept.days, kept.ratings) == (None, None)
        assert (bare.before(0, 2).days, bare.before(0, 2).ratings) == (None, None)


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
