"""Evidence: its figures by hand, what it may not see, and that places decide nothing."""

from datetime import date
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import (
    N_LEVELS,
    SCORED,
    SIGNALS,
    Counts,
    Fact,
    Graph,
    Semantics,
    TaskView,
    count_pairs,
    gather,
    gather_many,
    levels,
)
from starrec.signals.evidence import NEIGHBOURS
from starrec.signals.levels import LEVELS
from starrec.signals.task_view import distinct_latest

# As in test_graph: item 0 is taken by users 0, 1, 2, 4; item 2 by 0, 2, 4; five people took anything.
ROWS = [[0, 1, 2], [0, 1, 3], [1, 0, 2, 4], [3], [5, 4, 3, 2, 0]]
# In the days before day 20: 1, 2 and 3 of user 0's row; 1 and 3 of user 1's; 0, 2 and 4 of user 2's.
DAYS = [[5, 6, 19], [1, 6, 7], [5, 6, 20, 21], [30], [-3, -2, 0, 20, 20]]
CATEGORIES = [["a", "b"], ["a"], ["a"], ["b"], [], ["c"], ["a", "c"]]
CANDIDATES = [2, 3, 4, 6]


def ints(values):
    return np.array(values, dtype=np.int32)


def view(graph, semantics, history, candidates, days=None, ratings=None):
    return TaskView(
        graph,
        semantics,
        ints(history),
        ints(candidates),
        None if days is None else ints(days),
        None if ratings is None else np.array(ratings, dtype=np.float32),
    )


def look(*seen):
    found = view(*seen)
    return gather(found)


@pytest.fixture
def evidence_of(sequences):
    def evidence_of(history, candidates=CANDIDATES, user=-1, *, clock=False, days=None, ratings=None):
        graph = Graph.build(sequences(ROWS, DAYS if clock else None), 7)
        return look(graph.without(user), Semantics(CATEGORIES), history, candidates, days, ratings)

    return evidence_of


def score(evidence, signal):
    return evidence.scores[SCORED.index(signal)].tolist()


