"""Evidence: its figures by hand, what it may not see, and that places decide nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import N_LEVELS, SIGNALS, Evidence, Fact, Graph, compact, levels
from starrec.signals.evidence import LEVELS, NEIGHBOURS

# As in test_graph: item 0 is taken by users 0, 1, 2, 4; item 2 by 0, 2, 4; five people took anything.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0]]
CATEGORIES = [["a", "b"], ["a"], ["a"], ["b"], [], ["c"], ["a", "c"]]
CANDIDATES = [2, 3, 4, 6]


def ints(values):
    return np.array(values, dtype=np.int32)


@pytest.fixture
def gather(sequences):
    graph = Graph.build(sequences(ROWS), 7)

    def gather(history, candidates=CANDIDATES, user=-1):
        return Evidence(CATEGORIES).gather(graph.without(user), ints(history), ints(candidates))

    return gather


def score(evidence, signal):
    return evidence.scores[SIGNALS.index(signal)].tolist()


class TestByHand:
    def test_item_cf(self, gather):
        # n(0) = 4, n(1) = n(2) = 3; both(0, 2) = 3 (users 0, 2, 4), both(1, 2) = 2 (users 0, 2).
        near, far = 3 / 12**0.5, 2 / 9**0.5
        evidence = gather([1, 0])
        assert score(evidence, "item_cf.recent")[0] == pytest.approx(0.8 * far + near)
        assert score(evidence, "item_cf.whole")[0] == pytest.approx((far + near) / 2)
        # 3 of 4 took it, where 3 of 5 people do: 0.75 / 0.6 = 1.25 times.
        fact = evidence.fact("item_cf.recent", 0)
        assert fact == Fact("item_cf", "recent", 0, 2, both=3, base=4, total=3, population=5)
        assert fact.rate == 0.75 and fact.lift == pytest.approx(1.25)

    def test_item_cf_leaves_the_asking_user_out(self, gather):
        # Without user 0: both(0, 2) = 2 of n(0) = 3; n(2) = 2 of 4 people; (2/3) / (2/4) = 4/3.
        fact = gather([0], user=0).fact("item_cf.whole", 0)
        assert fact == Fact("item_cf", "whole", 0, 2, both=2, base=3, total=2, population=4)
        assert fact.lift == pytest.approx(4 / 3)

    def test_recent_looks_at_the_last_ten_and_whole_at_all(self, sequences):
        # Item 0 goes with item 11; then ten items that nobody shares: recent has nothing of it left.
        graph = Graph.build(sequences([[0, 11], [*range(1, 11)]]), 12)
        evidence = Evidence([[]] * 12).gather(graph.without(-1), ints(range(11)), ints([11]))
        assert score(evidence, "item_cf.recent") == [0.0]
        assert score(evidence, "item_cf.whole") == [pytest.approx(1 / 11)]
        assert evidence.fact("item_cf.recent", 0) is None
        assert evidence.fact("item_cf.whole", 0).anchor == 0

    def test_user_cf(self, gather):
        # {0, 1} against users 0, 1 (2 of 3), 2 (2 of 4) and 4 (1 of 5); 0, 2 and 4 took item 2.
        a, b, c = 2 / 6**0.5, 2 / 8**0.5, 1 / 10**0.5
        evidence = gather([1, 0])
        assert score(evidence, "user_cf.recent")[0] == pytest.approx((a + b + c) / (2 * a + b + c))
        # 3 of 4 neighbours, where 3 of 5 people do.
        fact = evidence.fact("user_cf.whole", 0)
        assert fact == Fact("user_cf", "whole", -1, 2, both=3, base=4, total=3, population=5)
        # Users 1 and 4 took item 3, user 3 is no neighbour: (a + c) of the mass, 2 of 4; (2/4) / (3/5) = 5/6.
        assert score(evidence, "user_cf.recent")[1] == pytest.approx((a + c) / (2 * a + b + c))
        assert evidence.fact("user_cf.recent", 1).lift == pytest.approx(5 / 6)

    def test_transitions(self, gather):
        # 1 then 2: users 0 and 2; 0 then 2: users 0 and 2. n(1) = 3 and n(0) = 4; the later item weighs 1.
        evidence = gather([1, 0])
        assert score(evidence, "transitions")[0] == pytest.approx(0.8 * 2 / 3**0.5 + 2 / 4**0.5)
        # The strongest: 2 / sqrt(4) = 1 against 0.8 · 2 / sqrt(3) = 0.92.
        assert evidence.fact("transitions", 0) == Fact("transition", "recent", 0, 2, 2, 4, 3, 5)

    def test_popularity(self, gather):
        evidence = gather([0])
        assert score(evidence, "popularity") == [3 / 5, 3 / 5, 2 / 5, 0]
        assert evidence.fact("popularity", 2) == Fact("popularity", "", -1, 4, 2, 5, 2, 5)
        assert score(gather([0], user=2), "popularity") == [2 / 4, 3 / 4, 1 / 4, 0]

    def test_categories(self, gather):
        # History 0 (a, b), 1 (a), 5 (c): a twice, b once, c once of 3. Candidate 6 (a, c): (2 + 1) / (2 · 3).
        evidence = gather([0, 1, 5])
        assert score(evidence, "category") == pytest.approx([2 / 3, 1 / 3, float("nan"), 3 / 6], nan_ok=True)
        # Items 0, 1 and 5 each share a category with 6.
        assert evidence.fact("category", 3) == Fact("category", "recent", -1, 6, both=3, base=3)
        assert evidence.fact("category", 2) is None
        assert [(fact.topic, fact.both, fact.base) for fact in evidence.tastes] == [
            ("a", 2, 3),
            ("b", 1, 3),
            ("c", 1, 3),
        ]

    def test_a_repeated_item_counts_once_at_its_latest_place(self, gather):
        np.testing.assert_array_equal(gather([0, 1, 0]).scores, gather([1, 0]).scores)


class TestUnknownIsNotZero:
    def test_an_empty_history_knows_popularity_only(self, gather):
        evidence = gather([])
        known = [signal for row, signal in enumerate(SIGNALS) if (evidence.levels[row] >= 0).any()]
        assert known == ["popularity"]
        assert evidence.tastes == ()
        assert all(evidence.fact(name, 0) is None for name in SIGNALS if name != "popularity")

    def test_a_history_that_nobody_shares_has_no_collaborative_basis(self, gather):
        evidence = gather([6])
        for signal in ("item_cf.recent", "item_cf.whole", "user_cf.recent", "user_cf.whole", "transitions"):
            assert (evidence.levels[SIGNALS.index(signal)] == -1).all()

    def test_no_people_at_all(self, sequences):
        evidence = Evidence([["a"]] * 3).gather(
            Graph.build(sequences([[0, 1], []]), 3).without(0), ints([0]), ints([1, 2])
        )
        assert (evidence.levels[:-1] == -1).all()
        assert (evidence.levels[-1] == N_LEVELS - 1).all()


def test_levels_count_the_cuts_at_or_below():
    for row, signal in enumerate(SIGNALS):
        scores = np.full((len(SIGNALS), 5), np.nan)
        cuts = LEVELS[signal]
        scores[row] = [0, cuts[0], np.nextafter(cuts[1], 0), cuts[1], 1e9]
        assert levels(scores)[row].tolist() == [0, 1, 1, 2, N_LEVELS - 1]
        assert (np.delete(levels(scores), row, axis=0) == -1).all()


def test_compact_says_signal_and_level():
    assert compact("item_cf.recent", 9) == "‹item_cf.recent=9›"
    assert compact("popularity", -1) == "‹popularity=none›"
    with pytest.raises(ValueError, match=r"no signal 'item_cf'.*item_cf\.recent"):
        compact("item_cf", 9)


def everything(evidence):
    """All that evidence gives, as bytes and facts."""
    facts = [evidence.fact(name, at) for name in SIGNALS for at in range(len(evidence.candidates))]
    return evidence.scores.tobytes(), evidence.levels.tobytes(), facts, evidence.tastes


histories = st.lists(st.integers(0, 8), max_size=12)
candidate_lists = st.lists(st.integers(0, 8), unique=True, min_size=1)


@given(data=st.data(), history=histories, candidates=candidate_lists)
def test_evidence_equals_that_of_a_graph_built_without_the_user(sequences, streams, data, history, candidates):
    rows = data.draw(streams)
    user = data.draw(st.integers(0, len(rows) - 1))
    # Mostly ask as she is asked in training: after a part of her own row.
    if data.draw(st.booleans()):
        history = rows[user][: data.draw(st.integers(0, len(rows[user])))]
    others = [*rows[:user], [], *rows[user + 1 :]]
    evidence = Evidence([["a", "b"][: item % 3] for item in range(9)])

    def gather(view):
        return everything(evidence.gather(view, ints(history), ints(candidates)))

    seen = gather(Graph.build(sequences(rows), 9).without(user))
    assert seen == gather(Graph.build(sequences(others), 9).without(-1))


def test_the_asking_user_does_not_decide_which_neighbours_survive(sequences):
    # 50 people share one of the history's two items. The user shares both, and would push one of them out.
    rows = [[0, 2]] * NEIGHBOURS + [[0, 1, 3]]
    evidence = Evidence([[]] * 4)
    graph = Graph.build(sequences(rows), 4)
    fact = evidence.gather(graph.without(NEIGHBOURS), ints([0, 1]), ints([2, 3])).fact("user_cf.whole", 0)
    assert (fact.both, fact.base) == (50, 50)
    fact = evidence.gather(graph.without(-1), ints([0, 1]), ints([2, 3])).fact("user_cf.whole", 0)
    assert (fact.both, fact.base) == (49, 50)


@given(data=st.data(), history=histories, candidates=candidate_lists)
def test_permuting_candidates_permutes_the_evidence(sequences, streams, data, history, candidates):
    order = data.draw(st.permutations(range(len(candidates))))
    view = Graph.build(sequences(data.draw(streams)), 9).without(0)
    evidence = Evidence([["a", "b"][: item % 3] for item in range(9)])
    plain = evidence.gather(view, ints(history), ints(candidates))
    permuted = evidence.gather(view, ints(history), ints(candidates)[order])
    np.testing.assert_array_equal(permuted.scores, plain.scores[:, order])
    np.testing.assert_array_equal(permuted.levels, plain.levels[:, order])
    for name in SIGNALS:
        for to, at in enumerate(order):
            assert permuted.fact(name, to) == plain.fact(name, at)


def test_equal_candidates_have_equal_scores_wherever_they_stand(sequences):
    # 22 candidates that are all alike to the graph; a matrix product would round some columns differently.
    random = np.random.default_rng(0)
    rows = [[*random.permutation(20)[:12].tolist(), *range(20, 42)] for _ in range(40)]
    view = Graph.build(sequences(rows), 42).without(-1)
    evidence = Evidence([[]] * 42).gather(view, ints(range(20)), ints(range(20, 42)))
    for row in (0, 1, 2, 3):
        assert len(set(evidence.scores[row].tolist())) == 1
