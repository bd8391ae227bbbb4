"""Retrieval nominates from the whole catalogue, never from the history, and never by the user's own doing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import SIGNALS, Graph, gather
from starrec.signals.semantics import Semantics
from starrec.signals.task_view import TaskView
from starrec.tools import live_task, retrieve


def ints(values):
    return np.array(values, dtype=np.int32)


def test_it_fuses_both_signals_as_by_hand(sequences):
    # After 0: item 1 with two people, 2 with one; 3 and 4 are nobody's who took 0; 4 is more popular than 3.
    graph = Graph.build(sequences([[0, 1], [0, 1, 2], [3, 4], [4, 5, 6], [4]]), 8)
    found = retrieve(graph, -1, ints([0]), 6).tolist()
    # 3, 5 and 6 are equally popular: their hashes order them.
    assert found[:3] == [1, 2, 4] and set(found[3:]) == {3, 5, 6}


def test_what_is_not_allowed_is_left_out_before_anything_is_cut(world, split):
    allowed = np.zeros(48, dtype=np.bool_)
    allowed[30:] = True
    for user in (-1, 5):
        history = split.train.of(5)
        found = retrieve(world.graph, user, history, 10, allowed)
        assert len(found) == 10 and allowed[found].all() and not np.isin(found, history).any()
        every = retrieve(world.graph, user, history, 48)
        # Each list is cut far below 48 here, so what is left keeps its order.
        first = [item for item in every.tolist() if allowed[item]][:3]
        assert set(first) <= set(found.tolist())


@given(data=st.data(), history=st.lists(st.integers(0, 8), max_size=12), k=st.integers(1, 12))
def test_whatever_the_history_the_result_is_new_distinct_and_blind_to_the_user(
    sequences, streams, data, history, k
):
    rows = data.draw(streams)
    user = data.draw(st.integers(-1, len(rows) - 1))
    if user >= 0 and data.draw(st.booleans()):
        history = rows[user][: data.draw(st.integers(0, len(rows[user])))]
    found = retrieve(Graph.build(sequences(rows), 9), user, ints(history), k).tolist()
    assert len(found) == min(k, 9 - len(set(history)))
    assert len(set(found)) == len(found) and not set(found) & set(history)
    others = [[] if index == user else row for index, row in enumerate(rows)]
    assert found == retrieve(Graph.build(sequences(others), 9), -1, ints(history), k).tolist()


@pytest.mark.parametrize("user", [-1, 5])
def test_an_empty_history_gets_the_most_popular(world, user):
    view = world.graph.without(user)
    found = retrieve(world.graph, user, ints([]), 10)
    popularity = view.popularity(np.arange(48, dtype=np.int32))
    np.testing.assert_array_equal(popularity[found], np.sort(popularity)[::-1][:10])


def test_it_finds_what_comes_next_more_often_than_popularity(world, split):
    users = np.flatnonzero(split.validation >= 0).tolist()
    targets = split.validation[users].tolist()
    found = [retrieve(world.graph, user, split.train.of(user), 8) for user in users]
    most = np.argsort(-world.graph.counts.popularity).tolist()
    popular = [[item for item in most if item not in split.train.of(user)][:8] for user in users]
    hits = sum(target in items for target, items in zip(targets, found, strict=True))
    assert hits > 1.3 * sum(target in items for target, items in zip(targets, popular, strict=True))


def test_a_repeated_item_counts_once(world):
    once, twice = (
        retrieve(world.graph, -1, ints(history), 20) for history in ([3, 20, 14], [14, 3, 14, 20, 14])
    )
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("user", [-1, 5])
def test_a_live_task_asks_for_what_is_retrieved_and_knows_no_more(world, user):
    task = live_task(world.graph, ints([3, 20]), 12, user)
    np.testing.assert_array_equal(task.candidates, retrieve(world.graph, user, ints([3, 20]), 12))
    assert task.history.tolist() == [3, 20] and task.user == user and task.split == "live"
    assert task.days is None and task.ratings is None


def test_a_live_request_has_the_last_day_of_the_data_as_its_own(sequences):
    # In the 14 days before the last one, 107: item 1 twice, 0 and 2 once, of 4 choices in all; 3 on that day.
    # Of 5 items, 1 has 2 x 5 / 4 times its share, 0 and 2 have 1 x 5 / 4.
    graph = Graph.build(sequences([[1, 2], [1, 0], [3]], [[100, 101], [103, 106], [107]]), 5)
    task = live_task(graph, ints([4]), 4)
    assert task.days is None and task.day == 107
    evidence = gather(TaskView.of(graph, Semantics([["a"]] * 5), task))
    trend = dict(zip(task.candidates.tolist(), evidence.scores[SIGNALS.index("trend")].tolist(), strict=True))
    assert trend == {0: 1.25, 1: 2.5, 2: 1.25, 3: 0.0}


def test_a_live_request_about_data_without_a_clock_has_no_day(sequences):
    assert live_task(Graph.build(sequences([[0, 1]]), 3), ints([0]), 2).day is None