class TestByHand:
    def test_there_are_ten_signals(self, evidence_of):
        assert len(SIGNALS) == len(set(SIGNALS)) == len(LEVELS) == 10
        assert evidence_of([0]).levels.shape == (10, 4)

    def test_nine_more_are_scored_without_levels(self, evidence_of):
        assert SCORED[:10] == SIGNALS and len(SCORED) == len(set(SCORED)) == 19
        assert evidence_of([0]).scores.shape == (19, 4)

    def test_the_people_behind_item_cf_are_those_of_its_fact(self, sequences, crowd):
        rows = crowd(60, 40, 15, seed=2)
        graph = Graph.build(sequences(rows), 40)
        for user in range(0, 60, 5):
            history = rows[user][: 1 + user % 14]
            evidence = look(graph.without(user), Semantics([[]] * 40), history, range(0, 40, 3))
            for window in ("recent", "whole"):
                facts = [evidence.fact(f"item_cf.{window}", at) for at in range(14)]
                counted = np.array([fact.both if fact else 0 for fact in facts], dtype=np.float64)
                counted[np.isnan(score(evidence, f"item_cf.{window}"))] = np.nan
                np.testing.assert_array_equal(score(evidence, f"people.{window}"), counted)
            assert score(evidence, "history") == [len(history)] * 14

    def test_nothing_is_behind_an_empty_history(self, evidence_of):
        evidence = evidence_of([])
        assert np.isnan(score(evidence, "people.recent")).all()
        assert np.isnan(score(evidence, "people.whole")).all()
        assert score(evidence, "history") == [0] * 4

    def test_item_cf(self, evidence_of):
        # n(0) = 4, n(1) = n(2) = 3; both(0, 2) = 3 (users 0, 2, 4), both(1, 2) = 2 (users 0, 2).
        near, far = 3 / 12**0.5, 2 / 9**0.5
        evidence = evidence_of([1, 0])
        assert score(evidence, "item_cf.recent")[0] == pytest.approx(0.8 * far + near)
        assert score(evidence, "item_cf.whole")[0] == pytest.approx((far + near) / 2)
        # 3 of 4 took it, where 3 of 5 people do: 0.75 / 0.6 = 1.25 times.
        fact = evidence.fact("item_cf.recent", 0)
        assert fact == Fact("item_cf", "recent", 0, 2, both=3, base=4, total=3, population=5)
        assert fact.rate == 0.75 and fact.lift == pytest.approx(1.25)

    def test_item_cf_leaves_the_asking_user_out(self, evidence_of):
        # Without user 0: both(0, 2) = 2 of n(0) = 3; n(2) = 2 of 4 people; (2/3) / (2/4) = 4/3.
        fact = evidence_of([0], user=0).fact("item_cf.whole", 0)
        assert fact == Fact("item_cf", "whole", 0, 2, both=2, base=3, total=2, population=4)
        assert fact.lift == pytest.approx(4 / 3)

    def test_recent_looks_at_the_last_ten_and_whole_at_all(self, sequences):
        # Item 0 goes with item 11; then ten items that nobody shares: recent has nothing of it left.
        graph = Graph.build(sequences([[0, 11], [*range(1, 11)]]), 12)
        evidence = look(graph, Semantics([[]] * 12), range(11), [11])
        assert score(evidence, "item_cf.recent") == [0.0]
        assert score(evidence, "item_cf.whole") == [pytest.approx(1 / 11)]
        assert evidence.fact("item_cf.recent", 0) is None
        assert evidence.fact("item_cf.whole", 0).anchor == 0

    def test_whole_looks_at_the_last_two_hundred(self, sequences):
        graph = Graph.build(sequences([[0, 210], [1, 210], [*range(2, 210)]]), 211)
        # 201 items: 0 stands before the last 200, 1 is the first of them.
        evidence = look(graph, Semantics([[]] * 211), range(201), [210])
        # n(1) = 1, n(210) = 2, both 1.
        assert score(evidence, "item_cf.whole") == [pytest.approx(1 / sqrt(2) / 200)]
        assert evidence.fact("item_cf.whole", 0).anchor == 1
        # Of user 0 the window knows nothing: only user 1 took the candidate, of two neighbours.
        assert evidence.fact("user_cf.whole", 0).both == 1 and evidence.fact("user_cf.whole", 0).base == 2

    def test_user_cf(self, evidence_of):
        # {0, 1} against users 0, 1 (2 of 3), 2 (2 of 4) and 4 (1 of 5); 0, 2 and 4 took item 2.
        a, b, c = 2 / 6**0.5, 2 / 8**0.5, 1 / 10**0.5
        evidence = evidence_of([1, 0])
        assert score(evidence, "user_cf.recent")[0] == pytest.approx((a + b + c) / (2 * a + b + c))
        # 3 of 4 neighbours, where 3 of 5 people do.
        fact = evidence.fact("user_cf.whole", 0)
        assert fact == Fact("user_cf", "whole", -1, 2, both=3, base=4, total=3, population=5)
        # Users 1 and 4 took item 3, user 3 is no neighbour: (a + c) of the mass, 2 of 4; (2/4) / (3/5) = 5/6.
        assert score(evidence, "user_cf.recent")[1] == pytest.approx((a + c) / (2 * a + b + c))
        assert evidence.fact("user_cf.recent", 1).lift == pytest.approx(5 / 6)

    def test_transitions(self, evidence_of):
        # 1 then 2: users 0 and 2; 0 then 2: users 0 and 2. n(1) = 3 and n(0) = 4; the later item weighs 1.
        evidence = evidence_of([1, 0])
        assert score(evidence, "transitions")[0] == pytest.approx(0.8 * 2 / 3**0.5 + 2 / 4**0.5)
        # The strongest: 2 / sqrt(4) = 1 against 0.8 · 2 / sqrt(3) = 0.92.
        assert evidence.fact("transitions", 0) == Fact("transition", "recent", 0, 2, 2, 4, 3, 5)

    def test_transitions_look_at_the_last_ten(self, sequences):
        # 0 then 12 is old by now, 1 then 12 is the oldest of the last ten, at age 9.
        graph = Graph.build(sequences([[0, 12], [1, 12], [*range(2, 11)]]), 13)
        evidence = look(graph, Semantics([[]] * 13), range(11), [12])
        assert score(evidence, "transitions") == [pytest.approx(0.8**9)]
        assert evidence.fact("transitions", 0) == Fact("transition", "recent", 1, 12, 1, 1, 2, 3)

    def test_following(self, evidence_of):
        # 1 directly before 2: user 0; 0 directly before 2: user 2. n(1) = n(2) = 3, n(0) = 4.
        evidence = evidence_of([1, 0])
        assert score(evidence, "following.1")[0] == pytest.approx(0.8 * 1 / 9**0.5 + 1 / 12**0.5)
        assert evidence.fact("following.1", 0) == Fact("following", "whole", 0, 2, 1, 4, 3, 5, reach=1)
        # Anywhere before 2: users 0 and 2 both times; 4 took 2 first. Of 0 it is 2 / 2, of 1 0.8 · 2 / sqrt(3).
        assert score(evidence, "following.30")[0] == pytest.approx(0.8 * 2 / 9**0.5 + 2 / 12**0.5)
        assert evidence.fact("following.30", 0) == Fact("following", "whole", 0, 2, 2, 4, 3, 5, reach=30)
        # Without user 0: n(1) = n(2) = 2, n(0) = 3; only user 2 is left.
        evidence = evidence_of([1, 0], user=0)
        assert score(evidence, "following.30")[0] == pytest.approx(0.8 * 1 / 4**0.5 + 1 / 6**0.5)
        # Nobody took 6, which is known; and so no single fact speaks for it.
        assert score(evidence, "following.30")[3] == 0 and evidence.fact("following.30", 3) is None

    def test_following_looks_back_two_hundred_items(self, sequences):
        graph = Graph.build(sequences([[0, 210], [1, 210], [*range(2, 210)]]), 211)
        evidence = look(graph, Semantics([[]] * 211), range(201), [210])
        # 0 stands before the last 200; n(1) = 1, n(210) = 2, at age 199.
        for signal in ("following.1", "following.30", "around.20"):
            assert score(evidence, signal) == [pytest.approx(0.8**199 / sqrt(2), abs=0)]
            assert evidence.fact(signal, 0).anchor == 1

    def test_around(self, evidence_of):
        # 0 and 2: users 0, 2 and 4, who took 2 first; 1 and 2: users 0 and 2.
        evidence = evidence_of([1, 0])
        assert score(evidence, "around.20")[0] == pytest.approx(0.8 * 2 / 9**0.5 + 3 / 12**0.5)
        assert evidence.fact("around.20", 0) == Fact("around", "whole", 0, 2, 3, 4, 3, 5, reach=20)

    def test_walk(self, evidence_of):
        # From 1 (n = 3, one step back) and 0 (n = 4) to a person and on to one of her items: user 0 took both
        # and has 3 items, user 2 both and 4, user 4 took 0 and has 5. All three took 2, n(2) = 3.
        evidence = evidence_of([1, 0])
        walk = (0.8 / 3 + 1 / 4) / 3 + (0.8 / 3 + 1 / 4) / 4 + (1 / 4) / 5
        assert score(evidence, "walk.recent")[0] == pytest.approx(walk / 3**0.4)
        # Without user 0: n(1) = 2, n(0) = 3, n(2) = 2.
        walk = (0.8 / 2 + 1 / 3) / 4 + (1 / 3) / 5
        assert score(evidence_of([1, 0], user=0), "walk.recent")[0] == pytest.approx(walk / 2**0.4)
        # A probability, and no count that a sentence could say.
        assert all(evidence.fact("walk.recent", column) is None for column in range(4))

    def test_popularity(self, evidence_of):
        evidence = evidence_of([0])
        assert score(evidence, "popularity") == [3 / 5, 3 / 5, 2 / 5, 0]
        assert evidence.fact("popularity", 2) == Fact("popularity", "", -1, 4, 2, 5, 2, 5)
        assert score(evidence_of([0], user=2), "popularity") == [2 / 4, 3 / 4, 1 / 4, 0]

    def test_categories(self, evidence_of):
        # History 0 (a, b), 1 (a), 5 (c): a twice, b once, c once of 3. Candidate 6 (a, c): (2 + 1) / (2 · 3).
        evidence = evidence_of([0, 1, 5])
        assert score(evidence, "category") == pytest.approx([2 / 3, 1 / 3, float("nan"), 3 / 6], nan_ok=True)
        # Items 0, 1 and 5 each share a category with 6.
        assert evidence.fact("category", 3) == Fact("category", "recent", -1, 6, both=3, base=3)
        assert evidence.fact("category", 2) is None

    def test_tastes_look_at_the_last_thirty(self, sequences):
        graph = Graph.build(sequences([[0]]), 41)
        semantics = Semantics([["old"]] * 5 + [["new"]] * 35 + [["old"]])
        evidence = look(graph, semantics, range(35), [40, 39])
        # Items 5 to 34 are new ones; of the five old ones nothing is left.
        assert score(evidence, "category") == [0, 1]
        assert evidence.tastes == (Fact("taste", "recent", -1, -1, 30, 30, topic="new"),)

    def test_a_repeated_item_counts_once_at_its_latest_place(self, sequences, task):
        graph = Graph.build(sequences(ROWS, DAYS), 7)
        semantics = Semantics(CATEGORIES)
        asked = task(-1, [0, 1, 0, 3], CANDIDATES, days=[1, 2, 3, 9], ratings=[1, 2, 3, np.nan])
        seen = TaskView.of(graph, semantics, asked)
        assert seen.history.tolist() == [1, 0, 3] == distinct_latest(asked.history).tolist()
        # Days and ratings stay with their items, and the task's own day is the last one's.
        assert seen.days.tolist() == [2, 3, 9] and seen.day == 9
        np.testing.assert_array_equal(seen.ratings, [2, 3, np.nan])
        without = TaskView.of(graph, semantics, task(-1, [1, 0, 3], CANDIDATES, days=[2, 3, 9]))
        np.testing.assert_array_equal(gather(seen).scores, gather(without).scores)

    def test_a_task_without_days_or_ratings_has_none(self, sequences, task):
        seen = TaskView.of(Graph.build(sequences(ROWS), 7), Semantics(CATEGORIES),
                        task(-1, [], CANDIDATES))  # fmt: skip
        assert seen.days is None and seen.ratings is None and seen.day is None


