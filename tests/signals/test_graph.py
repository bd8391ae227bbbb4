"""The graph counts as by hand, and without a user it is the graph that was never told of her."""

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from starrec.errors import DataError
from starrec.signals import Counts, Graph

# Popularity: 0 four times (users 0, 1, 2, 4), 1, 2 and 3 three times, 4 twice, 5 once, 6 never.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0], []]


def ints(*values):
    return np.array(values, dtype=np.int32)


everything = np.arange(9, dtype=np.int32)


class TestByHand:
    def view(self, sequences, user=-1):
        return Graph.build(sequences(ROWS), 7).without(user)

    def test_popularity_counts_people(self, sequences):
        assert self.view(sequences).popularity(everything[:7]).tolist() == [4, 3, 3, 3, 2, 1, 0]
        assert self.view(sequences).n_users == 5
        # User 4 took 5, 4, 3, 2 and 0; user 5 took nothing and is nobody.
        assert self.view(sequences, 4).popularity(everything[:7]).tolist() == [3, 3, 2, 2, 1, 0, 0]
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

    def test_windows_reach_as_far_as_they_say(self, sequences):
        # One person took 0 to 40 in this order, another 40 to 0.
        there, back = list(range(41)), list(range(40, -1, -1))
        view = Graph.build(sequences([there, back]), 41)
        assert view.followed(ints(5), ints(5, 6, 7), 1).tolist() == [[0, 1, 0]]
        assert view.followed(ints(5), ints(6, 35, 36, 4, 0), 30).tolist() == [[1, 1, 0, 1, 1]]
        # Both have the two within 20 places, whichever comes first; 21 places are too many.
        assert view.around(ints(20), ints(20, 0, 40, 19, 21)).tolist() == [[0, 2, 2, 2, 2]]
        assert view.around(ints(0), ints(20, 21)).tolist() == [[2, 0]]
        assert view.without(0).around(ints(0), ints(20, 21)).tolist() == [[1, 0]]

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

    def test_owned_is_what_the_left_out_user_took(self, sequences):
        assert self.view(sequences, 2).owns(ints(0, 3, 4, 6)).tolist() == [1, 0, 1, 0]
        assert self.view(sequences).owns(ints(0, 3)).tolist() == [0, 0]
        assert self.view(sequences).n_interactions == 16 and self.view(sequences, 2).n_interactions == 12

    def test_ties_among_neighbours_are_not_decided_by_the_order_of_ids(self, sequences):
        graph = Graph.build(sequences([[0]] * 400), 1)
        kept = graph.neighbours(ints(0), 200)[0]
        # By index all 200 would lie in one half; by hash about 100 do (standard deviation 5).
        assert 70 < (kept < 200).sum() < 130


class TestRecentChoices:
    """Choices in the 14 whole days before the task's own."""

    ROWS, DAYS = [[0, 1, 2], [0, 2], [2, 0]], [[-14, -1, 0], [-15, 13], [3, 3]]

    def view(self, sequences, user=-1):
        return Graph.build(sequences(self.ROWS, self.DAYS), 4).without(user)

    def test_by_hand(self, sequences):
        # Before day 0, from -14 on: 0 once (of user 0), 1 once; neither -15 nor day 0 itself.
        counts, total = self.view(sequences).recent_choices(ints(0, 1, 2, 3), 0)
        assert counts.tolist() == [1, 1, 0, 0] and total == 2
        # From day -1 to 12: 1 and 2 of user 0, both of user 2.
        counts, total = self.view(sequences).recent_choices(ints(0, 1, 2, 3), 13)
        assert counts.tolist() == [1, 1, 2, 0] and total == 4
        # Without user 0 her two are gone; the others' same-day choice of day 3 counts on day 4, not on day 3.
        counts, total = self.view(sequences, 0).recent_choices(ints(2, 0), 13)
        assert counts.tolist() == [1, 1] and total == 2
        assert self.view(sequences, 0).recent_choices(ints(2, 0), 3)[1] == 0
        assert self.view(sequences, 0).recent_choices(ints(2, 0), 4)[0].tolist() == [1, 1]

    @pytest.mark.parametrize("day", [-1000, -15, 28, 10**6])
    def test_before_the_first_and_long_after_the_last_day_there_is_nothing(self, sequences, day):
        counts, total = self.view(sequences).recent_choices(ints(0, 1, 2, 3), day)
        assert counts.tolist() == [0, 0, 0, 0] and total == 0

    def test_positions_have_no_trend_and_the_error_says_what_to_do(self, sequences):
        view = Graph.build(sequences(self.ROWS), 4)
        with pytest.raises(DataError, match="column of Unix times"):
            view.recent_choices(ints(0), 3)


