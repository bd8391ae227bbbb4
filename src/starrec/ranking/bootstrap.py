"""Intervals for means and for ratios of means, over users and training seeds.

A user's tasks (three draws of negatives for one target) share the user's luck, so they are not independent:
treating them as such would make intervals too narrow. Each resample therefore draws users with replacement
and takes all tasks of a drawn user together. Only per-user sums enter, so a resample costs one gather over
users, whatever the tasks. Percentile intervals (Efron and Tibshirani, *An Introduction to the Bootstrap*,
1993, chapter 13).

A system that was trained with several seeds is the mean of its trainings, and its interval says what further
trainings would give: the variance of the bootstrap over users, which is known without drawing because means are
sums over users, and the variance between seeds make one t interval (`crossed`). Ratios are treated by their
logarithm, linearised in the two means: log(a / b) moves by a user's or seed's a / mean(a) - b / mean(b).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starrec.ranking.crossed import crossed_error

# Drawn users a block: 4 million indices of 8 bytes and the sums gathered by them stay under 100 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """System a against system b on the same tasks."""

    ratio: float
    """mean(a) / mean(b); NaN when b's mean is 0."""
    lo: float
    hi: float
    """95% interval of the ratio; NaN when b's mean is 0, and with several seeds also when a's is."""
    p: float
    """Two-sided p-value of no difference: by the bootstrap, then at least 2 / (n_resamples + 1); with several
    seeds of a system by Student's t."""
    n_users: int
    n_tasks: int


def mean_ci(
    values: ArrayLike, users: ArrayLike, *, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean of values over tasks, where users `(n,)` names each task's user (any labels).

    Args:
        values: `(n,)`, or `(s, n)` with a row for each training seed of the system.
        seed: of the bootstrap, which serves where there is one training seed.

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    sums, counts = _per_user(users, values)
    if len(sums) > 1:
        # The mean over tasks, linearised in the users' sums and numbers of tasks.
        mean = sums.mean(axis=0).sum() / counts.sum()
        around = crossed_error([(sums - mean * counts) / counts.mean()]).half_width(level)
        return float(mean - around), float(mean + around)
    means = [
        sums[0, drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        for drawn in _resamples(len(counts), n_resamples, seed)
    ]
    return _interval(np.concatenate(means), level)


def ratio_ci(
    a: ArrayLike, b: ArrayLike, users: ArrayLike, *, seed: int, n_resamples: int = 2000, level: float = 0.95
) -> Comparison:
    """Paired comparison of a with b, values of the same n tasks, whose users `(n,)` are resampled.

    Args:
        a, b: `(n,)`, or `(s, n)` with a row for each training seed of the system. Of a system with one row that
            training is compared, without the variance of others.
        seed: of the bootstrap, which serves where both have one training seed.

    Raises:
        ValueError: there are no values, or the lengths differ.
    """
    sums_a, counts = _per_user(users, a)
    sums_b, _ = _per_user(users, b)
    if len(sums_a) == len(sums_b) == 1:
        ratio, lo, hi, p = _bootstrapped(sums_a[0], sums_b[0], seed, n_resamples, level)
    else:
        ratio, lo, hi, p = _over_seeds(sums_a, sums_b, level)
    return Comparison(ratio, lo, hi, p, n_users=len(counts), n_tasks=int(counts.sum()))


def _bootstrapped(
    sums_a: NDArray[np.float64], sums_b: NDArray[np.float64], seed: int, n_resamples: int, level: float
) -> tuple[float, float, float, float]:
    drawn_sums = [
        (sums_a[drawn].sum(axis=1), sums_b[drawn].sum(axis=1))
        for drawn in _resamples(len(sums_a), n_resamples, seed)
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
    return ratio, lo, hi, p


def _over_seeds(
    of_a: NDArray[np.float64], of_b: NDArray[np.float64], level: float
) -> tuple[float, float, float, float]:
    mean_a, mean_b = float(of_a.mean()), float(of_b.mean())
    if min(mean_a, mean_b) <= 0:
        # No logarithm: the difference alone can be tested.
        p = crossed_error([of_a, -of_b]).p(mean_a - mean_b)
        return mean_a / mean_b if mean_b > 0 else float("nan"), float("nan"), float("nan"), p
    log_ratio = float(np.log(mean_a / mean_b))
    error = crossed_error([of_a / mean_a, -of_b / mean_b])
    around = error.half_width(level)
    bounds = np.exp([log_ratio, log_ratio - around, log_ratio + around]).tolist()
    return bounds[0], bounds[1], bounds[2], error.p(log_ratio)


def _per_user(users: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of values `(seeds, users)` and numbers of tasks `(users,)`."""
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1:] != np.shape(users) or not rows.size:
        raise ValueError(f"need equally many values and users, at least one: {rows.shape}, {np.shape(users)}")
    _, index = np.unique(np.asarray(users), return_inverse=True)
    sums = [np.bincount(index, weights=row) for row in rows]
    return np.array(sums, dtype=np.float64), np.bincount(index).astype(np.int64)


def _resamples(n_users: int, n_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks `(rows, n_users)` of drawn users; n_resamples rows in all."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n_users)
    for start in range(0, n_resamples, rows):
        yield generator.integers(n_users, size=(min(rows, n_resamples - start), n_users))


def _interval(statistics: NDArray[np.float64], level: float) -> tuple[float, float]:
    lo, hi = np.quantile(statistics[~np.isnan(statistics)], [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)
