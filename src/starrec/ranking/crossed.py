"""Standard error of a mean over users and training seeds, both drawn at random and crossed with each other.

Every seed's system answers every user, so a system's mean varies for two reasons: which users there are, and
which seed it was trained with. A value is modelled as grand mean + user + seed + remainder (two-way crossed
random effects, one value a cell). The spread between the seeds' means is measured on finitely many users: it
holds the remainder's variance once more, which the spread between users already counts. The unbiased variance
of the grand mean over S seeds and n users therefore takes it away once (Searle, Casella and McCulloch,
*Variance Components*, 1992, chapter 4; the same problem with readers and cases of a diagnostic test: Hillis,
Statistics in Medicine 26, 2007):

    between seeds    v = s²(means of the seeds) / S                 S - 1 degrees of freedom
    between users    u = s²(means of the users over seeds) / n      n - 1
    remainder        e = residual mean square / (S n)
    variance         v + w,  w = max(u - e, 0)

u is the variance that a bootstrap over users has in the limit of many resamples, because the statistic is a sum
over users. The quantile is Student's, with degrees of freedom

    1 / df = (v / (S - 1) + w / (n - 1)) / (v + w)

which is to first order in 1 / df the mean of the two quantiles by their shares of the variance (Cochran,
*Biometrics* 20, 1964). Satterthwaite's formula has the squares of these shares instead. With 3 seeds they are
themselves estimated from two degrees of freedom, which makes that quantile too small where seeds vary more than
users. How often the intervals hold the truth: `benchmarks/evaluation.py coverage`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StandardError:
    """Of an estimate whose error divided by it follows Student's t."""

    value: float
    df: float
    """Degrees of freedom; infinite where nothing varies."""

    def half_width(self, level: float) -> float:
        """Of the interval around the estimate that holds the truth with probability `level`."""
        from scipy.special import stdtrit

        return float(stdtrit(self.df, (1 + level) / 2)) * self.value

    def p(self, estimate: float) -> float:
        """Two-sided p-value of a true value of 0."""
        if self.value == 0:
            return float(estimate == 0)
        from scipy.special import stdtr  # what scipy.stats would call, without importing all of it

        return float(2 * stdtr(self.df, -abs(estimate) / self.value))


def crossed_error(systems: Sequence[NDArray[np.float64]]) -> StandardError:
    """Standard error of the sum of the systems' grand means.

    Args:
        systems: values of each system, `(seeds, users)`, all over the same users; a difference is a system and
            another with its sign turned. Seeds of two systems are taken to be independent. A system with one
            row adds no variance of seeds: the error is then that of this training of it.

    Systems' seed variances are pooled as Welch's (each with its own degrees of freedom, by Satterthwaite).
    """
    n_users = systems[0].shape[1]
    trained = [system for system in systems if len(system) > 1]
    seeds = np.array([system.mean(axis=1).var(ddof=1) / len(system) for system in trained])
    between_seeds = float(seeds.sum())
    over_seeds = np.sum([system.mean(axis=0) for system in systems], axis=0)
    between_users = float(over_seeds.var(ddof=1)) / n_users if n_users > 1 else 0.0
    users_alone = max(between_users - sum(map(_remainder, trained)), 0.0)
    variance = between_seeds + users_alone
    inverse_df = users_alone / max(n_users - 1, 1)
    if between_seeds > 0:
        squares = seeds**2 / np.array([len(system) - 1 for system in trained])
        inverse_df += float(squares.sum()) / between_seeds
    return StandardError(math.sqrt(variance), variance / inverse_df if inverse_df > 0 else np.inf)


def _remainder(system: NDArray[np.float64]) -> float:
    """Variance of the grand mean that comes from what is neither a user's nor a seed's."""
    n_seeds, n_users = system.shape
    if n_users == 1:
        return 0.0
    residual = system - system.mean(axis=1, keepdims=True) - system.mean(axis=0) + system.mean()
    return float((residual**2).sum() / ((n_seeds - 1) * (n_users - 1) * n_seeds * n_users))