class TestEase:
    def test_by_hand(self, sequences):
        # 20 others took item 0, 10 of them item 1 too; nothing else is known of 1, and 2 is apart from both:
        # B[0, 1] = 10 / (20 + 5).
        rows = [[0, 1]] * 10 + [[0]] * 10 + [[1]] * 5 + [[2]] * 7
        graph = Graph(Counts.build(sequences(rows), 4, ridge=5.0))
        evidence = look(graph, Semantics([[]] * 4), [2, 0], [1, 3])
        assert score(evidence, "ease") == pytest.approx([0.4, 0])
        fact = Fact("ease", "whole", 0, 1, both=10, base=20, total=15, population=32, weight=400)
        assert evidence.fact("ease", 0) == fact
        # Nobody took 3, so nothing speaks for it.
        assert evidence.fact("ease", 1) is None
        # One step further back it weighs 0.95 as much; the fact says the weight itself.
        evidence = look(graph, Semantics([[]] * 4), [0, 2], [1])
        assert score(evidence, "ease") == pytest.approx([0.95 * 0.4])
        assert evidence.fact("ease", 0) == fact
        # Without user 0, who took both: 9 / (19 + 5).
        evidence = look(graph.without(0), Semantics([[]] * 4), [0], [1])
        assert score(evidence, "ease") == pytest.approx([0.375])
        assert evidence.fact("ease", 0) == Fact("ease", "whole", 0, 1, 9, 19, 14, 31, weight=375)

    def test_what_is_explained_by_another_item_is_not_counted_twice(self, sequences):
        # Half of those who take 0 take 1, and 2 goes with 1, never with 0 alone: Item-CF gives 0 credit for 2,
        # the model hardly any.
        rows = [[0, 1, 2]] * 10 + [[1, 2]] * 30 + [[0, 3]] * 10
        graph = Graph(Counts.build(sequences(rows), 4, ridge=1.0))
        evidence = look(graph, Semantics([[]] * 4), [1, 0], [2])
        assert evidence.fact("ease", 0).anchor == 1
        weights = graph.ease(ints([1, 0]), ints([2]))[:, 0]
        assert weights[0] > 0.9 and abs(weights[1]) < 0.05
        assert score(evidence, "ease") == [pytest.approx(0.95 * weights[0] + weights[1])]

    def test_what_the_model_does_not_know_is_unknown(self, sequences):
        # Two of four items are in the model: 0 and 1, with two users each.
        graph = Graph(Counts.build(sequences([[0, 1], [0, 1], [2]]), 4, ease_items=2))
        evidence = look(graph, Semantics([[]] * 4), [2, 0], [1, 3, 2])
        np.testing.assert_array_equal(np.isnan(score(evidence, "ease")), [False, True, True])
        assert np.isnan(score(look(graph, Semantics([[]] * 4), [2], [1, 3]), "ease")).all()


