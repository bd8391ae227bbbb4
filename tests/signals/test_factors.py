"""Vectors of items: by hand, without whoever is asked about, whatever the way they are computed."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import Graph, factors, in_memory
from starrec.signals.counts import Counts
from starrec.signals.factors import FOLDS, Factors, fit_factors, fold_of, rows_of, user_keys

ONE = np.ones(1)


def ints(*values):
    return np.array(values, dtype=np.int32)


def fit(train, n_items, components=4, keys=None, **options):
    popularity = np.bincount(train.items, minlength=n_items).astype(np.int32)
    keys = np.zeros(train.n_users, dtype=np.uint64) if keys is None else np.array(keys, dtype=np.uint64)
    return fit_factors(train, popularity, keys, components, **options)


def test_pairs_weigh_by_their_distance(sequences):
    # Of part 0, so that all other parts have the same table. Places 1 apart weigh 5, 2 apart 4:
    # w(0,1) = 5, w(1,2) = 5, w(0,2) = 4; of items 9, 10, 9; of all 28.
    found = fit(sequences([[0, 1, 2]]), 3, components=3)
    near, far = log(5 * 28 / 90), log(4 * 28 / 81)
    wanted = np.array([[0, near, far], [near, 0, near], [far, near, 0]])
    assert not found.vectors[0].any() and np.array_equal(found.vectors[1], found.vectors[FOLDS - 1])
    values, vectors = np.linalg.eigh(wanted)
    positive = values > 0
    np.testing.assert_allclose(
        found.vectors[1] @ found.vectors[1].T,
        (vectors[:, positive] * values[positive]) @ vectors[:, positive].T,
        atol=1e-6,
    )


def test_places_beyond_the_window_are_no_pair(sequences):
    # 0 and 6 are 6 apart.
    together = factors._pair_weights(np.zeros(7, dtype=np.int64), np.arange(7), 7).toarray()
    assert together[0].tolist() == [0, 5, 4, 3, 2, 1, 0]
    # Nor is what two people took.
    apart = factors._pair_weights(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), 4).toarray()
    assert apart[1].tolist() == [5, 0, 0, 0]


def test_scores_are_sums_over_the_history():
    vectors = np.zeros((FOLDS, 3, 2), dtype=np.float32)
    vectors[5] = [[3, 4], [1, 0], [0, 2]]
    model = Factors(np.array([0, 1, 2, -1]), vectors)
    product, cosine = model.scores(ints(1, 2), ints(0, 3), np.array([0.5, 1.0]), 5)
    assert product.tolist()[0] == 0.5 * 3 + 4 * 2
    assert cosine.tolist()[0] == pytest.approx(0.5 * 3 / 5 + 4 / 5)
    assert np.isnan(product[1]) and np.isnan(cosine[1])
    # Where the history has no vector, nothing is known of anything.
    assert np.isnan(model.scores(ints(3), ints(0, 1), ONE, 5)).all()
    assert np.isnan(model.scores(ints(), ints(0), np.empty(0), 5)).all()
    assert np.isnan(model.scores(ints(1), ints(0), ONE, 4)).all()


def test_equal_vectors_have_equal_scores_wherever_they_stand():
    vectors = np.random.default_rng(0).normal(size=(FOLDS, 50, 48)).astype(np.float32)
    vectors[:, 20:] = vectors[:, 20:21]
    model = Factors(np.arange(50), vectors)
    for found in model.scores(np.arange(10, dtype=np.int32), np.arange(20, 50), np.linspace(1, 2, 10), 3):
        assert len(set(found.tolist())) == 1


def test_items_are_alike_that_are_taken_with_the_same_others(sequences):
    # Nobody took 0 and 3 together; both are taken with 1 and 2. 4 and 5 are another world.
    rows = [[0, 1], [0, 2], [3, 1], [3, 2], [4, 5], [5, 4]] * 4
    model = fit(sequences(rows), 6, components=2, keys=range(len(rows)))
    _, cosine = model.scores(ints(0), ints(3, 4), ONE, 0)
    assert cosine[0] > 0.9 > 0.1 > abs(cosine[1])


@given(data=st.data(), user=st.integers(0, 3))
def test_a_users_own_interactions_do_not_show(sequences, streams, data, user):
    rows = data.draw(streams)
    user = min(user, len(rows) - 1)
    others = [[] if at == user else row for at, row in enumerate(rows)]
    asked = np.arange(9, dtype=np.int32)
    graph = Graph.build(sequences(rows), 9).without(user)
    rebuilt = Graph.build(sequences(others), 9).without(-1, graph.fold)
    np.testing.assert_array_equal(
        graph.factors(asked, asked, np.ones(9)), rebuilt.factors(asked, asked, np.ones(9))
    )


def test_a_persons_part_is_that_of_her_id():
    ids = [f"u{user}" for user in range(1000)]
    folds = user_keys(ids) % FOLDS
    assert [fold_of(name) for name in ids[:20]] == folds[:20].tolist()
    assert np.bincount(folds.astype(int), minlength=FOLDS).min() > 80


def test_leading_vectors_are_those_of_all(sequences, crowd, monkeypatch):
    train = sequences(crowd(80, 60, 20, seed=3))
    asked, weights = np.arange(60, dtype=np.int32), np.ones(60)
    dense = fit(train, 60, components=6)
    monkeypatch.setattr(factors, "_DENSE", 10)
    lanczos = fit(train, 60, components=6)
    np.testing.assert_allclose(
        dense.scores(asked, asked, weights, 1), lanczos.scores(asked, asked, weights, 1), atol=1e-4
    )


def test_what_was_found_when_iterations_ended_is_kept(sequences, crowd, monkeypatch):
    train = sequences(crowd(80, 60, 20, seed=3))
    whole = fit(train, 60, components=6)
    monkeypatch.setattr(factors, "_DENSE", 10)
    monkeypatch.setattr(factors, "_RESTARTS", 2)
    some = fit(train, 60, components=6)
    assert some.vectors.shape == whole.vectors.shape and np.isfinite(some.vectors).all()
    lengths = [np.square(model.vectors).sum(axis=1) for model in (some, whole)]
    # Fewer vectors than there are, and some of them; each found is one of those.
    assert 0 < (lengths[0] > 0).sum() < (lengths[1] > 0).sum()


def test_more_interactions_than_are_counted_are_those_of_fewer_people(sequences, crowd, monkeypatch):
    rows = crowd(80, 60, 20, seed=3)
    monkeypatch.setattr(factors, "_COUNTED", sum(map(len, rows)) // 4)
    keys = user_keys([str(user) for user in range(80)])
    drawn = (keys >> np.uint64(8)) % np.uint64(4) == 0
    few = [row if kept else [] for row, kept in zip(rows, drawn, strict=True)]
    popularity = np.bincount(np.concatenate(rows).astype(int), minlength=60).astype(np.int32)
    some, same = (fit_factors(sequences(part), popularity, keys, 4) for part in (rows, few))
    np.testing.assert_array_equal(some.vectors, same.vectors)


def test_the_most_taken_items_have_vectors(sequences):
    popularity = np.array([8, 1, 4, 0], dtype=np.int32)
    assert rows_of(popularity).tolist() == [0, 1, 2, 3]
    assert rows_of(popularity, 2).tolist() == [0, -1, 1, -1]


def test_without_components_or_interactions_there_are_none(sequences):
    counts = Counts.build(sequences([[0, 1]]), 2, components=0)
    assert counts.factors() is None and np.isnan(Graph(counts).factors(ints(0), ints(1), ONE)).all()
    assert Counts.build(sequences([[], []]), 2).factors() is None
    assert replace(counts, components=2).factors() is not None


def test_counts_in_memory_have_the_vectors_of_their_store(sequences):
    for components in (0, 3):
        stored = Counts.build(sequences([[0, 1, 2], [1, 0]]), 3, components=components)
        source = _NotInMemory(stored)
        held, kept = in_memory(source).factors(), stored.factors()
        assert (held is None) == (kept is None) == (components == 0)
        assert held is None or np.array_equal(held.vectors, kept.vectors)


class _NotInMemory:
    """Counts as a store that is no `Counts` gives them."""

    def __init__(self, counts):
        self._counts = counts

    def __getattr__(self, name):
        return getattr(self._counts, name)