def without(rows, user):
    """The same people, one of whom took nothing."""
    return [[] if index == user else row for index, row in enumerate(rows)]


@given(data=st.data())
def test_a_view_without_a_user_equals_a_graph_built_without_her(sequences, streams, dated, data):
    rows = data.draw(streams)
    days = dated(data, rows)
    user = data.draw(st.integers(0, len(rows) - 1))
    cap = data.draw(st.sampled_from([2, 5, 1000]))
    k = data.draw(st.integers(1, 4))
    window = np.array(data.draw(st.lists(st.integers(0, 8), unique=True)), dtype=np.int32)
    day = data.draw(st.integers(-30, 50))

    def graph(rows, days):
        return Graph(Counts.build(sequences(rows, days), 9, history_cap=cap))

    view = graph(rows, days).without(user)
    rebuilt = graph(without(rows, user), without(days, user))
    assert (view.n_users, view.n_interactions) == (rebuilt.n_users, rebuilt.n_interactions)
    np.testing.assert_array_equal(view.popularity(everything), rebuilt.popularity(everything))
    np.testing.assert_array_equal(
        view.cooccurrence(everything, everything), rebuilt.cooccurrence(everything, everything)
    )
    for reach in (1, 3, 30):
        np.testing.assert_array_equal(
            view.followed(everything, everything, reach), rebuilt.followed(everything, everything, reach)
        )
    np.testing.assert_array_equal(view.around(everything, everything), rebuilt.around(everything, everything))
    for anchor in range(9):
        np.testing.assert_array_equal(view.cooccurrence_row(anchor), rebuilt.cooccurrence_row(anchor))
    for latest in (9, 1, 3):
        near, near_rebuilt = (seen.neighbours(window[-latest:], k) for seen in (view, rebuilt))
        assert user not in near[0]
        for got, expected in zip(
            (*near, *view.taken_by(everything, *near)),
            (*near_rebuilt, *rebuilt.taken_by(everything, *near_rebuilt)),
            strict=True,
        ):
            np.testing.assert_array_equal(got, expected)
    counts, total = view.recent_choices(everything, day)
    counts_rebuilt, total_rebuilt = rebuilt.recent_choices(everything, day)
    assert total == total_rebuilt
    np.testing.assert_array_equal(counts, counts_rebuilt)


@given(data=st.data())
def test_the_two_ways_to_ask_who_took_what_agree(sequences, streams, data):
    rows = data.draw(streams)
    view = Graph.build(sequences(rows), 9).without(data.draw(st.integers(-1, len(rows) - 1)))
    users, weights = view.neighbours(everything[: data.draw(st.integers(0, 9))], 4)
    taken = view.counts.sequences(users.astype(np.int32))
    np.testing.assert_allclose(
        view.taken_by(everything, users, weights)[1],
        np.bincount(taken.values, weights=np.repeat(weights, np.diff(taken.ptr)), minlength=9),
        atol=1e-12,
    )
    for anchor in range(9):
        np.testing.assert_array_equal(
            view.cooccurrence(ints(anchor), everything)[0], view.cooccurrence_row(anchor)
        )


@pytest.mark.parametrize("marked", [1, 63, 64, 65, 128, 200])
def test_histories_longer_than_a_machine_word_are_counted_whole(sequences, crowd, taken, marked):
    rows, user = crowd(50, 220, 150, seed=marked), 7
    view = Graph.build(sequences(rows), 220).without(user)
    matrix = taken(without(rows, user), 220)
    items = np.random.default_rng(marked).permutation(220)[:marked].astype(np.int32)
    both = matrix.T @ matrix
    np.fill_diagonal(both, 0)
    subjects = np.arange(220, dtype=np.int32)
    np.testing.assert_array_equal(view.cooccurrence(items, subjects), both[items])
    for latest in (1, 10, 64, 70, 200):
        window = items[-latest:]
        overlap, lengths = matrix[:, window].sum(axis=1), np.array(list(map(len, rows)))
        expected = {
            v: overlap[v] / np.sqrt(len(window) * lengths[v]) for v in range(50) if v != user and overlap[v]
        }
        users, similarity = view.neighbours(window, 50)
        assert users.tolist() == list(expected)
        np.testing.assert_allclose(similarity, list(expected.values()), rtol=1e-12)
        few, few_similarity = view.neighbours(window, 5)
        assert len(few) == min(5, len(users)) and few.tolist() == sorted(few.tolist())
        np.testing.assert_allclose(
            np.sort(few_similarity), np.sort(similarity)[-len(few) or len(similarity) :], rtol=1e-12
        )