class TestTrend:
    def test_by_hand(self, evidence_of):
        # The task's day is 20, that of the latest item. From day 6 to 19 others took item 1 (user 0), item 2
        # (user 0), items 1 and 3 (user 1) and item 0 (user 2): five, 5/7 an item.
        evidence = evidence_of([5, 0], candidates=[1, 2, 3, 4], clock=True, days=[3, 20])
        assert score(evidence, "trend") == pytest.approx([2 * 7 / 5, 7 / 5, 7 / 5, 0])
        # Item 1 has 3 of all 16 choices.
        fact = evidence.fact("trend", 0)
        assert fact == Fact("trend", "recent", -1, 1, both=2, base=5, total=3, population=16)
        assert fact.lift == pytest.approx((2 / 5) / (3 / 16))

    def test_the_asking_user_makes_no_trend(self, evidence_of):
        # Without user 0: item 1 once, item 3 once and item 0 once of three.
        evidence = evidence_of([0], candidates=[1, 2], user=0, clock=True, days=[20])
        assert score(evidence, "trend") == pytest.approx([7 / 3, 0])
        assert evidence.fact("trend", 0) == Fact("trend", "recent", -1, 1, 1, 3, 2, 13)

    def test_the_same_day_is_not_known_yet(self, sequences):
        # Others take item 1 on day 20, after or before her, who can tell: only day 21 knows of it.
        graph = Graph.build(sequences([[1], [1], [0]], [[20], [20], [19]]), 2)
        for day, expected in ((20, [2.0, 0]), (21, [2 / 3, 4 / 3]), (33, [2 / 3, 4 / 3]), (34, [0, 2.0])):
            evidence = look(graph, Semantics([[]] * 2), [0], [0, 1], [day])
            assert score(evidence, "trend") == pytest.approx(expected)

    @pytest.mark.parametrize("day", [-400, 0, 19])
    def test_where_nothing_was_taken_lately_there_is_none(self, sequences, day):
        graph = Graph.build(sequences([[1], [1], [0]], [[20], [20], [19]]), 2)
        evidence = look(graph, Semantics([[]] * 2), [0], [0, 1], [day])
        assert np.isnan(score(evidence, "trend")).all() and evidence.fact("trend", 0) is None

    def test_without_a_clock_there_is_none(self, evidence_of):
        for evidence in (
            evidence_of([0]),  # neither the data nor the task has days
            evidence_of([0], days=[20]),  # the data has none
            evidence_of([0], clock=True),  # the task has none, as a history typed in
            evidence_of([], clock=True, days=[]),  # the task has no item and so no day of its own
        ):
            assert (evidence.levels[SIGNALS.index("trend")] == -1).all()
            assert evidence.fact("trend", 0) is None

    def test_days_before_1970_are_days(self, sequences):
        day = (date(1969, 7, 20) - date(1970, 1, 1)).days
        graph = Graph.build(sequences([[0], [1]], [[day - 14], [day - 15]]), 2)
        evidence = look(graph, Semantics([[]] * 2), [0], [0, 1], [day])
        assert score(evidence, "trend") == [2.0, 0]


