"""What each peer says of our candidates, beside hand calculations; and that the way to it adds nothing."""

import os
import sys
from functools import cache
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.pipeline import Component, topn_pipeline

from starrec.data import build, evaluation_tasks, leave_one_out
from starrec.errors import StarrecError
from starrec.evaluation import mean_avg_hr, rank_by_scores
from starrec.evaluation.peers import PEERS, TRIES, PeerName, require
from starrec.evaluation.peers.ease import EaseDecayed, solve
from starrec.evaluation.peers.lenskit import LenskitScorer

HERE = [name for name in PEERS if name != "recbole_sasrec"]
SETTINGS = {
    "lenskit_item_knn": {"neighbours": 20, "window": 0},
    "lenskit_user_knn": {"neighbours": 20, "window": 0},
    "lenskit_ease": {"ridge": 1.0, "window": 0},
    "lenskit_als": {"features": 4, "weight": 40.0, "window": 0},
    "ease_decayed": {"ridge": 1.0, "window": 0, "decay": 0.8},
}
A, B, C, D, E = range(5)


def fit(name, dataset, split, tmp_path, **settings):
    given = {**SETTINGS[name], **settings}
    return PEERS[name].fit(split, dataset, given, 0, half_a=([], {}), folder=tmp_path, final=True)


def scores(fitted, *tasks):
    return [values.tolist() for values in fitted.scores(tasks)]


nan = float("nan")
APPROX = {"abs": 1e-6, "nan_ok": True}


@pytest.mark.parametrize(
    ("name", "user", "history", "expected"),
    [
        # cos(a, b) = 2 / √(2·3), cos(a, c) = 1 / √(2·2); d and e have no training row.
        ("lenskit_item_knn", -1, [A], [2 / 6**0.5, 0.5, nan, nan]),
        # u0 and u1 share a: their rows of length √2 and √3. Both have b, u1 has c.
        ("lenskit_user_knn", -1, [A], [2**-0.5 + 3**-0.5, 3**-0.5, nan, nan]),
        # Asked by u0 herself, whose training row is no neighbour of hers.
        ("lenskit_user_knn", 0, [A], [3**-0.5, 3**-0.5, nan, nan]),
        # XᵀX + I = [[3,2,1],[2,4,2],[1,2,3]], its inverse [[.5,-.25,0],[-.25,.5,-.25],[0,-.25,.5]],
        # B = [[0,.5,0],[.5,0,.5],[0,.5,0]].
        ("lenskit_ease", -1, [A], [0.5, 0, nan, nan]),
        ("lenskit_ease", -1, [C, A], [1.0, 0, nan, nan]),
        ("ease_decayed", -1, [A], [0.5, 0, nan, nan]),
        ("ease_decayed", -1, [C, A], [0.8 * 0.5 + 0.5, 0, nan, nan]),
    ],
)
def test_scores_are_those_of_the_formula(tiny, task, tmp_path, name, user, history, expected):
    found = scores(fit(name, *tiny(), tmp_path), task(user, history, [B, C, D, E]))
    assert found == [pytest.approx(expected, **APPROX)]


def test_only_the_latest_items_of_the_window_count(tiny, task, tmp_path):
    """With a window of 1, (a, c) is c, and (a, c, d) too, for the peer does not know d."""
    for name in ("ease_decayed", "lenskit_ease"):
        fitted = fit(name, *tiny(), tmp_path, window=1)
        alone, after, unknown = scores(
            fitted, *(task(-1, history, [A, B]) for history in ([C], [A, C], [A, C, D]))
        )
        assert alone == after == unknown == pytest.approx([0, 0.5], abs=1e-6)


@pytest.mark.parametrize("name", HERE)
def test_an_item_that_training_has_not_has_no_score_and_ranks_last(tiny, task, tmp_path, name):
    asked = task(-1, [A], [D, B, E, C])
    (ranking,), unscored = rank_by_scores(fit(name, *tiny(), tmp_path), [asked])
    assert unscored == 2
    assert set(ranking.items[2:]) == {D, E}


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("history", [[], [D], [E, D]])
def test_a_history_that_training_has_not_gives_no_score_to_anybody(tiny, task, tmp_path, name, history):
    """Also where the user has a training row: lenskit's ALS would answer an empty history by that."""
    for user in (-1, 1):
        found = scores(fit(name, *tiny(), tmp_path), task(user, history, [A, B, C, D]))
        assert found == [pytest.approx([nan] * 4, nan_ok=True)]


