"""The examiner examined: its counts by hand, its lies by a second count, and that it says all it can say."""

import re
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import polars as pl
import pytest

from starrec.data import MENTION, RankingTask, Sequences, build

sys.path.insert(0, str(Path(__file__).parent))
from claim_counts import Sight
from claim_figures import share, spoilt, spoilt_times, times
from claim_generator import LIES, RELATIONS, World, generate
from claim_world import small_dataset, tasks_of

# Who took what, on which day. The task is that of "me"; n(A) and all else count the other five.
TAKEN = {
    "u0": [(0, 90), (1, 95), (2, 99)],
    "u1": [(0, 85), (2, 86), (1, 100), (3, 101)],
    "u2": [(1, 80), (0, 99)],
    "u3": [(0, 91), (3, 92), (4, 93), (5, 94), (1, 95)],
    "u4": [(2, 99), (4, 120)],
    "me": [(0, 99), (1, 100)],
}
ITEMS = [
    ("Alpha", ["Drama"]),
    ("Beta Story", ["Drama", "War"]),
    ("Gamma Story", ["War"]),
    ("Delta", ["Comedy"]),
    ("Epsilon", ["Comedy"]),
    ("Zeta", ["Drama"]),
]


def _task(user, history, candidates, days):
    return RankingTask(
        task_id="live/0",
        user=user,
        user_id=str(user),
        history=np.array(history, dtype=np.int32),
        candidates=np.array(candidates, dtype=np.int32),
        days=np.array(days, dtype=np.int32),
    )


@pytest.fixture(scope="module")
def sight():
    rows = [(user, str(item), day * 86_400) for user, taken in TAKEN.items() for item, day in taken]
    dataset = build(
        "six films",
        "clock",
        pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row"),
        pl.DataFrame(
            {
                "item_id": [str(item) for item in range(6)],
                "title": [title for title, _ in ITEMS],
                "categories": [categories for _, categories in ITEMS],
                "year": [1990 + item for item in range(6)],
            }
        ),
    )
    world = World(dataset, dataset.sequences(0))
    return Sight(world, _task(dataset.user_ids.index("me"), [0, 1], [2, 3, 4, 5], [99, 100]))


@pytest.fixture(scope="module")
def small():
    dataset = small_dataset()
    split, tasks = tasks_of(dataset)
    return World(dataset, split.train), tasks


def test_people_are_counted_without_the_task_s_own(sight):
    assert (sight.people, sight.choices) == (5, 16)
    # Alpha: u0 u1 u2 u3; Beta: the same; Gamma: u0 u1 u4; Delta: u1 u3; Epsilon: u3 u4; Zeta: u3.
    assert [sight.n(item) for item in range(6)] == [4, 4, 3, 2, 2, 1]
    assert (sight.both(0, 1), sight.both(0, 2), sight.both(2, 4)) == (4, 2, 1)
    # With herself there are six people, five with both Alpha and Beta.
    assert (sight.with_itself.people, sight.with_itself.n(0), sight.with_itself.both(0, 1)) == (6, 5, 5)


def test_steps_have_a_direction_and_a_length(sight):
    # Beta after Alpha: u0 at once, u1 two later; u3 four later, which is too late; u2 the other way round.
    assert (sight.followed(0, 1), sight.followed(1, 0)) == (2, 1)


def test_expectation_and_lift(sight):
    # 4 * 3 / 5 expected with both Alpha and Gamma, and there are 2.
    assert sight.expected(0, 2) == Fraction(12, 5)
    assert sight.lift(0, 2) == Fraction(2, 1) / Fraction(12, 5)


def test_the_days_before_are_fourteen_and_end_before_the_task_s_own(sight):
    # Day 100; days 86 to 99: u0 0 1 2, u1 2, u2 0, u3 0 3 4 5 1, u4 2. Her own Alpha of day 99 does not count.
    assert sight.trend(0) == (3, 11)
    assert sight.trend(2) == (3, 11)
    assert sight.trend(1) == (2, 11)
    assert sight.with_itself.trend(0) == (4, 12)