class TestSemantic:
    SEMANTICS = Semantics(CATEGORIES, ["Red Sun", "Sun", "", "Red", "", "", "Moon"])

    def test_by_hand(self, sequences):
        graph = Graph.build(sequences([[0]]), 7)
        evidence = look(graph, self.SEMANTICS, [0, 5], [6, 3, 4, 2])
        # "red" and "sun" are in 2 of 7 titles, too often; "moon" in one. Of 7 items 4 have a, 2 b and 2 c.
        a, b, c, moon = (log(1 + 7 / n) for n in (4, 2, 2, 1))
        of_0, of_6 = sqrt(a * a + b * b), sqrt(a * a + c * c + moon * moon)
        # 6 shares a with 0, one step back, and c with 5.
        expected = (0.8 * a * a / (of_0 * of_6) + c * c / (c * of_6)) / 1.8
        assert score(evidence, "semantic")[0] == pytest.approx(expected)
        # 3 is b alone and shares it with 0.
        assert score(evidence, "semantic")[1] == pytest.approx(0.8 * b / of_0 / 1.8)
        # Item 4 has no description at all.
        assert np.isnan(score(evidence, "semantic")[2])
        # 5 (c) shares one of 6's three traits; 0 shares one of four, one step back.
        assert evidence.fact("semantic", 0) == Fact("semantic", "recent", 5, 6, both=1, base=3)
        assert evidence.fact("semantic", 1) == Fact("semantic", "recent", 0, 3, both=1, base=2)
        assert evidence.fact("semantic", 2) is None

    def test_items_without_description_weigh_nothing(self, sequences):
        graph = Graph.build(sequences([[0]]), 7)
        plain, after = (look(graph, self.SEMANTICS, h, [6]) for h in ([0], [0, 4]))
        assert score(plain, "semantic") == pytest.approx(score(after, "semantic"))
        assert np.isnan(score(look(graph, self.SEMANTICS, [4], [6]), "semantic")).all()

    def test_it_looks_at_the_last_ten(self, sequences):
        graph = Graph.build(sequences([[0]]), 12)
        semantics = Semantics([["x"], *([["y"]] * 10), ["x"]])
        evidence = look(graph, semantics, range(11), [11])
        assert score(evidence, "semantic") == [0] and evidence.fact("semantic", 0) is None

    def test_embeddings_by_hand(self, sequences):
        vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0], [1, 0]], dtype=np.float32)
        semantics = Semantics([["x"]] * 5, embeddings=vectors)
        graph = Graph.build(sequences([[0]]), 5)
        evidence = look(graph, semantics, [1, 2], [0, 3, 4])
        # Item 0 against 1 (one step back) 0.6 and against 2 0.
        assert score(evidence, "semantic") == pytest.approx(
            [0.8 * 0.6 / 1.8, -0.8 * 0.6 / 1.8, 0.8 * 0.6 / 1.8]
        )
        assert evidence.fact("semantic", 0) == Fact("semantic", "recent", 1, 0, 0, 0, weight=60)
        # What reads unlike everything has no fact that speaks for it.
        assert evidence.fact("semantic", 1) is None

    def test_a_likeness_that_rounds_to_nothing_is_not_said(self, sequences):
        vectors = np.array([[1, 0], [0.004, 1]], dtype=np.float32)
        evidence = look(Graph.build(sequences([[0]]), 2), Semantics([[]] * 2, embeddings=vectors), [0], [1])
        assert score(evidence, "semantic")[0] > 0 and evidence.fact("semantic", 0) is None


class TestContrary:
    def people(self, sequences, both, only_0, only_1, neither, history=(0,), user=-1):
        rows = [[0, 1]] * both + [[0]] * only_0 + [[1]] * only_1 + [[2]] * neither
        graph = Graph.build(sequences(rows), 4)
        return look(graph.without(user), Semantics([[]] * 4), history, [1, 3])

    def test_by_hand(self, sequences):
        # 40 of 100 took 0, 30 took 1: 12 are expected to have taken both, and 2 did.
        evidence = self.people(sequences, 2, 38, 28, 32)
        assert evidence.contrary(0) == Fact(
            "contrary", "whole", 0, 1, both=2, base=40, total=30, population=100
        )
        assert evidence.contrary(0).significance < -10
        # Nobody took 3, which is nothing against it.
        assert evidence.contrary(1) is None
        # The first user took both: without her 1 of 39, where 39 · 29 / 99 = 11.4 are expected.
        found = self.people(sequences, 2, 38, 28, 32, user=0).contrary(0)
        assert found == Fact("contrary", "whole", 0, 1, 1, 39, 29, 99)

    @pytest.mark.parametrize(
        ("both", "only_0", "only_1", "neither", "against"),
        [
            (5, 35, 25, 35, True),  # 12 expected; 5 is less than half of it
            (6, 34, 24, 36, False),  # 6 is half of it
            (0, 20, 25, 55, True),  # 5 expected and none
            (0, 20, 24, 56, False),  # 4.8 expected: too few to tell
            (20, 20, 10, 50, False),  # more than expected
        ],
    )
    def test_it_needs_a_low_lift_and_real_support(self, sequences, both, only_0, only_1, neither, against):
        assert (self.people(sequences, both, only_0, only_1, neither).contrary(0) is not None) == against

    def test_the_surest_speaks_and_of_equals_the_latest(self, sequences):
        # 0, 2 and 3 are taken by 40 each, 0 and 2 by none of those who took 1, 3 by four of them.
        rows = [[1]] * 36 + [[1, 3]] * 4 + [[0, 2]] * 40 + [[3]] * 36
        graph = Graph.build(sequences(rows), 4)
        for history, anchor in (([0, 3, 2], 2), ([2, 3, 0], 0), ([3], 3)):
            found = look(graph, Semantics([[]] * 4), history, [1])
            assert found.contrary(0).anchor == anchor

    def test_an_item_does_not_speak_against_itself(self, sequences):
        graph = Graph.build(sequences([[0]] * 50 + [[1]] * 10), 2)
        assert look(graph, Semantics([[]] * 2), [0], [0]).contrary(0) is None


