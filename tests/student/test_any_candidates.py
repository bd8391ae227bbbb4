"""Any candidates, from 2 to 200 of them, and the order in which they are given does nothing."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.data import build, leave_one_out
from starrec.errors import StarrecError
from starrec.signals import Graph
from starrec.student import CANDIDATES, FastTasks, Star, gather_tasks
from starrec.student.fast import FastNetwork
from starrec.tools import World

TAKEN = 180
ITEMS = 230


@pytest.fixture(scope="module")
def wide(newborn):
    """A student before a catalogue of 230 items, the last 50 of which nobody took."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", time)
        for user in range(40)
        for time, item in enumerate(random.permutation(TAKEN)[: 5 + user % 20].tolist())
    ]
    data = build(
        "wide",
        "position",
        pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row"),
        pl.DataFrame(
            {"item_id": [f"i{at}" for at in range(ITEMS)], "title": [f"Film {at}" for at in range(ITEMS)]}
        ),
    )
    star = newborn()
    world = World.of(data.catalogue, Graph.build(leave_one_out(data.sequences(0)).train, ITEMS))
    return Star(star.model, star.tokenizer, world)


@pytest.fixture(scope="module")
def star(newborn):
    return newborn()


def is_permutation(ranking, task):
    return sorted(ranking.items) == sorted(task.candidates.tolist())


def fast_scores(star, tasks):
    found = gather_tasks(star.world, tasks)
    return found.as_given(star.fast.scores(found))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 47), min_size=2, max_size=30, unique=True), st.randoms(), st.integers(-1, 79))
def test_a_permutation_of_candidates_changes_no_bit(star, task, candidates, random, user):
    turned = candidates.copy()
    random.shuffle(turned)
    one, two = task(user, [3, 20], candidates), task(user, [3, 20], turned)
    assert star.rank(one) == star.rank(two)
    scores = [dict(zip(at.candidates.tolist(), *fast_scores(star, [at]), strict=True)) for at in (one, two)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("trained", [False, True])
def test_with_the_sort_bypassed_scores_and_first_places_stay(newborn, taught, lessons, trained):
    star = taught[0] if trained else newborn()
    tasks = gather_tasks(star.world, lessons[0])
    rows = np.arange(1000) % len(tasks)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(6), (1000, 1)), axis=1)
    numbers = tasks.numbers[rows]
    straight = star.fast.score(numbers)
    turned = star.fast.score(np.take_along_axis(numbers, order[:, :, None], axis=1))
    np.testing.assert_allclose(turned, np.take_along_axis(straight, order, axis=1), atol=1e-4)
    first = order[np.arange(1000), turned.argmax(axis=1)]
    # Who stands first is whoever scores as high; equals are told apart by the hash of their item.
    best = straight[np.arange(1000), first] >= straight.max(axis=1) - 1e-7
    assert best.mean() >= 0.999
    assert straight.std(axis=1).min() > 1e-3


def test_neither_batch_nor_padding_tells(wide, task):
    random = np.random.default_rng(1)
    tasks = [
        task(-1, random.permutation(TAKEN)[:9], random.permutation(ITEMS)[:size])
        for size in (20, 2, 200, 5, 20, 57, 100, 3)
    ]
    alone = [fast_scores(wide, [each])[0] for each in tasks]
    for start, end in ((0, 8), (0, 2), (3, 7), (6, 8)):
        for one, other in zip(alone[start:end], fast_scores(wide, tasks[start:end]), strict=True):
            np.testing.assert_array_equal(other, one)
    joined = FastTasks.concatenate([gather_tasks(wide.world, [each]) for each in tasks])
    assert np.isneginf(wide.fast.scores(joined)[~joined.present]).all()
    assert wide.rank_many(tasks) == [wide.rank(each) for each in tasks]
    assert all(
        is_permutation(ranking, each) for ranking, each in zip(wide.rank_many(tasks), tasks, strict=True)
    )


