"""Simulated evaluations whose true mean and ratio are known, for the coverage of intervals.

A task's score is a sum of normal effects: how easy the user is, how easy her candidates are, how good this
training of the system is, what this training makes of this user, and chance. A system hits at 1, 3 or 5 where
the score is above a cut, so its value of a task is 0, 1/3, 2/3 or 1 as avg_hr is, and its true mean over all
users and all trainings is a sum of normal probabilities. Systems of one evaluation share users and candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

USER: Final = 0.8
CANDIDATES: Final = 0.4
USER_OF_SEED: Final = 0.4
CHANCE: Final = 0.5
"""Standard deviations of the effects; that of a mean over 300 users, 3 draws each, is about .05."""
SEED_SPREADS: Final[Mapping[str, float]] = {"none": 0.0, "like users": 0.05, "four times users": 0.2}
"""Standard deviations between trainings."""
CUTS: Final = np.array([0.1, -0.6, -1.1])
LEVELS: Final[Mapping[str, float]] = {"a": 0.1, "b": 0.0}


@dataclass(frozen=True)
class Drawn:
    """Values of the tasks of one simulated evaluation."""

    a: NDArray[np.float64]
    """`(seeds, tasks)`."""
    b: NDArray[np.float64]
    """`(seeds, tasks)`."""
    fixed: NDArray[np.float64]
    """`(1, tasks)`, of a system whose trainings are all alike."""


@dataclass(frozen=True)
class Simulation:
    """Evaluations of systems trained with some seeds on some users with some draws each."""

    n_users: int
    n_draws: int
    n_seeds: int
    seed_spread: float

    @property
    def users(self) -> NDArray[np.int64]:
        """The user of each task, `(tasks,)`."""
        return np.repeat(np.arange(self.n_users), self.n_draws)

    @property
    def true_mean(self) -> float:
        """Of a."""
        return self._mean("a", self.seed_spread)

    def true_ratio(self, seeds_of_b: int) -> float:
        """Of a's mean over that of b, or of the fixed system where b has one seed."""
        return self.true_mean / self._mean("b", self.seed_spread if seeds_of_b > 1 else 0.0)

    def draw(self, number: int) -> Drawn:
        """The simulation of this number."""
        generator = np.random.default_rng([number, self.n_seeds, round(1000 * self.seed_spread)])
        shared = generator.normal(0, USER, (self.n_users, 1))
        shared = shared + generator.normal(0, CANDIDATES, (self.n_users, self.n_draws))

        def system(level: float, seeds: int, spread: float) -> NDArray[np.float64]:
            scores = level + shared + generator.normal(0, spread, (seeds, 1, 1))
            scores = scores + generator.normal(0, USER_OF_SEED, (seeds, self.n_users, 1))
            scores = scores + generator.normal(0, CHANCE, (seeds, self.n_users, self.n_draws))
            hits = (scores[..., None] > CUTS).mean(axis=-1)
            return hits.reshape(seeds, -1)

        return Drawn(
            a=system(LEVELS["a"], self.n_seeds, self.seed_spread),
            b=system(LEVELS["b"], self.n_seeds, self.seed_spread),
            fixed=system(LEVELS["b"], 1, 0.0),
        )

    def _mean(self, system: str, spread: float) -> float:
        deviation = np.sqrt(USER**2 + CANDIDATES**2 + USER_OF_SEED**2 + CHANCE**2 + spread**2)
        return float(norm.sf((CUTS - LEVELS[system]) / deviation).mean())