class TestProfile:
    def test_tastes_are_the_three_strongest(self, evidence_of):
        # History 0 (a, b), 1 (a), 5 (c).
        assert evidence_of([0, 1, 5]).tastes == tuple(
            Fact("taste", "recent", -1, -1, n, 3, topic=topic) for n, topic in ((2, "a"), (1, "b"), (1, "c"))
        )
        assert evidence_of([5, 4]).tastes == (Fact("taste", "recent", -1, -1, 1, 2, topic="c"),)
        assert evidence_of([]).tastes == evidence_of([4]).tastes == ()

    def test_only_three_tastes_stay(self, sequences):
        semantics = Semantics([["a", "b"], ["c", "d"], ["d"]])
        evidence = look(Graph.build(sequences([[0]]), 3), semantics, [0, 1, 2], [0])
        assert [(fact.topic, fact.both) for fact in evidence.tastes] == [("d", 2), ("a", 1), ("b", 1)]

    def test_breadth_recency_and_ratings_by_hand(self, evidence_of):
        evidence = evidence_of([0, 1, 5, 4], clock=True, days=[2, 11, 13, 15], ratings=[4, 5, np.nan, 1])
        assert evidence.profile[:-3] == evidence.tastes
        assert evidence.profile[-3:] == (
            # a, b and c among four items.
            Fact("breadth", "recent", -1, -1, both=3, base=4),
            # From day 2 to day 15, both included.
            Fact("recency", "recent", -1, -1, both=14, base=4),
            # Three are rated, 3.33 on average, two above it.
            Fact("rating", "whole", -1, -1, both=2, base=3),
        )

    def test_recency_looks_at_the_last_ten(self, sequences):
        graph = Graph.build(sequences([[0]]), 12)
        evidence = look(graph, Semantics([[]] * 12), range(12), [0], [0, 0, *range(50, 60)])
        assert evidence.profile == (Fact("recency", "recent", -1, -1, both=10, base=10),)

    def test_equal_ratings_are_none_above_their_mean(self, evidence_of):
        evidence = evidence_of([0, 1, 5], ratings=[4.1, 4.1, 4.1])
        assert evidence.profile[-1] == Fact("rating", "whole", -1, -1, both=0, base=3)

    def test_what_is_not_known_is_not_said(self, evidence_of):
        assert evidence_of([]).profile == evidence_of([4]).profile == ()
        assert evidence_of([0, 4], ratings=[np.nan, np.nan]).profile == evidence_of([0, 4]).profile
        kinds = [fact.kind for fact in evidence_of([4], clock=True, days=[3]).profile]
        assert kinds == ["recency"]


class TestUnknownIsNotZero:
    def test_an_empty_history_knows_popularity_only(self, evidence_of):
        evidence = evidence_of([], clock=True, days=[])
        known = [signal for row, signal in enumerate(SIGNALS) if (evidence.levels[row] >= 0).any()]
        assert known == ["popularity"]
        assert evidence.profile == ()
        assert np.isnan(evidence.scores[len(SIGNALS) : SCORED.index("history")]).all()
        assert all(evidence.fact(name, 0) is None for name in SCORED if name != "popularity")
        assert evidence.contrary(0) is None

    def test_a_history_that_nobody_shares_has_no_collaborative_basis(self, evidence_of):
        evidence = evidence_of([6])
        for signal in ("item_cf.recent", "item_cf.whole", "user_cf.recent", "user_cf.whole", "transitions"):
            assert (evidence.levels[SIGNALS.index(signal)] == -1).all()
        assert np.isnan(evidence.scores[len(SIGNALS) : SCORED.index("history")]).all()

    def test_no_people_at_all(self, sequences):
        graph = Graph.build(sequences([[0, 1], []], [[3, 4], []]), 3).without(0)
        evidence = look(graph, Semantics([["a"]] * 3), [0], [1, 2], [9])
        assert np.isnan(evidence.scores[len(SIGNALS) : SCORED.index("history")]).all()
        for row, signal in enumerate(SIGNALS):
            if signal in ("category", "semantic"):
                assert (evidence.levels[row] == N_LEVELS - 1).all()
            else:
                assert (evidence.levels[row] == -1).all()


