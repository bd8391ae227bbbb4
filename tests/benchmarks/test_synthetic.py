"""The generator of the scale benchmarks keeps the shape that it promises, at a size that takes a second."""

import numpy as np
import pytest

import synthetic
from starrec.data import load_tables

N = 100_000


@pytest.fixture(scope="module")
def made():
    return synthetic.generate(N, seed=5)


def test_the_shape_is_that_of_movielens_25m(made):
    shape = synthetic.shape(made)
    assert shape["interactions"] == pytest.approx(N, rel=0.03)
    assert (shape["users"], shape["items"]) == (round(N / 154), round(59_047 * (N / 25e6) ** 0.5))
    assert np.bincount(made.users).min() in (20, 21)
    assert shape["median_per_user"] == pytest.approx(71, abs=5)
    assert shape["p99_per_user"] == pytest.approx(1_300, rel=0.15)
    assert 1 / 3 <= shape["most_popular_share"] <= 1 / 2


def test_nobody_takes_an_item_twice_and_clocks_go_on(made):
    pairs = made.users.astype(np.int64) * made.n_items + made.items
    assert len(np.unique(pairs)) == len(pairs)
    same_user = np.diff(made.users) == 0
    assert np.all(np.diff(made.users) >= 0) and np.all(np.diff(made.times)[same_user] > 0)


def test_a_seed_says_everything(made):
    again, other = synthetic.generate(N, seed=5), synthetic.generate(N, seed=6)
    assert all(map(np.array_equal, made, again))
    assert not np.array_equal(made.items[:1000], other.items[:1000])


def test_members_of_a_community_meet_at_its_items(made):
    """Of two items of one community, more people took both; drawn by popularity alone, the ratio would be 1."""
    taken = np.zeros((made.n_users, made.n_items), dtype=np.float64)
    taken[made.users, made.items] = 1
    popularity = taken.sum(axis=0)
    # Without the longest histories, which hold a little of everything.
    light = taken[taken.sum(axis=1) < 200]
    first = synthetic.catalogue_frame(N, seed=5)["categories"].list.first().to_numpy()
    head = np.argsort(-popularity)[:300]
    together = light[:, head].T @ light[:, head]
    expected = np.outer(light[:, head].sum(axis=0), light[:, head].sum(axis=0)) / len(light)
    alike = first[head][:, None] == first[head][None, :]
    np.fill_diagonal(alike, False)
    unlike = ~alike & ~np.eye(len(head), dtype=bool)
    lift = [together[pairs].sum() / expected[pairs].sum() for pairs in (alike, unlike)]
    assert lift[0] > 1.5 * lift[1]


def test_starrec_reads_the_files_as_they_are(made, tmp_path):
    synthetic.write(made, synthetic.catalogue_frame(N, seed=5), tmp_path)
    dataset, report = load_tables(tmp_path / "interactions.parquet", tmp_path / "items.parquet")
    assert not report.rows and dataset.repeats == 0 and dataset.order == "clock"
    sequences = dataset.sequences(0)
    ids = np.array(dataset.item_ids)
    last = int(dataset.user_ids[-1])
    assert (
        ids[sequences.of(dataset.n_users - 1)].tolist() == made.items[made.users == last].astype(str).tolist()
    )
