"""A store of a small shop, and the same counts in memory."""

import numpy as np
import polars as pl
import pytest

from starrec.data import build as make_dataset
from starrec.signals import Counts
from starrec.signals.factors import user_keys
from starrec.store import LmdbStore, Log, Settings, Versions, build

DAY = 86_400
SETTINGS = Settings(history_cap=12, kept=5, ease_items=20, ridge=3.0)


def _dataset(order="clock", users=40, items=25, seed=0):
    random = np.random.default_rng(seed)
    rows = [
        (f"u{user}", f"i{item}", int(random.integers(0, 60 * DAY)) if order == "clock" else place, None)
        for user in range(users)
        for place, item in enumerate(random.permutation(items)[: random.integers(1, 16)].tolist())
    ]
    interactions = pl.DataFrame(
        rows, schema={"user_id": pl.String, "item_id": pl.String, "time": pl.Int64, "rating": pl.Float32},
        orient="row",
    )  # fmt: skip
    catalogue = pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(items)],
            "title": [f"Item “{item}” 数" for item in range(items)],
            "categories": [["a|b", "c"][: item % 3] for item in range(items)],
            "year": [None if item % 2 else 1990 + item for item in range(items)],
        },
        schema_overrides={"categories": pl.List(pl.String)},
    )
    return make_dataset("shop", order, interactions, catalogue)


@pytest.fixture(scope="session", params=["clock", "position"])
def shop(request):
    """A dataset, with times and with positions."""
    return _dataset(request.param)


@pytest.fixture(scope="session")
def log(shop):
    return Log.of(shop, 3)


@pytest.fixture
def counts(log):
    """What a store must answer, in memory."""
    keys = user_keys(log.user_ids)
    return Counts.build(
        log.sequences(), log.n_items, history_cap=12, kept=5, ease_items=20, ridge=3.0, keys=keys
    )


@pytest.fixture
def versions(tmp_path, log):
    """One version, just built."""
    made = Versions(tmp_path / "evidence", grace=0)
    build(made, log, "first", SETTINGS)
    return made


@pytest.fixture
def source(versions):
    return LmdbStore.open(versions.folder)


def _places(source, items):
    packed = source.packed_postings(items)
    return [packed.places[part] for part in map(slice, packed.start.tolist(), packed.end.tolist())]


def same_answers(source, counts):
    """Whether a source answers everything as counts do."""
    items = np.arange(counts.about.n_items, dtype=np.int32)
    some = np.array([7, 3, 3, 24, 0], dtype=np.int32)
    assert source.about == counts.about
    for name in ("lengths", "popularity", "daily"):
        assert np.array_equal(getattr(source, name), getattr(counts, name)), name
    for asked in (items, some, items[:0]):
        lists = [(source.postings(asked), counts.postings(asked))]
        lists.append([_places(each, asked) for each in (source, counts)])
        if counts.about.clock:
            lists.append((source.item_days(asked), counts.item_days(asked)))
        for found, wanted in lists:
            assert len(found) == len(wanted) and all(map(np.array_equal, found, wanted))
            assert all(part.dtype == np.int32 for part in found)
        near, wanted_near = source.neighbours(asked), counts.neighbours(asked)
        assert np.array_equal(near.items, wanted_near.items) and np.array_equal(near.both, wanted_near.both)
    users = np.array([5, 0, 5, 39], dtype=np.int32)
    assert np.array_equal(source.sequences(users).values, counts.sequences(users).values)
    for user in range(counts.about.n_users):
        for found, wanted in zip(source.sequence(user), counts.sequence(user), strict=True):
            assert (found is None and wanted is None) or np.array_equal(found, wanted)
    model, wanted_model = source.ease(), counts.ease()
    assert np.array_equal(model.items, wanted_model.items)
    assert np.array_equal(model.precision, wanted_model.precision)
    assert (model.threshold, model.spare) == (wanted_model.threshold, wanted_model.spare)


@pytest.fixture(scope="session")
def answers_like():
    """Asserts that a source answers everything as counts do."""
    return same_answers