def test_levels_count_the_cuts_at_or_below():
    for row, signal in enumerate(SIGNALS):
        scores = np.full((len(SIGNALS), 5), np.nan)
        cuts = LEVELS[signal]
        assert len(cuts) == N_LEVELS - 1 and (np.diff(cuts) > 0).all()
        scores[row] = [0, cuts[0], np.nextafter(cuts[1], 0), cuts[1], 1e9]
        assert levels(scores)[row].tolist() == [0, 1, 1, 2, N_LEVELS - 1]
        assert (np.delete(levels(scores), row, axis=0) == -1).all()


def everything(evidence):
    """All that evidence gives, as bytes and facts, but for the linear model's score."""
    columns = range(len(evidence.candidates))
    facts = [evidence.fact(name, at) for name in SCORED for at in columns if name != "ease"]
    rows = [row for row, name in enumerate(SCORED) if name != "ease"]
    return (
        evidence.scores[rows].tobytes(),
        evidence.levels[rows[: len(SIGNALS) - 1]].tobytes(),
        facts,
        [evidence.contrary(at) for at in columns],
        evidence.profile,
    )


histories = st.lists(st.integers(0, 8), unique=True, max_size=9)
candidate_lists = st.lists(st.integers(0, 8), unique=True, min_size=1)
DESCRIBED = Semantics(
    [["a", "b"][: item % 3] for item in range(9)],
    [f"Title {item // 2}" for item in range(9)],
    [1970 + 5 * item for item in range(9)],
)
VECTORS = np.random.default_rng(0).normal(size=(9, 3))
READ = Semantics(
    [["a", "b"][: item % 3] for item in range(9)],
    embeddings=(VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float32),
)


def asked(data, history):
    """Days and ratings for a history, or none."""
    size = {"min_size": len(history), "max_size": len(history)}
    days = data.draw(st.none() | st.lists(st.integers(-20, 40), **size).map(sorted))
    ratings = data.draw(st.none() | st.lists(st.sampled_from([1.0, 3.5, 5.0, np.nan]), **size))
    return days, ratings


@given(
    data=st.data(),
    history=histories,
    candidates=candidate_lists,
    semantics=st.sampled_from([DESCRIBED, READ]),
    limit=st.sampled_from([0, 2, 4, 9]),
)
def test_evidence_equals_that_of_a_graph_built_without_the_user(
    sequences, streams, dated, data, history, candidates, semantics, limit
):
    rows = data.draw(streams)
    days = dated(data, rows)
    user = data.draw(st.integers(0, len(rows) - 1))
    # Mostly ask as she is asked in training: after a part of her own row.
    if data.draw(st.booleans()):
        history = rows[user][: data.draw(st.integers(0, len(rows[user])))]
    others = [*rows[:user], [], *rows[user + 1 :]]
    their_days = [*days[:user], [], *days[user + 1 :]]
    own_days, ratings = asked(data, history)

    def evidence_of(rows, days, user, fold=0):
        graph = Graph(Counts.build(sequences(rows, days), 9, ease_items=limit, ridge=2.0))
        return look(graph.without(user, fold), semantics, history, candidates, own_days, ratings)

    seen = evidence_of(rows, days, user)
    rebuilt = evidence_of(others, their_days, -1, seen.view.graph.fold)
    assert everything(seen) == everything(rebuilt)
    row = SIGNALS.index("ease")
    if not np.isnan(seen.scores[row]).all():
        np.testing.assert_allclose(seen.scores[row], rebuilt.scores[row], atol=1e-9)
        for at in range(len(candidates)):
            here, there = (evidence.fact("ease", at) for evidence in (seen, rebuilt))
            # A weight that is nearly half a thousandth may be rounded either way.
            assert here == there or abs((here or there).weight - (there.weight if here and there else 0)) <= 1