def test_the_nearest_of_many_are_those_of_all(sequences, crowd, taken):
    rows = crowd(2500, 60, 25, seed=4)
    matrix = taken(rows, 60)
    lengths = matrix.sum(axis=1)
    for user, window in ((0, [3, 4, 5]), (9, range(0, 60, 2)), (11, range(60))):
        items = np.array(window, dtype=np.int32)
        similarity = matrix[:, items].sum(axis=1) / np.sqrt(np.maximum(len(items) * lengths, 1))
        similarity[user] = 0
        users, found = Graph.build(sequences(rows), 60).without(user).neighbours(items, 50)
        assert len(users) == 50 and user not in users
        np.testing.assert_allclose(found, similarity[users], rtol=1e-12)
        np.testing.assert_allclose(np.sort(found), np.sort(similarity)[-50:], rtol=1e-12)


def test_windows_are_those_of_the_sequences(sequences, crowd):
    rows, user = crowd(40, 120, 100, seed=2), 3
    view = Graph.build(sequences(rows), 120).without(user)
    items = np.arange(120, dtype=np.int32)
    apart = np.full((40, 120, 120), 1000)
    for who, row in enumerate(without(rows, user)):
        apart[who][np.ix_(row, row)] = np.arange(len(row)) - np.arange(len(row))[:, None]
    for reach in (1, 3, 30):
        expected = ((apart >= 1) & (apart <= reach)).sum(axis=0)
        np.testing.assert_array_equal(view.followed(items, items, reach), expected)
    expected = ((abs(apart) <= 20) & (apart != 0)).sum(axis=0)
    np.testing.assert_array_equal(view.around(items, items), expected)
    both = (apart < 1000).sum(axis=0)
    np.testing.assert_array_equal(view.cooccurrence(items, items), both - np.diag(both.diagonal()))


def threshold(rows, n_items, limit):
    """From how many users on an item is in the model, as a graph of these rows alone would have it."""
    if n_items <= limit:
        return 0
    users = np.bincount([item for row in rows for item in row], minlength=n_items)
    least = 1
    while (users >= least).sum() > limit:
        least *= 2
    return least