def test_what_serves_scores_as_the_weights_do(wide, taught, lessons, task):
    """In PyTorch, whose sums have another order: equal but for the last bits."""
    random = np.random.default_rng(2)
    mixed = [
        task(-1, random.permutation(TAKEN)[:9], random.permutation(ITEMS)[:size]) for size in (20, 2, 200, 20)
    ]
    for star, tasks in ((wide, mixed), (taught[0], lessons[0])):
        found = gather_tasks(star.world, tasks)
        with torch.inference_mode():
            expected = star.model.candidate_scores(
                torch.from_numpy(found.numbers), torch.from_numpy(found.present)
            ).numpy()
        np.testing.assert_allclose(star.fast.scores(found), expected, atol=1e-4)


def test_fast_mode_follows_the_weights_once_they_have_changed(newborn, task):
    star = newborn()
    each = [task(-1, [3, 20], range(20, 30))]
    before = fast_scores(star, each)[0]
    with torch.no_grad():
        star.model.reader.score.bias += 1.0
    star.trained()
    np.testing.assert_allclose(fast_scores(star, each)[0], before + 1, atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 20, 27, 100, 199, 200])
def test_up_to_200_candidates_are_ranked_in_one_pass(wide, task, n):
    each = task(-1, [4, 7], np.random.default_rng(n).permutation(ITEMS)[:n])
    scored = []

    class Counted(FastNetwork):
        def score(self, numbers):
            scored.append(numbers.shape)
            return super().score(numbers)

    ranking = Star(wide.model, wide.tokenizer, wide.world, Counted(wide.fast.graph)).rank(each)
    assert is_permutation(ranking, each) and not ranking.repairs
    assert [shape[:2] for shape in scored] == [(1, n)]


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ([7], "Task live/0 has 1 candidates. There must be 2 or more to rank."),
        ([], "Task live/0 has 0 candidates. There must be 2 or more to rank."),
        (range(201), f"Task live/0 has 201 candidates; at most {CANDIDATES} can be ranked here. Retrieve the"),
        ([1, 2, 3, 2], "Task live/0 names a candidate twice. Give each once."),
        ([1, ITEMS], f"Task live/0 names item {ITEMS}, but the catalogue has items 0 to {ITEMS - 1}. Give"),
        ([-1, 2, 3], f"Task live/0 names item -1, but the catalogue has items 0 to {ITEMS - 1}. Give"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_words(wide, task, candidates, words):
    each = task(-1, [4], candidates)
    for answer in (wide.rank, wide.think, lambda asked: wide.rank_many([task(-1, [4], [5, 6]), asked])):
        with pytest.raises(StarrecError) as raised:
            answer(each)
        assert str(raised.value).startswith(
            words.replace(str(CANDIDATES), "26") if answer == wide.think else words
        )


@pytest.mark.parametrize(
    ("user", "history", "words"),
    [
        (-1, [4, ITEMS], f"names item {ITEMS}, but the catalogue has items 0 to {ITEMS - 1}."),
        (-1, [-7], "names item -7, but"),
        (40, [4], r"is of user 40, but the data have users 0 to 39\. .*-1 for a person who is not"),
        (-2, [], "is of user -2, but"),
    ],
)
def test_a_history_or_a_user_that_the_data_do_not_have_is_refused(wide, task, user, history, words):
    each = task(user, history, [5, 6])
    for answer in (wide.rank, wide.think, lambda asked: wide.rank_many([asked])):
        with pytest.raises(StarrecError, match=words):
            answer(each)


def test_think_mode_says_where_more_than_its_labels_are_ranked(wide, task):
    with pytest.raises(StarrecError, match=r"has 27 candidates; at most 26 .* Rank them in fast mode"):
        wide.think(task(-1, [4], range(27)))
    assert is_permutation(wide.think(task(-1, [4], range(26))).ranking, task(-1, [4], range(26)))


@pytest.mark.parametrize(
    "history",
    [[], [200], list(range(180, 230)), [200, 4], list(range(180)), [4] * 300],
    ids=["empty", "unknown", "many unknown", "known and unknown", "long", "repeated"],
)
def test_any_history_is_answered(wide, task, history):
    # Items that nobody took are among the candidates, too.
    each = task(-1, history, [9, 181, 14, 3, 199, 100])
    assert is_permutation(wide.rank(each), each)
    if history in ([], [200]):
        assert is_permutation(wide.think(each).ranking, each)
