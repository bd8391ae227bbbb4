"""Simulated evaluations have the truth that they state, and intervals hold it as often as they should."""

import numpy as np
import pytest

from simulated import Simulation
from starrec.ranking import mean_ci, ratio_ci


def test_the_true_mean_is_what_many_simulations_give():
    simulation = Simulation(n_users=50, n_draws=2, n_seeds=4, seed_spread=0.2)
    drawn = [simulation.draw(number) for number in range(400)]
    for values, truth in (
        ([each.a.mean() for each in drawn], simulation.true_mean),
        ([each.b.mean() for each in drawn], simulation.true_mean / simulation.true_ratio(4)),
        ([each.fixed.mean() for each in drawn], simulation.true_mean / simulation.true_ratio(1)),
    ):
        assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / 20)


def test_intervals_over_three_seeds_hold_the_truth_as_often_as_they_say():
    simulation = Simulation(n_users=100, n_draws=3, n_seeds=3, seed_spread=0.1)
    held = []
    for number in range(400):
        drawn = simulation.draw(number)
        low, high = mean_ci(drawn.a, simulation.users, seed=0)
        ratio = ratio_ci(drawn.a, drawn.b, simulation.users, seed=0)
        truths = simulation.true_mean, simulation.true_ratio(3)
        held.append((low <= truths[0] <= high, ratio.lo <= truths[1] <= ratio.hi))
    # 95%, with 2 points of tolerance and 3 standard errors of 400 simulations.
    assert np.mean(held, axis=0) == pytest.approx([0.95, 0.95], abs=0.02 + 3 * np.sqrt(0.95 * 0.05 / 400))
