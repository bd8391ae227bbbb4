"""Counts in memory: the nearest items, the blocks they are counted in, and the EASE model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import Counts
from starrec.signals.counts import all_neighbours, capped, fit_ease, item_blocks, item_ties, neighbour_block

# Item 0 is taken by users 0, 1, 2 and 4, items 1, 2 and 3 by three, 4 by two, 5 by one, 6 by nobody.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0], []]


def ints(*values):
    return np.array(values, dtype=np.int32)


def nearest(counts, item):
    """The nearest items of one item with the users who took both."""
    found = counts.neighbours(ints(item))
    pairs = zip(found.items[0].tolist(), found.both[0].tolist(), strict=True)
    return [(other, both) for other, both in pairs if other >= 0]


class TestNeighbours:
    def test_by_hand(self, sequences):
        counts = Counts.build(sequences(ROWS), 7)
        # both² / n of item 0: 1 has 9/3, 2 has 9/3, 3 and 4 have 4/3 and 4/2, 5 has 1/1.
        found = nearest(counts, 0)
        assert set(found[:2]) == {(1, 3), (2, 3)} and found[2:] == [(4, 2), (3, 2), (5, 1)]
        # Of item 5 only user 4 speaks: 4 has 1/2, 2 and 3 1/3, 0 1/4.
        found = nearest(counts, 5)
        assert found[0] == (4, 1) and set(found[1:3]) == {(2, 1), (3, 1)} and found[3:] == [(0, 1)]
        assert nearest(counts, 6) == []
        # Places without a neighbour are -1 with nobody.
        empty = counts.neighbours(ints(6))
        assert (empty.items == -1).all() and (empty.both == 0).all() and empty.items.shape == (1, 6)

    def test_equal_cosines_are_ordered_by_the_items_hash_and_not_by_index(self, sequences):
        counts = Counts.build(sequences([list(range(200))] * 3), 200, kept=60)
        kept = counts.neighbours(ints(0)).items[0]
        ties = item_ties(200)
        assert kept.tolist() == sorted(range(1, 200), key=lambda item: ties[item])[:60]
        # By index all 60 would lie in the first third.
        assert (kept >= 100).sum() > 10

    def test_an_item_keeps_its_place_among_equals_when_items_are_added(self):
        np.testing.assert_array_equal(item_ties(50), item_ties(500)[:50])
        assert len(set(item_ties(500).tolist())) == 500

    @pytest.mark.parametrize("kept", [1, 2, 7, 30, 119, 500])
    def test_against_brute_force(self, sequences, crowd, taken, kept):
        rows = crowd(60, 120, 40, seed=kept)
        counts = Counts.build(sequences(rows), 120, kept=kept)
        matrix = taken(rows, 120)
        both = (matrix.T @ matrix).astype(int)
        users, ties = both.diagonal().copy(), item_ties(120)
        found = counts.neighbours(np.arange(120, dtype=np.int32))
        assert found.items.shape == (120, min(kept, 119))
        for item in range(120):
            others = [other for other in range(120) if other != item and both[item, other]]
            others.sort(key=lambda other: (-(both[item, other] ** 2 / users[other]), ties[other]))
            expected = others[:kept]
            assert nearest(counts, item) == [(other, both[item, other]) for other in expected]

    @given(data=st.data(), kept=st.integers(1, 12))
    def test_every_neighbour_took_part_and_nobody_nearer_is_left_out(self, sequences, streams, data, kept):
        rows = data.draw(streams)
        counts = Counts.build(sequences(rows), 9, kept=kept)
        people = [{user for user, row in enumerate(rows) if item in row} for item in range(9)]
        for item in range(9):
            found = nearest(counts, item)
            assert all(both == len(people[item] & people[other]) > 0 for other, both in found)

            def near(other, item=item):
                return len(people[item] & people[other]) ** 2 / max(len(people[other]), 1)

            values = [near(other) for other, _ in found]
            assert values == sorted(values, reverse=True)
            left_out = set(range(9)) - {item} - {other for other, _ in found}
            if len(found) == kept:
                assert all(near(other) <= values[-1] for other in left_out)
            else:
                assert not any(near(other) for other in left_out)

    def test_a_catalogue_of_one_item(self, sequences):
        counts = Counts.build(sequences([[0], [0]]), 1)
        assert nearest(counts, 0) == []


class TestBlocks:
    @given(st.integers(0, 700), st.integers(1, 300))
    def test_they_cover_every_item_once(self, n_items, size):
        blocks = item_blocks(n_items, size)
        assert sorted(item for block in blocks for item in block.tolist()) == list(range(n_items))
        assert all(len(block) <= size for block in blocks)
        # About equally long, as their time should be.
        assert max(map(len, blocks)) - min(map(len, blocks)) <= 1

    def test_neighbours_do_not_depend_on_them(self, sequences, crowd):
        counts = Counts.build(sequences(crowd(80, 700, 60, seed=1)), 700)
        done = []
        found = all_neighbours(counts, done.append)
        assert sum(done) == 700 and len(done) == len(item_blocks(700)) > 1
        for size in (1, 64, 333, 700):
            for rows in item_blocks(700, size):
                part = neighbour_block(counts, rows)
                np.testing.assert_array_equal(part.items, found.items[rows])
                np.testing.assert_array_equal(part.both, found.both[rows])

    def test_neighbours_do_not_depend_on_who_runs_the_blocks(self, sequences, crowd):
        counts = Counts.build(sequences(crowd(80, 700, 60, seed=1)), 700)

        def one_by_one(counts, parts):
            for rows in parts:
                yield neighbour_block(counts, rows)

        here, there = all_neighbours(counts), all_neighbours(counts, blocks=one_by_one)
        np.testing.assert_array_equal(here.items, there.items)
        np.testing.assert_array_equal(here.both, there.both)

    def test_kept_neighbours_are_read_and_not_counted_again(self, sequences):
        counts = Counts.build(sequences(ROWS), 7)
        kept = replace(counts, nearest=all_neighbours(counts))
        for item in range(7):
            assert nearest(kept, item) == nearest(counts, item)


class TestHistoryCap:
    def test_the_latest_items_stay_with_their_days_and_ratings(self, sequences):
        rows, days = [[0, 1, 2, 3], [4], []], [[1, 2, 3, 4], [5], []]
        cut = capped(sequences(rows, days, [[1.0, 2.0, 3.0, 4.0], [5.0], []]), 2)
        assert [cut.of(user).tolist() for user in range(3)] == [[2, 3], [4], []]
        assert cut.days.tolist() == [3, 4, 5] and cut.ratings.tolist() == [3.0, 4.0, 5.0]

    def test_what_is_older_is_in_no_count(self, sequences):
        rows, days = [[0, 1, 2, 3], [4, 0]], [[-9, 2, 3, 4], [5, 6]]
        whole = Counts.build(sequences(rows, days), 5, history_cap=2)
        cut = Counts.build(sequences([row[-2:] for row in rows], [part[-2:] for part in days]), 5)
        assert whole.popularity.tolist() == cut.popularity.tolist() == [1, 0, 1, 1, 1]
        assert whole.lengths.tolist() == [2, 2]
        assert whole.about.first_day == 3
        assert whole.daily.days.tolist() == cut.daily.days.tolist() == [3, 4, 5, 6]
        assert whole.daily.counts.tolist() == cut.daily.counts.tolist() == [1, 1, 1, 1]
        everything = np.arange(5, dtype=np.int32)
        for mine, theirs in (
            (whole.packed_postings(everything).places, cut.packed_postings(everything).places),
            *zip(whole.item_days(everything), cut.item_days(everything), strict=True),
            (whole.neighbours(everything).items, cut.neighbours(everything).items),
        ):
            np.testing.assert_array_equal(mine, theirs)


class TestLinearModel:
    def test_two_items_by_hand(self, sequences):
        # 20 took item 0, 10 of them item 1 too, and 5 took item 1 alone. With the other item alone to explain
        # it, ridge regression gives B[0, 1] = 10 / (20 + 5) and B[1, 0] = 10 / (15 + 5).
        counts = Counts.build(sequences([[0, 1]] * 10 + [[0]] * 10 + [[1]] * 5), 2)
        model = fit_ease(counts, ridge=5.0)
        weights = -model.precision / model.precision.diagonal()
        assert weights[0, 1] == pytest.approx(0.4) and weights[1, 0] == pytest.approx(0.5)
        assert model.items.tolist() == [0, 1] and (model.threshold, model.spare) == (0, 0)

    @pytest.mark.parametrize("ridge", [0.5, 20.0, 500.0])
    def test_against_the_textbook(self, sequences, crowd, taken, ridge):
        rows = crowd(70, 600, 50, seed=3)
        matrix = taken(rows, 600)
        precision = np.linalg.inv(matrix.T @ matrix + ridge * np.eye(600))
        expected = np.eye(600) - precision @ np.diag(1 / precision.diagonal())
        model = fit_ease(Counts.build(sequences(rows), 600), ridge=ridge)
        found = -model.precision / model.precision.diagonal()
        np.fill_diagonal(found, 0)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        np.testing.assert_array_equal(model.precision, model.precision.T)

    @pytest.mark.parametrize(
        ("limit", "threshold", "spare", "items"),
        [
            # Users: 0 four, 1, 2 and 3 three, 4 two, 5 one, 6 nobody.
            (7, 0, 0, [0, 1, 2, 3, 4, 5, 6]),
            (6, 1, 1, [0, 1, 2, 3, 4, 5]),
            # At least one: six, one more than five.
            (5, 2, 1, [0, 1, 2, 3, 4]),
            # At least two: five, one more than four; at least four: one.
            (4, 4, 1, [0]),
            (1, 4, 4, [0]),
        ],
    )
    def test_a_large_catalogue_is_in_the_model_from_a_power_of_two_on(
        self, sequences, taken, limit, threshold, spare, items
    ):
        model = fit_ease(Counts.build(sequences(ROWS), 7), ease_items=limit, ridge=2.0)
        assert (model.threshold, model.spare, model.items.tolist()) == (threshold, spare, items)
        matrix = taken(ROWS, 7)[:, items]
        expected = np.linalg.inv(matrix.T @ matrix + 2 * np.eye(len(items)))
        np.testing.assert_allclose(model.precision, expected, atol=1e-12)

    def test_nothing_to_model_is_no_model(self, sequences):
        assert fit_ease(Counts.build(sequences([[], []]), 3)) is None
        # Three items of one user each: none has two, and three are one too many.
        assert fit_ease(Counts.build(sequences([[0], [1], [2]]), 3), ease_items=2) is None

    def test_a_source_gives_the_model_of_its_settings(self, sequences):
        counts = Counts.build(sequences(ROWS), 7, ease_items=5, ridge=2.0)
        model = counts.ease()
        np.testing.assert_array_equal(model.precision, fit_ease(counts, ease_items=5, ridge=2.0).precision)
        assert counts.ease() is model


def test_postings_say_where_in_her_sequence_a_user_took_an_item(sequences):
    start, end, users, places = Counts.build(sequences(ROWS), 7).packed_postings(ints(2, 6))
    # 2 stands third in the rows of users 0 and 2, fourth in that of user 4; nobody took 6.
    assert users[start[0] : end[0]].tolist() == [0, 2, 4] and places[start[0] : end[0]].tolist() == [2, 2, 3]
    assert start[1] == end[1]


def test_days_stand_by_item_in_their_order(sequences):
    counts = Counts.build(sequences([[0, 1], [1, 0], [1]], [[-3, 7], [2, 9], [-5]]), 3)
    assert counts.about.clock and counts.about.first_day == -5
    assert [days.tolist() for days in counts.item_days(ints(1, 2, 0))] == [[-5, 2, 7], [], [-3, 9]]
    # Only the days that have interactions, so that a stray one costs an entry.
    assert counts.daily.days.tolist() == [-5, -3, 2, 7, 9] and counts.daily.counts.tolist() == [1] * 5


def test_positions_have_no_days(sequences):
    counts = Counts.build(sequences(ROWS), 7)
    assert not counts.about.clock and counts.daily is None and counts.sequence(0)[1] is None