def test_categories_and_words(sight):
    # Gamma is a war film, and so is Beta, one of the two items of the history; Zeta is a drama as both are.
    assert (sight.alike(2, 30), sight.alike(5, 30), sight.alike(3, 30)) == ((1, 2), (2, 2), (0, 2))
    assert (sight.of_category("War", 30), sight.spread(30), sight.spread(1)) == ((1, 2), 2, 2)
    # {Drama, "alpha"} and {Drama, "zeta"}: one of three. "Story" stands in two of six titles: is it a telling
    # word? Open, so nothing is said.
    assert sight.traits(0, 5) == (1, 3)
    assert sight.traits(1, 2) is None


def test_the_nearest_are_those_with_overlap_and_ties_leave_it_open(sight):
    # u0, u1, u2, u3 share items with her; two of them took Gamma.
    assert sight.similar("recent", 2) == (2, 4)
    # Of 60 people thirty took Alpha alone, and are nearest; who of the others is among the fifty is open.
    rows = [[0]] * 30 + [[0, 1]] * 20 + [[0, 2]] * 10
    train = Sequences(
        np.cumsum([0, *map(len, rows)]).astype(np.int64),
        np.array([item for row in rows for item in row], dtype=np.int32),
    )
    crowd = Sight(_world_of(sight, train), _task(-1, [0], [1, 2], [0]))
    assert crowd.similar("recent", 0) == (50, 50)
    assert crowd.similar("recent", 1) is None
    assert crowd.similar("recent", 3) == (0, 50)
    assert crowd.trend(0) is None, "there is no clock"


def _world_of(sight, train):
    items = pl.DataFrame(
        {
            "item_id": list(sight.world.ids),
            "title": list(sight.world.titles),
            "categories": [sorted(names) for names in sight.world.categories],
        }
    )
    someone = pl.DataFrame({"user_id": ["x"], "item_id": ["0"], "time": [0]})
    return World(build("crowd", "position", someone, items), train)


def test_the_windows_are_the_last_ten_and_the_last_two_hundred(small):
    world, tasks = small
    sight = Sight(world, max(tasks, key=lambda task: len(task.history)))
    short = Sight(
        world, _task(sight.task.user, sight.task.history[-10:], sight.candidates, sight.task.days[-1:])
    )
    for item in range(20):
        assert sight.similar("recent", item) == short.similar("recent", item) == short.similar("whole", item)
    assert any(sight.similar("recent", item) != sight.similar("whole", item) for item in range(20))


def test_figures_hold_where_they_should():
    random = Random(0)
    # 13 of 63 is 20.634...%.
    said = {
        figure.text
        for _ in range(3000)
        for kinds in [("count",), ("percent",), ("decimal",), ("fraction",)]
        if (figure := share(13, 63, random, kinds))
    }
    assert said >= {"13", "thirteen", "21%", "21 percent", "20.6%", "one in five", "less than a third"}
    assert not said & {"20%", "20.7%", "half", "a third", "more than a quarter"}
    wrong = {spoilt("wrong_rounding", 13, 63, random, ("percent", "decimal")) for _ in range(100)}
    assert {figure.text.split("%")[0].split(" ")[0] for figure in wrong} == {"20", "20.7"}
    off = {figure.text for _ in range(200) if (figure := spoilt("off_by_one", 13, 63, random, ("count",)))}
    assert off == {"12", "14", "twelve", "fourteen", "a dozen"}
    # Halves go to the even neighbour: 1 of 8 is 12.5%, said as 12%.
    assert share(1, 8, Random(1), ("percent",)).text.startswith("12")


def test_ratios_hold_where_they_should():
    random = Random(0)
    value = Fraction(265, 100)
    said = {figure.text for _ in range(500) if (figure := times(value, random))}
    # Half to even: 2.65 is said as 2.6.
    assert said >= {"2.6 times", "three times", "more than 2.3 times"}
    assert not said & {"2.7 times", "twice"}
    assert spoilt_times("wrong_rounding", value, random).text == "2.7 times"


def test_a_seed_gives_the_same_sentences_and_another_seed_others(small):
    world, tasks = small
    first, again, other = (generate(world, tasks[3], Random(seed), 40) for seed in (5, 5, 6))
    assert first == again
    assert {said.text for said in first} != {said.text for said in other}
    assert len({said.text for said in first}) == 40


def test_all_relations_and_lies_occur_in_both_colours(small):
    world, tasks = small
    random = Random(1)
    said = [sentence for task in tasks for sentence in generate(world, task, random, 12)]
    assert {sentence.lie for sentence in said} == {None, *LIES}
    assert all(sentence.truth == (sentence.lie is None) for sentence in said)
    for truth in (True, False):
        found = {sentence.relation for sentence in said if sentence.truth is truth}
        assert found == {relation.name for relation in RELATIONS}
    share_true = sum(sentence.truth for sentence in said) / len(said)
    assert 0.4 < share_true < 0.6