@pytest.mark.parametrize("name", HERE)
def test_the_history_is_that_of_the_task_and_not_the_users_row(small, split, tmp_path, name, task):
    """User 1 with the history of another user gets what a stranger with that history gets (but for user kNN,
    which leaves her row out)."""
    fitted = fit(name, small, split, tmp_path)
    history, candidates = split.history(5, "test").items, range(20, 32)
    own, stranger = scores(fitted, task(1, history, candidates), task(-1, history, candidates))
    row = scores(fitted, task(1, split.history(1, "test").items, candidates))[0]
    assert row != pytest.approx(own, nan_ok=True)
    if name != "lenskit_user_knn":
        assert own == pytest.approx(stranger, nan_ok=True)


def test_what_the_user_knows_already_is_scored_like_any_candidate(tiny, task, tmp_path):
    """Lenskit drops such items where it makes lists; nothing is dropped here."""
    for name in HERE:
        values = scores(fit(name, *tiny(), tmp_path), task(0, [A, B], [C, B]))[0]
        assert not np.isnan(values).any(), name


@pytest.mark.parametrize("name", HERE)
def test_ratings_change_nothing(tiny, task, tmp_path, name):
    """Interactions are taken or not; lenskit's kNN would by default centre ratings, and refuse data without."""
    rated = tiny(lambda user, item: 1 + (ord(item) + int(user[1])) % 5)
    asked = [task(-1, [A], [B, C, D]), task(1, [B, C], [A, E])]
    given, without = fit(name, *rated, tmp_path), fit(name, *tiny(), tmp_path)
    assert scores(given, *asked) == [pytest.approx(row, nan_ok=True) for row in scores(without, *asked)]


@pytest.mark.parametrize("name", HERE)
def test_names_of_items_change_nothing(tiny, task, tmp_path, name):
    """Ids that look like numbers, or like one another, are as good as any."""
    dataset, split = tiny()
    names = {"a": "010", "b": "10", "c": "1e1", "d": "nan", "e": "⟦1|x⟧"}
    to_new = dataset.items.with_columns(item_id=dataset.items["item_id"].replace(names))
    frame = dataset.interactions.select(
        user_id=dataset.users["user_id"].gather(dataset.interactions["user"]),
        item_id=to_new["item_id"].gather(dataset.interactions["item"]),
        time="time",
    )
    other = build("other", "position", frame, to_new)
    numbers = {item: other.item_ids.index(names[name]) for item, name in enumerate(dataset.item_ids)}
    candidates = [E, C, D]
    renamed = task(1, [numbers[A], numbers[B]], [numbers[item] for item in candidates])
    found = scores(fit(name, other, leave_one_out(other.sequences(0)), tmp_path), renamed)
    expected = scores(fit(name, dataset, split, tmp_path), task(1, [A, B], candidates))
    assert found == [pytest.approx(row, nan_ok=True) for row in expected]


@pytest.mark.parametrize("name", HERE)
def test_scores_do_not_depend_on_the_order_of_candidates(small, split, tmp_path, name):
    tasks, _ = evaluation_tasks(small, split.sequences, split, "test", seed=0, draws=1)
    fitted = fit(name, small, split, tmp_path)
    random = np.random.default_rng(1)
    for asked, values in zip(tasks, fitted.scores(tasks), strict=True):
        order = random.permutation(len(asked.candidates))
        shuffled = type(asked)(
            task_id=asked.task_id,
            user=asked.user,
            user_id=asked.user_id,
            history=asked.history,
            candidates=asked.candidates[order],
        )
        np.testing.assert_array_equal(fitted.scores([shuffled])[0], values[order])


@pytest.mark.parametrize("name", HERE)
def test_a_planted_structure_is_ranked_better_than_popularity_does(small, split, tmp_path, name):
    """`small` has four topics of equal popularity, and users who move from theirs to the next one half way."""
    tasks, targets = evaluation_tasks(small, split.sequences, split, "test", seed=0)
    rankings, _ = rank_by_scores(fit(name, small, split, tmp_path, window=10), tasks)
    popularity = np.bincount(split.train.items, minlength=small.n_items).astype(np.float64)

    class Popular:
        def scores(self, tasks):
            return [popularity[task.candidates] for task in tasks]

    popular, _ = rank_by_scores(Popular(), tasks)
    assert mean_avg_hr(tasks, rankings, targets) > mean_avg_hr(tasks, popular, targets) + 0.03