class TestEase:
    """What an item adds beyond all others, by a model that forgets the user exactly."""

    def graph(self, sequences, rows, n_items, limit, ridge):
        return Graph(Counts.build(sequences(rows), n_items, ease_items=limit, ridge=ridge))

    def compare(self, sequences, rows, user, n_items, limit, ridge):
        """What the view says, checked against a model that was fitted without her, and how that came."""
        items = np.random.default_rng(0).permutation(n_items).astype(np.int32)
        found = self.graph(sequences, rows, n_items, limit, ridge).without(user).ease(items, items)
        rest = without(rows, user)
        before, after = (threshold(part, n_items, limit) for part in (rows, rest))
        if before != after:
            assert np.isnan(found).all()
            return "another threshold"
        rebuilt = self.graph(sequences, rest, n_items, limit, ridge)
        np.testing.assert_allclose(found, rebuilt.ease(items, items), atol=1e-9)
        users = np.bincount([item for row in rows for item in row], minlength=n_items)
        return "fallen out" if before and any(users[item] == before for item in rows[user]) else "forgotten"

    @given(data=st.data(), ridge=st.sampled_from([0.5, 20.0, 500.0]))
    def test_it_is_the_model_fitted_without_her_or_none(self, sequences, streams, data, ridge):
        rows = data.draw(streams)
        user = data.draw(st.integers(0, len(rows) - 1))
        event(self.compare(sequences, rows, user, 9, data.draw(st.integers(0, 9)), ridge))

    def test_it_is_so_in_larger_catalogues_too(self, sequences, crowd):
        rows = crowd(60, 300, 60, seed=5)
        came = [
            self.compare(sequences, rows, user, 300, limit, 3.0)
            for limit in (20, 60, 120, 230, 299, 300)
            for user in range(0, 60, 4)
        ]
        assert came.count("forgotten") > 10 and came.count("fallen out") > 10

    def test_an_item_that_would_have_too_few_users_is_unknown(self, sequences):
        # From two users on: 0, 1 and 2 are in the model. Without user 3 item 2 has one; four are too many.
        rows = [[0, 1], [0, 1, 3], [0, 2], [1, 2], [4], [5]]
        assert self.compare(sequences, rows, 3, 6, 3, 1.0) == "fallen out"
        found = self.graph(sequences, rows, 6, 3, 1.0).without(3).ease(ints(0, 1, 2), ints(0, 1, 2))
        assert np.isnan(found[2]).all() and np.isnan(found[:, 2]).all()
        assert not np.isnan(found[:2, :2]).any() and found[0, 1] > 0

    def test_where_she_moved_the_threshold_there_is_no_answer(self, sequences):
        # Two may be in the model and three have two users: only 0, with four, is. Without user 4 item 2 has one
        # user, so that 0 and 1 would be in the model, from two on.
        rows = [[0, 1], [0, 1], [0, 2], [0], [2]]
        assert threshold(rows, 3, 2) == 4 and threshold(rows[:4], 3, 2) == 2
        assert self.compare(sequences, rows, 4, 3, 2, 1.0) == "another threshold"
        # User 3 moves nothing but the only item of the model.
        assert self.compare(sequences, rows, 3, 3, 2, 1.0) == "fallen out"

    def test_items_that_nobody_took_may_be_left_out_of_the_model(self, sequences):
        # Two of four items are taken, and two may be in the model: all that anybody took are.
        rows = [[0, 1], [0, 1], [0]]
        assert self.compare(sequences, rows, 0, 4, 2, 1.0) == "forgotten"
        found = self.graph(sequences, rows, 4, 2, 1.0).without(0).ease(ints(0, 3), ints(1))
        # Without user 0 two took item 0, one of them item 1 too: 1 / (2 + 1).
        assert found[0, 0] == pytest.approx(1 / 3) and np.isnan(found[1, 0])

    def test_nobody_else_is_no_model(self, sequences):
        view = self.graph(sequences, [[0, 1], []], 2, 9, 1.0).without(0)
        assert np.isnan(view.ease(ints(0), ints(1))).all()

    def test_an_item_adds_nothing_to_itself(self, sequences):
        view = self.graph(sequences, ROWS, 7, 9, 1.0).without(1)
        found = view.ease(ints(2, 0), ints(0, 2))
        assert found[0, 1] == found[1, 0] == 0 and (found.diagonal() > 0).all()

    def test_places_decide_nothing(self, sequences, crowd):
        # To the last bit, also where items fall out of the model: ties between candidates must stay ties.
        rows = crowd(100, 400, 150, seed=5)
        graph = self.graph(sequences, rows, 400, 200, 3.0)
        fallen = []
        for user, row in enumerate(rows):
            view = graph.without(user)
            random = np.random.default_rng(user)
            history, candidates = (random.permutation(400)[:50].astype(np.int32) for _ in range(2))
            order = random.permutation(50)
            found = view.ease(history, candidates)
            np.testing.assert_array_equal(view.ease(history, candidates[order]), found[:, order])
            np.testing.assert_array_equal(view.ease(history[order], candidates), found[order])
            np.testing.assert_array_equal(view.ease(history, candidates[:1]), found[:, :1])
            if not np.isnan(found).all():
                fallen.append((graph.counts.popularity[row] == graph.counts.ease().threshold).sum())
        assert len(fallen) > 90 and max(fallen) > 10


def test_an_empty_graph_holds_nothing_and_says_so(sequences):
    view = Graph.build(sequences([[], []], [[], []]), 3).without(0)
    items = np.arange(3, dtype=np.int32)
    assert view.n_users == view.n_interactions == 0
    assert not view.cooccurrence(items, items).any() and not view.followed(items, items).any()
    assert len(view.neighbours(items, 5)[0]) == 0
    assert np.isnan(view.ease(items, items)).all()
    assert view.recent_choices(items, 3) == (pytest.approx(np.zeros(3)), 0)