def test_sentences_are_whole_and_agree_in_number(small):
    world, tasks = small
    random = Random(2)
    for task in tasks:
        for sentence in generate(world, task, random, 8):
            text = MENTION.sub("X", sentence.text)
            assert re.fullmatch(r"(‹\w›: )?[A-Z0-9‹].*[^.]\.", text), sentence
            assert not re.search(r"[{}]|\s\s|\b1 (people|users|others|viewers|readers) (?!with)", text), (
                sentence
            )
            assert not re.search(r"\b(?:[2-9]|\d\d+) (person|user|viewer|reader|customer|player)\b", text), (
                sentence
            )


# A second count of what the plainest sentences say, from a matrix of who took what.
_ITEM = r"⟦f\d+\|[^⟧]*⟧"
_BASE = rf"(?:the|those) (?P<whole>\d+) \w+ (?:who|that) \w+ (?P<a>{_ITEM})"
_PART = r"(?P<part>[\d.]+)(?P<percent>%?)"
_RATES = (
    re.compile(rf"{_PART} of {_BASE} (?:also )?\w+ (?P<b>{_ITEM})(?: too| as well)?\."),
    re.compile(rf"(?:Of|Among|Out of) {_BASE}, {_PART} (?:also )?\w+ (?P<b>{_ITEM})(?: too| as well)?\."),
    re.compile(rf"(?P<b>{_ITEM}) was (?:also )?\w+ by {_PART} of {_BASE}\."),
)
_BOTH = re.compile(rf"(\d+) \w+ \w+ both ({_ITEM}) and ({_ITEM})\.")
_LIFT = re.compile(rf"\w+ who \w+ ({_ITEM}) \w+ ({_ITEM}) ([\d.]+) times as often as its popularity predicts\.")
_MORE = re.compile(rf"({_ITEM}) is (more|less) popular than ({_ITEM})\.")


def _right(text, took):
    """Whether a plain sentence is right, by the matrix `took` `(people, items)`; None for other sentences."""

    def n(*items):
        numbers = [int(item[2 : item.index("|")]) for item in items]
        return int(took[:, numbers].all(axis=1).sum())

    if found := next(filter(None, (rate.fullmatch(text) for rate in _RATES)), None):
        a, b, whole, part = (found[name] for name in ("a", "b", "whole", "part"))
        exact = n(a, b) if not found["percent"] else Fraction(100 * n(a, b), n(a))
        return round(exact, 1 if "." in part else None) == Fraction(part) and int(whole) == n(a)
    if found := _BOTH.fullmatch(text):
        part, a, b = found.groups()
        return int(part) == n(a, b)
    if found := _LIFT.fullmatch(text):
        a, b, said = found.groups()
        people = int(took.any(axis=1).sum())
        return round(Fraction(n(a, b) * people, n(a) * n(b)), 1) == Fraction(said)
    if found := _MORE.fullmatch(text):
        b, comparison, a = found.groups()
        return n(b) > n(a) if comparison == "more" else n(b) < n(a)
    return None


def test_plain_sentences_are_as_true_as_a_second_count_says(small):
    world, tasks = small
    took = np.zeros((len(world.taken), len(world.ids)), dtype=bool)
    for user, items in enumerate(world.taken):
        took[user, list(items)] = True
    random = Random(3)
    judged: Counter[str] = Counter()
    for task in tasks:
        others = np.delete(took, task.user, axis=0)
        for sentence in generate(world, task, random, 60):
            right = _right(sentence.text, others)
            if right is not None:
                judged[sentence.lie or "true"] += 1
                assert right == sentence.truth, sentence
    assert judged["true"] >= 30
    assert {*judged} >= {
        "wrong_item",
        "wrong_direction",
        "wrong_rounding",
        "off_by_one",
        "own_user",
        "wrong_base",
    }


def test_a_world_of_nobody_else_says_so(sight):
    alone = Sequences(np.array([0, 2]), np.array([0, 1], dtype=np.int32))
    with pytest.raises(ValueError, match="nobody else"):
        generate(_world_of(sight, alone), _task(0, [0, 1], [2, 3], [0, 0]), Random(0), 1)
