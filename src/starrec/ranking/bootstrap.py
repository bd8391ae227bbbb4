"""Intervals for means and for ratios of means, resampling users.

A user's tasks (three draws of negatives for one target) share the user's luck, so they are not independent:
treating them as such would make intervals too narrow. Each resample therefore draws users with replacement
and takes all tasks of a drawn user together. Only per-user sums enter, so a resample costs one gather over
users, whatever the tasks. Percentile intervals (Efron and Tibshirani, *An Introduction to the Bootstrap*,
1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Drawn users a block: 4 million indices of 8 bytes and the sums gathered by them stay under 100 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """System a against system b on the same tasks."""

    ratio: float
    """mean(a) / mean(b); NaN when b's mean is 0."""
    lo: float
    hi: float
    """95% interval of the ratio; NaN when b's mean is 0."""
    p: float
    """Two-sided bootstrap p-value of no difference, at least 2 / (n_resamples + 1)."""
    n_users: int
    n_tasks: int


def mean_ci(
    values: ArrayLike, users: ArrayLike, *, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean of values `(n,)` over tasks, where users `(n,)` names each task's user (any
    labels).

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    sums, counts = _per_user(users, values)
    means = [
        sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        for drawn in _resamples(len(counts), n_resamples, seed)
    ]
    return _interval(np.concatenate(means), level)


def ratio_ci(
    a: ArrayLike, b: ArrayLike, users: ArrayLike, *, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> Comparison:
    """Paired comparison of a `(n,)` with b `(n,)`, values of the same n tasks, whose users `(n,)` are
    resampled.

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    sums_a, counts = _per_user(users, a)
    sums_b, _ = _per_user(users, b)
    drawn_sums = [
        (sums_a[drawn].sum(axis=1), sums_b[drawn].sum(axis=1))
        for drawn in _resamples(len(counts), n_resamples, seed)
    ]
    drawn_a = np.concatenate([part for part, _ in drawn_sums])
    drawn_b = np.concatenate([part for _, part in drawn_sums])
    # The sign of the difference decides p: unlike the ratio it exists in every resample.
    smaller = min(np.count_nonzero(drawn_a <= drawn_b), np.count_nonzero(drawn_a >= drawn_b))
    p = min(1.0, 2 * (smaller + 1) / (n_resamples + 1))
    ratio = lo = hi = float("nan")
    if sums_b.sum() > 0:
        ratio = float(sums_a.sum() / sums_b.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            lo, hi = _interval(drawn_a / drawn_b, level)
    return Comparison(ratio, lo, hi, p, n_users=len(counts), n_tasks=int(counts.sum()))


def _per_user(users: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim != 1 or flat.shape != np.shape(users) or not len(flat):
        raise ValueError(f"need equally many values and users, at least one: {flat.shape}, {np.shape(users)}")
    _, index = np.unique(np.asarray(users), return_inverse=True)
    return np.bincount(index, weights=flat).astype(np.float64), np.bincount(index).astype(np.int64)


def _resamples(n_users: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks `(rows, n_users)` of drawn users; n_resamples rows in all."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n_users)
    for start in range(0, n_resamples, rows):
        yield generator.integers(n_users, size=(min(rows, n_resamples - start), n_users))


def _interval(statistics: NDArray[np.float64], level: float) -> tuple[float, float]:
    lo, hi = np.quantile(statistics[~np.isnan(statistics)], [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)
