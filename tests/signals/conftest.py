"""Interactions with days, and what is counted from them by brute force."""

import numpy as np
import pytest
from hypothesis import strategies as st


def _dated(data, rows):
    """Days in order for each of these rows, some before 1970."""
    return [
        sorted(data.draw(st.lists(st.integers(-20, 30), min_size=len(row), max_size=len(row)))) for row in rows
    ]


@pytest.fixture(scope="session")
def dated():
    return _dated


def _crowd(n_users, n_items, longest, seed):
    """Rows of users who take popular items more often than others."""
    random = np.random.default_rng(seed)
    weight = 1 / np.arange(1, n_items + 1) ** 0.7
    return [
        random.choice(
            n_items, size=int(random.integers(0, longest + 1)), replace=False, p=weight / weight.sum()
        ).tolist()
        for _ in range(n_users)
    ]


@pytest.fixture(scope="session")
def crowd():
    return _crowd


def _taken(rows, n_items):
    """`(n_users, n_items)` 1 where a user took an item."""
    matrix = np.zeros((len(rows), n_items))
    for user, row in enumerate(rows):
        matrix[user, row] = 1
    return matrix


@pytest.fixture(scope="session")
def taken():
    return _taken
