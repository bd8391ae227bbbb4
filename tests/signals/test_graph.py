"""The graph counts as by hand, and without a user it is the graph that was never told of her."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import Graph

# Popularity: 0 four times (users 0, 1, 2, 4), 1, 2 and 3 three times, 4 twice, 5 once, 6 never.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0], []]


def ints(*values):
    return np.array(values, dtype=np.int32)


class TestByHand:
    def view(self, sequences, user=-1):
        return Graph.build(sequences(ROWS), 7).without(user)

    def test_popularity_counts_people(self, sequences):
        everything = np.arange(7, dtype=np.int32)
        assert self.view(sequences).popularity(everything).tolist() == [4, 3, 3, 3, 2, 1, 0]
        assert self.view(sequences).n_users == 5
        # User 4 took 5, 4, 3, 2 and 0; user 5 took nothing and is nobody.
        assert self.view(sequences, 4).popularity(everything).tolist() == [3, 3, 2, 2, 1, 0, 0]
        assert self.view(sequences, 4).n_users == 4
        assert self.view(sequences, 5).n_users == 5

    def test_cooccurrence_counts_those_who_took_both(self, sequences):
        # 0 with 2: users 0, 2, 4; with 1: 0, 1, 2; with 3: 1, 4; with 4: 2, 4; with itself: left out.
        view = self.view(sequences)
        assert view.cooccurrence(ints(0, 6), ints(2, 1, 3, 4, 0)).tolist() == [[3, 3, 2, 2, 0], [0] * 5]
        assert view.cooccurrence_row(0).tolist() == [0, 3, 3, 2, 2, 1, 0]
        assert self.view(sequences, 2).cooccurrence(ints(0), ints(2, 1, 3, 4, 0)).tolist() == [[2, 2, 2, 1, 0]]
        assert self.view(sequences, 2).cooccurrence_row(0).tolist() == [0, 2, 2, 2, 1, 1, 0]

    def test_followed_counts_the_next_three_in_their_order(self, sequences):
        # After 5 user 4 took 4, 3 and 2 within three, and 0 only as the fourth.
        assert self.view(sequences).followed(ints(5), ints(4, 3, 2, 0)).tolist() == [[1, 1, 1, 0]]
        # 0 then 2: users 0 and 2; 2 then 0: user 4.
        assert self.view(sequences).followed(ints(0, 2), ints(2, 0)).tolist() == [[2, 0], [0, 1]]
        assert self.view(sequences, 0).followed(ints(0, 2), ints(2, 0)).tolist() == [[1, 0], [0, 1]]
        assert self.view(sequences, 4).followed(ints(5), ints(4, 3, 2, 0)).tolist() == [[0, 0, 0, 0]]

    def test_neighbours_are_the_nearest_by_cosine(self, sequences):
        # Window {0, 1}: users 0 and 1 share 2 of their 3, user 2 shares 2 of 4, user 4 shares 1 of 5.
        users, similarity = self.view(sequences).neighbours(ints(0, 1), 9)
        expected = {0: 2 / 6**0.5, 1: 2 / 6**0.5, 2: 2 / 8**0.5, 4: 1 / 10**0.5}
        assert dict(zip(users.tolist(), similarity.tolist(), strict=True)) == expected
        assert set(self.view(sequences).neighbours(ints(0, 1), 2)[0].tolist()) == {0, 1}
        # Without user 0 the cut lets the next one in.
        assert set(self.view(sequences, 0).neighbours(ints(0, 1), 2)[0].tolist()) == {1, 2}

    def test_taken_by_counts_users_and_adds_their_weights(self, sequences):
        count, mass = self.view(sequences).taken_by(
            ints(2, 3, 6), np.array([0, 2, 3]), np.array([0.5, 0.25, 1])
        )
        assert count.tolist() == [2, 1, 0]
        assert mass.tolist() == [0.75, 1.0, 0.0]

    def test_ties_among_neighbours_are_not_decided_by_the_order_of_ids(self, sequences):
        graph = Graph.build(sequences([[0]] * 400), 1)
        kept = graph.without(-1).neighbours(ints(0), 200)[0]
        # By index all 200 would lie in one half; by hash about 100 do (standard deviation 5).
        assert 70 < (kept < 200).sum() < 130


@given(data=st.data())
def test_a_view_without_a_user_equals_a_graph_built_without_her(sequences, streams, data):
    rows = data.draw(streams)
    user = data.draw(st.integers(0, len(rows) - 1))
    k = data.draw(st.integers(1, 4))
    window = np.array(data.draw(st.lists(st.integers(0, 8), unique=True)), dtype=np.int32)
    items = np.arange(9, dtype=np.int32)
    view = Graph.build(sequences(rows), 9).without(user)
    rebuilt = Graph.build(sequences([*rows[:user], [], *rows[user + 1 :]]), 9).without(-1)

    assert view.n_users == rebuilt.n_users
    np.testing.assert_array_equal(view.popularity(items), rebuilt.popularity(items))
    np.testing.assert_array_equal(view.cooccurrence(items, items), rebuilt.cooccurrence(items, items))
    np.testing.assert_array_equal(view.followed(items, items), rebuilt.followed(items, items))
    for anchor in items.tolist():
        np.testing.assert_array_equal(view.cooccurrence_row(anchor), rebuilt.cooccurrence_row(anchor))
    near, near_rebuilt = view.neighbours(window, k), rebuilt.neighbours(window, k)
    for got, expected in zip(near, near_rebuilt, strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(view.taken_by(items, *near), rebuilt.taken_by(items, *near_rebuilt), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_empty_graph_holds_nothing_and_says_so(sequences):
    view = Graph.build(sequences([[], []]), 3).without(0)
    items = np.arange(3, dtype=np.int32)
    assert view.n_users == 0
    assert not view.cooccurrence(items, items).any() and not view.followed(items, items).any()
    assert len(view.neighbours(items, 5)[0]) == 0