def test_so_it_does_after_long_histories(sequences, crowd):
    rows = crowd(60, 120, 100, seed=6)
    graph = Graph.build(sequences(rows), 120)
    semantics = Semantics([["a", "b"][: item % 3] for item in range(120)])
    for user in range(0, 60, 7):
        # Asked in the middle of her own row for what she took next, among others.
        history, candidates = rows[user][: len(rows[user]) // 2], range(0, 120, 3)
        rebuilt = Graph.build(sequences([[] if other == user else row for other, row in enumerate(rows)]), 120)
        own = graph.without(user)
        seen = look(own, semantics, history, candidates)
        alone = look(rebuilt.without(-1, own.fold), semantics, history, candidates)
        assert everything(seen) == everything(alone)
        assert {fact.kind for name in SCORED if (fact := seen.fact(name, 0))} >= {"following", "around"}


def test_the_asking_user_does_not_decide_which_neighbours_survive(sequences):
    # 50 people share one of the history's two items. The user shares both, and would push one of them out.
    rows = [[0, 2]] * NEIGHBOURS + [[0, 1, 3]]
    graph = Graph.build(sequences(rows), 4)
    fact = look(graph.without(NEIGHBOURS), Semantics([[]] * 4), [0, 1], [2, 3]).fact("user_cf.whole", 0)
    assert (fact.both, fact.base) == (50, 50)
    fact = look(graph, Semantics([[]] * 4), [0, 1], [2, 3]).fact("user_cf.whole", 0)
    assert (fact.both, fact.base) == (49, 50)


@given(
    data=st.data(),
    history=histories,
    candidates=candidate_lists,
    semantics=st.sampled_from([DESCRIBED, READ]),
    limit=st.sampled_from([2, 4, 9]),
)
def test_permuting_candidates_permutes_the_evidence(
    sequences, streams, dated, data, history, candidates, semantics, limit
):
    order = data.draw(st.permutations(range(len(candidates))))
    rows = data.draw(streams)
    graph = Graph(Counts.build(sequences(rows, dated(data, rows)), 9, ease_items=limit, ridge=2.0))
    days, ratings = asked(data, history)

    def evidence_of(candidates):
        return look(graph.without(0), semantics, history, candidates, days, ratings)

    plain, permuted = evidence_of(candidates), evidence_of([candidates[at] for at in order])
    np.testing.assert_array_equal(permuted.scores, plain.scores[:, order])
    np.testing.assert_array_equal(permuted.levels, plain.levels[:, order])
    assert permuted.profile == plain.profile
    for to, at in enumerate(order):
        assert permuted.contrary(to) == plain.contrary(at)
        for name in SCORED:
            assert permuted.fact(name, to) == plain.fact(name, at)


@given(
    data=st.data(),
    history=histories,
    candidates=candidate_lists,
    most=st.integers(0, 9),
    user=st.integers(-1, 1),
)
def test_a_table_of_pairs_changes_nothing(sequences, streams, data, history, candidates, most, user):
    counts = Counts.build(sequences(data.draw(streams)), 9)
    _same_with_a_table(counts, most, user, history, candidates)


@pytest.mark.parametrize("most", [40, 25])
def test_a_table_of_pairs_changes_nothing_of_long_histories(sequences, crowd, most):
    # Up to 34 places lie between two items, more than the widest window.
    counts = Counts.build(sequences(crowd(60, 40, 35, seed=2)), 40)
    for user in (-1, 3, 17):
        _same_with_a_table(counts, most, user, range(0, 40, 2), [*range(1, 40, 3), 0, 8])


def _same_with_a_table(counts, most, user, history, candidates):
    bare, tabled = (Graph(counts, table).without(user) for table in (None, count_pairs(counts, most)))
    semantics = Semantics([[]] * counts.about.n_items)
    one, other = (look(graph, semantics, history, candidates) for graph in (bare, tabled))
    np.testing.assert_array_equal(one.scores, other.scores)
    for name in SCORED:
        for column in range(len(candidates)):
            assert one.fact(name, column) == other.fact(name, column)


@given(data=st.data(), history=histories, candidates=candidate_lists)
def test_other_candidates_say_nothing_of_a_candidate(sequences, streams, dated, data, history, candidates):
    rows = data.draw(streams)
    graph = Graph.build(sequences(rows, dated(data, rows)), 9).without(0)
    days, ratings = asked(data, history)
    together = look(graph, DESCRIBED, history, candidates, days, ratings)
    for at, candidate in enumerate(candidates):
        alone = look(graph, DESCRIBED, history, [candidate], days, ratings)
        assert alone.contrary(0) == together.contrary(at)
        for row, name in enumerate(SCORED):
            # But for the order in which floating-point sums are added.
            np.testing.assert_allclose(alone.scores[row, 0], together.scores[row, at], rtol=1e-12, atol=1e-15)
            if name != "ease":
                assert alone.fact(name, 0) == together.fact(name, at)


def test_equal_candidates_have_equal_scores_wherever_they_stand(sequences):
    # 22 candidates that are all alike to the graph; a matrix product would round some columns differently.
    random = np.random.default_rng(0)
    rows = [[*random.permutation(20)[:12].tolist(), *range(20, 42)] for _ in range(40)]
    # She who asks was not there lately; all others took everything on one day.
    graph = Graph.build(sequences(rows, [[7] * len(row) for row in rows]), 42)
    semantics = Semantics([*([["a"], ["b", "c"]] * 10), *([["a", "b"]] * 22)])
    evidence = look(graph, semantics, range(20), range(20, 42), [9] * 20)
    for row, signal in enumerate(SCORED):
        values = evidence.scores[row].tolist()
        assert not np.isnan(values).any()
        if signal.startswith(("transitions", "following", "around", "factors")):
            # Not alike here: places in the rows differ.
            continue
        if signal == "ease":
            # The model is one matrix over the catalogue, which decides the last bit of a weight.
            np.testing.assert_allclose(values, values[0], rtol=1e-9)
        else:
            assert len(set(values)) == 1 and values[0] > 0


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_tasks_are_gathered_as_one_by_one(sequences, crowd, threads):
    rows = crowd(90, 40, 20, seed=1)
    graph = Graph.build(sequences(rows), 40)
    semantics = Semantics([["a", "b"][: item % 3] for item in range(40)])
    views = [
        view(graph.without(user), semantics, rows[user], np.random.default_rng(user).permutation(40)[:20])
        for user in range(90)
    ]
    for found, seen in zip(gather_many(views, threads), views, strict=True):
        assert found.view is seen and everything(found) == everything(gather(seen))
    assert gather_many([], threads) == []
