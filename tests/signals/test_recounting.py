"""A fact counted again is the fact, in the graph as its task may see it and in one rebuilt without the user."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import SCORED, Counts, Fact, Graph, Semantics, TaskView, gather, recount
from starrec.signals.evidence import NEIGHBOURS
from starrec.signals.facts import Kind

# Item 0 is taken by users 0, 1, 2, 4; item 2 by 0, 2, 4; item 3 by 1, 3, 4; five people took anything.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0]]
DAYS = [[5, 6, 19], [1, 6, 7], [5, 6, 20, 21], [30], [-3, -2, 0, 20, 20]]
CATEGORIES = [["a", "b"], ["a"], ["a"], ["b"], [], ["c"], ["a", "c"]]


def seen(graph, semantics, history, candidates, days=None, ratings=None):
    return TaskView(
        graph,
        semantics,
        np.array(history, dtype=np.int32),
        np.array(candidates, dtype=np.int32),
        None if days is None else np.array(days, dtype=np.int32),
        None if ratings is None else np.array(ratings, dtype=np.float32),
    )


def all_facts(view):
    """Every fact that gathering gives for a task."""
    evidence = gather(view)
    columns = range(len(view.candidates))
    facts = [evidence.fact(name, at) for name in SCORED for at in columns]
    facts += [evidence.contrary(at) for at in columns]
    return [fact for fact in [*facts, *evidence.profile] if fact is not None]


class TestByHand:
    @pytest.fixture
    def view(self, sequences):
        graph = Graph(Counts.build(sequences(ROWS, DAYS), 7, ridge=5.0))
        return seen(graph.without(0), Semantics(CATEGORIES), [0, 1], [2, 3], [10, 20], [2.0, 5.0])

    @pytest.mark.parametrize(
        "fact",
        [
            # Without user 0: 0 is taken by 1, 2, 4, of whom 2 and 4 took 2, as 2 of all 4 did.
            Fact("item_cf", "whole", 0, 2, both=2, base=3, total=2, population=4),
            Fact("item_cf", "recent", 0, 2, both=2, base=3, total=2, population=4),
            Fact("contrary", "whole", 0, 3, both=2, base=3, total=3, population=4),
            # 0 then 2 within three: user 2 only; 4 took 2 first.
            Fact("transition", "recent", 0, 2, both=1, base=3, total=2, population=4),
            Fact("following", "whole", 0, 2, both=1, base=3, total=2, population=4, reach=30),
            # Next to each other and in this order: user 2.
            Fact("following", "whole", 0, 2, both=1, base=3, total=2, population=4, reach=1),
            # In either order: users 2 and 4.
            Fact("around", "whole", 0, 2, both=2, base=3, total=2, population=4, reach=20),
            Fact("popularity", "", -1, 3, both=3, base=4, total=3, population=4),
            # Users 1, 2 and 4 share 0 or 1; 2 and 4 took 2.
            Fact("user_cf", "whole", -1, 2, both=2, base=3, total=2, population=4),
            Fact("user_cf", "recent", -1, 2, both=2, base=3, total=2, population=4),
            # On days 6 to 19 user 1 took 1 and 3, user 2 took 0.
            Fact("trend", "recent", -1, 3, both=1, base=3, total=3, population=13),
            # Of items 0 (a, b) and 1 (a), both share a with 2, one shares b with 3.
            Fact("category", "recent", -1, 2, both=2, base=2),
            Fact("category", "recent", -1, 3, both=1, base=2),
            Fact("semantic", "recent", 0, 2, both=1, base=2),
            Fact("taste", "recent", -1, -1, both=1, base=2, topic="b"),
            Fact("breadth", "recent", -1, -1, both=2, base=2),
            Fact("recency", "recent", -1, -1, both=11, base=2),
            Fact("rating", "whole", -1, -1, both=1, base=2),
        ],
    )
    def test_right_figures_are_found_whatever_a_fact_holds(self, view, fact):
        assert recount(fact, view) == fact
        lie = replace(fact, both=fact.both + 1, base=fact.base + 1, total=9, population=99)
        found = recount(lie, view)
        assert (found.both, found.base) == (fact.both, fact.base) and found != lie

    def test_the_users_own_edges_do_not_count(self, sequences):
        graph = Graph.build(sequences(ROWS), 7)
        with_her = Fact("item_cf", "whole", 0, 2, both=3, base=4, total=3, population=5)
        everybody, without = (seen(g, Semantics(CATEGORIES), [0], [2]) for g in (graph, graph.without(0)))
        assert recount(with_her, everybody) == with_her
        assert recount(with_her, without) == Fact(
            "item_cf", "whole", 0, 2, both=2, base=3, total=2, population=4
        )

    def test_ease_by_hand(self, sequences):
        # 20 took item 0, 10 of them item 1: B[0, 1] = 10 / (20 + 5); without user 0 of those, 9 / (19 + 5).
        rows = [[0, 1]] * 10 + [[0]] * 10 + [[1]] * 5
        graph = Graph(Counts.build(sequences(rows), 2, ridge=5.0))
        wrong = Fact("ease", "whole", 0, 1, both=1, base=1, total=1, population=1, weight=999)
        everybody, without = (seen(g, Semantics([[], []]), [0], [1]) for g in (graph, graph.without(0)))
        assert recount(wrong, everybody) == Fact("ease", "whole", 0, 1, 10, 20, 15, 25, weight=400)
        assert recount(wrong, without) == Fact("ease", "whole", 0, 1, 9, 19, 14, 24, weight=375)

    def test_embeddings_are_asked_where_there_are_some(self, sequences):
        vectors = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
        view = seen(Graph.build(sequences([[0]]), 2), Semantics([[], []], embeddings=vectors), [0], [1])
        wrong = Fact("semantic", "recent", 0, 1, both=0, base=0, weight=99)
        assert recount(wrong, view) == replace(wrong, weight=60)

    @pytest.mark.parametrize(
        "fact",
        [
            Fact("trend", "recent", -1, 2, both=1, base=3),
            Fact("recency", "recent", -1, -1, both=1, base=2),
            Fact("rating", "whole", -1, -1, both=1, base=2),
            Fact("taste", "recent", -1, -1, both=1, base=2, topic="z"),
            # The model has the two items that most took; 6 is not among them.
            Fact("ease", "whole", 0, 6, both=1, base=2, weight=1),
        ],
    )
    def test_what_the_data_do_not_know_has_no_basis(self, sequences, fact):
        graph = Graph(Counts.build(sequences(ROWS), 7, ease_items=2))
        assert recount(fact, seen(graph, Semantics(CATEGORIES), [0, 1], [2, 3])) is None


def test_every_kind_of_fact_is_counted_again(crowd, sequences):
    """120 people, 30 items, one of which those who took another hardly take."""
    rows = [row for row in crowd(160, 30, 20, 4) if not {0, 1} <= set(row)]
    random = np.random.default_rng(0)
    days = [np.sort(random.integers(0, 30, len(row))).tolist() for row in rows]
    categories = [["a", "b", "c"][: item % 4] for item in range(30)]
    titles = [f"Title {item // 3}" for item in range(30)]
    vectors = random.normal(size=(30, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    both = [Semantics(categories, titles), Semantics(categories, embeddings=vectors.astype(np.float32))]
    kinds = set()
    for semantics in both:
        graph = Graph(Counts.build(sequences(rows, days), 30, ridge=20.0))
        for user in range(0, len(rows), 10):
            history = [0, *(item for item in rows[user] if item not in (0, 1))]
            ratings = random.integers(1, 6, len(history))
            own_days = np.sort(random.integers(0, 30, len(history)))
            view = seen(graph.without(user), semantics, history, range(1, 30), own_days, ratings)
            for fact in all_facts(view):
                assert recount(fact, view) == fact
                kinds.add(fact.kind)
    assert kinds == set(get_args(Kind))


histories = st.lists(st.integers(0, 8), unique=True, max_size=9)
candidate_lists = st.lists(st.integers(0, 8), unique=True, min_size=1)
CATALOGUE = {
    "categories": [["a", "b"][: item % 3] for item in range(9)],
    "titles": [f"Title {item // 2}" for item in range(9)],
    "years": [1970 + 5 * item for item in range(9)],
}
VECTORS = np.random.default_rng(0).normal(size=(9, 3))
EMBEDDED = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32)


@given(
    data=st.data(),
    history=histories,
    candidates=candidate_lists,
    semantics=st.sampled_from([Semantics(**CATALOGUE), Semantics(**CATALOGUE, embeddings=EMBEDDED)]),
    limit=st.sampled_from([0, 2, 4, 9]),
    crowded=st.booleans(),
)
def test_a_fact_is_what_is_counted_again_without_the_user(
    sequences, streams, dated, data, history, candidates, semantics, limit, crowded
):
    # Contrary facts need more people than a few rows have.
    rows = data.draw(streams) * (4 if crowded else 1)
    days = dated(data, rows)
    user = data.draw(st.integers(0, len(rows) - 1))
    if data.draw(st.booleans()):
        history = rows[user][: data.draw(st.integers(0, len(rows[user])))]
    size = {"min_size": len(history), "max_size": len(history)}
    own_days = data.draw(st.none() | st.lists(st.integers(-20, 40), **size).map(sorted))
    ratings = data.draw(st.none() | st.lists(st.sampled_from([1.0, 3.5, 5.0, np.nan]), **size))

    def view(rows, days, user):
        graph = Graph(Counts.build(sequences(rows, days), 9, ease_items=limit, ridge=2.0))
        return seen(graph.without(user), semantics, history, candidates, own_days, ratings)

    here = view(rows, days, user)
    others, their_days = ([*given[:user], [], *given[user + 1 :]] for given in (rows, days))
    rebuilt = view(others, their_days, -1)
    for fact in all_facts(here):
        assert recount(fact, here) == fact
        found = recount(fact, rebuilt)
        # A weight that is nearly half a thousandth may be rounded either way.
        assert found is not None and abs(found.weight - fact.weight) <= (fact.kind == "ease")
        assert replace(found, weight=fact.weight) == fact


def test_a_neighbourhood_is_cut_without_the_asking_user(sequences):
    # 50 others share one of the history's two items; she shares both, and would push one of them out.
    rows = [[0, 2]] * NEIGHBOURS + [[0, 1, 3]]
    graph = Graph.build(sequences(rows), 4)
    fact = Fact("user_cf", "whole", -1, 2, both=50, base=50, total=50, population=50)
    assert recount(fact, seen(graph.without(NEIGHBOURS), Semantics([[]] * 4), [0, 1], [2])) == fact
    assert recount(fact, seen(graph, Semantics([[]] * 4), [0, 1], [2])).both == 49
