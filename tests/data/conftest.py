"""A small dataset with many ties in time."""

import numpy as np
import polars as pl
import pytest

from starrec.data import build, leave_one_out


def frames(n_users=40, n_items=60, seed=0):
    """Interactions and items with string ids; users take 1 to 25 items, at few distinct times around the start
    of 1970. A third is not rated."""
    generator = np.random.default_rng(seed)
    rows = [
        (
            f"u{user}",
            f"i{item}",
            int(generator.integers(5)) * 50_000 - 100_000,
            float(generator.integers(1, 6)) if generator.random() < 2 / 3 else None,
        )
        for user in range(n_users)
        for item in generator.permutation(n_items)[: 1 + user % 25]
    ]
    interactions = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "rating"], orient="row")
    items = pl.DataFrame({"item_id": [f"i{item}" for item in range(n_items)]}).with_columns(
        title=pl.format("Title {}", "item_id")
    )
    return interactions, items


@pytest.fixture(scope="session")
def tables():
    return frames()


@pytest.fixture(scope="session")
def dataset(tables):
    return build("small", "clock", *tables)


@pytest.fixture(scope="module")
def sequences(dataset):
    return dataset.sequences(0)


@pytest.fixture(scope="module")
def split(sequences):
    return leave_one_out(sequences)