class Constant(Component):
    """A lenskit scorer to which all items are alike."""

    config: None
    value = 0.5

    def __call__(self, query: RecQuery, items: ItemList) -> ItemList:
        return ItemList(items, scores=np.full(len(items), self.value))


class Silent(Constant):
    """One that has no score for any."""

    value = np.nan


@pytest.mark.parametrize("component", [Constant, Silent])
def test_what_makes_no_difference_stays_at_chance_through_lenskit(strangers, from_chance, component):
    frame = pd.DataFrame({"user_id": range(1000), "item_id": range(1000)})
    pipeline = topn_pipeline(component())
    pipeline.train(from_interactions_df(frame))
    scorer = LenskitScorer(pipeline, np.ones(1000, dtype=bool), 0, True)
    rankings, unscored = rank_by_scores(scorer, strangers[0])
    assert from_chance(rankings) < 3
    assert unscored == (12_000 if component is Silent else 0)


@pytest.mark.parametrize("known", [True, False])
def test_what_makes_no_difference_stays_at_chance_through_ease(strangers, from_chance, known):
    """Weights of zero, or a model without any of the items."""
    place = np.arange(1000, dtype=np.int32) if known else np.full(1000, -1, dtype=np.int32)
    scorer = EaseDecayed(np.zeros((1000, 1000), dtype=np.float32), place, 10, 0.8)
    rankings, unscored = rank_by_scores(scorer, strangers[0])
    assert from_chance(rankings) < 3
    assert unscored == (0 if known else 12_000)


def test_seeds_of_als_give_other_scores_and_one_seed_the_same(small, split, tmp_path, task):
    asked = task(-1, [0, 1], range(20, 30))

    @cache
    def of(seed, _again=0):
        fitted = PEERS["lenskit_als"].fit(
            split, small, SETTINGS["lenskit_als"], seed, half_a=([], {}), folder=tmp_path, final=True
        )
        return tuple(scores(fitted, asked)[0])

    assert of(0) == pytest.approx(of(0, 1), rel=1e-4)
    assert of(0) != pytest.approx(of(1), rel=1e-2)


def test_the_matrix_of_ease_is_that_of_the_formula_beyond_one_block():
    """1,100 items, mirrored in blocks of 1,024: B = I - P · diag(1 / diag P), P = (G + λI)⁻¹, in float64."""
    taken = (np.random.default_rng(2).random((300, 1100)) < 0.05).astype(np.int32)
    gram = taken.T @ taken
    inverse = np.linalg.inv(gram + 50.0 * np.eye(1100))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(solve(gram, 50.0), expected, atol=2e-5)


def test_every_peer_has_the_same_number_of_different_tries():
    assert set(PEERS) == set(get_args(PeerName))
    for name, peer in PEERS.items():
        assert peer.name == name
        assert len({tuple(sorted(settings.items())) for settings in peer.grid}) == len(peer.grid)
        # An epoch of SASRec takes minutes.
        assert len(peer.grid) == (3 if name == "recbole_sasrec" else TRIES)


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [])  # where the metadata of packages are looked up
    with pytest.raises(StarrecError, match=r"pip install starrec\[bench\]"):
        require(["lenskit_ease"])
    monkeypatch.setitem(os.environ, "STARREC_RECBOLE", str(tmp_path))
    with pytest.raises(StarrecError, match=r"bash benchmarks/recbole/environment\.sh"):
        require(["recbole_sasrec"])
    require(["ease_decayed"])


def test_of_a_catalogue_too_large_the_rarest_items_have_no_score(monkeypatch, small, split, tmp_path, task):
    taken = np.bincount(split.train.items, minlength=small.n_items)
    monkeypatch.setattr("starrec.evaluation.peers.ease.MOST_ITEMS", 12)
    history = [int(taken.argmax())]
    values = scores(fit("ease_decayed", small, split, tmp_path), task(-1, history, range(small.n_items)))[0]
    scored = ~np.isnan(values)
    assert scored.sum() == 12
    assert taken[scored].min() >= taken[~scored].max()
