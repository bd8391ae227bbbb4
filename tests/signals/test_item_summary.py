"""What is said of one item, against a hand count."""

import numpy as np
import pytest

from starrec.signals import Counts, Graph
from starrec.signals.item_summary import item_summary

# Item 0 has users 0 to 5; five others never take it.
ROWS = [[0, 1, 2], [0, 1], [3, 0, 1], [0, 4, 5, 6, 1], [2, 0], [0], [7, 2], [7, 3], [7], [7, 4], [7, 5]]


@pytest.fixture
def graph(sequences):
    return Graph(Counts.build(sequences(ROWS), 8))


def by_subject(facts):
    return {fact.subject: (fact.both, fact.base, fact.total, fact.population) for fact in facts}


def test_by_hand(graph):
    found = item_summary(graph, 0)
    assert (found.popularity.both, found.popularity.base) == (6, 11)
    assert found.trend is None
    # Item 1 was taken by users 0, 1, 2, 3, all of whom took 0; item 2 by 0, 4 and 6, of whom two did.
    together = by_subject(found.together)
    assert together[1] == (4, 6, 4, 11) and together[2] == (2, 6, 3, 11) and 7 not in together
    # After 0 within three: 1 by users 0, 1, 2; by user 3 it came fourth. 2 by user 0 alone: 4 took it before.
    then = by_subject(found.then)
    assert then[1] == (3, 6, 4, 11) and then[2] == (1, 6, 3, 11) and 3 not in then
    assert [fact.both for fact in found.then] == sorted((fact.both for fact in found.then), reverse=True)


def test_against(sequences):
    # 20 people take 0, 20 others take 1: 10 would take both if they were independent, 1 does.
    graph = Graph(Counts.build(sequences([[0]] * 19 + [[0, 1]] + [[1]] * 19 + [[2]]), 3))
    (fact,) = item_summary(graph, 0).against
    assert (fact.subject, fact.both, fact.base, fact.total, fact.population) == (1, 1, 20, 20, 40)
    assert fact.kind == "contrary" and fact.significance < 0
    assert item_summary(graph, 0, support=3).against == ()


def test_support_and_top(graph):
    found = item_summary(graph, 0, support=3)
    assert set(by_subject(found.together)) == {1} and set(by_subject(found.then)) == {1}
    assert len(item_summary(graph, 0, top=2).together) == 2


def test_trend(sequences):
    from dataclasses import replace

    train = sequences([[0, 1], [1, 0], [1]])
    days = np.array([0, 20, 25, 30, 30], dtype=np.int32)
    found = item_summary(Graph(Counts.build(replace(train, days=days), 2)), 1)
    # The last day is 30, so the 14 days before the 31st are 17 to 30: 1 was taken on the 20th, 25th and 30th.
    assert (found.trend.both, found.trend.base, found.trend.total, found.trend.population) == (3, 4, 3, 5)


def test_an_item_that_nobody_took(sequences):
    found = item_summary(Graph(Counts.build(sequences([[0], [0]]), 2)), 1)
    assert found.popularity.both == 0 and found.together == found.then == found.against == ()
