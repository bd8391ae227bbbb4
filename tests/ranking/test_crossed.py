"""Users and training seeds in one standard error, against hand calculations."""

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from starrec.ranking import crossed_error, mean_ci, ratio_ci

# Two seeds (rows) of a system on three users.
VALUES = np.array([[1.0, 3.0, 5.0], [2.0, 6.0, 7.0]])


def test_one_system_by_hand():
    # Means of the seeds 3 and 5: variance 2, over 2 seeds 1. Means of the users 1.5, 4.5, 6, about 4: squares
    # 6.25 + .25 + 4 = 10.5, over 2 is 5.25, over 3 users 1.75. Residuals of seed 0: 1 - 3 - 1.5 + 4 = .5,
    # 3 - 3 - 4.5 + 4 = -.5, 5 - 3 - 6 + 4 = 0, of seed 1 their opposites: squares 1, mean square 1 / (1 * 2) =
    # .5, over 2 seeds and 3 users 1/12.
    v, w = 1.0, 1.75 - 1 / 12
    error = crossed_error([VALUES])
    assert error.value == pytest.approx(math.sqrt(v + w))
    assert 1 / error.df == pytest.approx((v / 1 + w / 2) / (v + w))
    assert error.half_width(0.95) == pytest.approx(student_t.ppf(0.975, error.df) * error.value)
    assert error.p(2.0) == pytest.approx(2 * (1 - student_t.cdf(2 / error.value, error.df)))


def test_a_system_of_one_seed_adds_its_users_alone():
    # Less 1, 3, 8: means of the users .5, 1.5, -2, about 0: squares 6.5, over 2 users' degrees and 3 users.
    v, w = 1.0, 6.5 / 2 / 3 - 1 / 12
    error = crossed_error([VALUES, -np.array([[1.0, 3.0, 8.0]])])
    assert error.value == pytest.approx(math.sqrt(v + w))
    assert 1 / error.df == pytest.approx((v + w / 2) / (v + w))


def test_seeds_of_two_systems_are_pooled_as_welch_does():
    # Users all alike: nothing but seeds. Variances 2 / 2 and 1 / 3 with 1 and 2 degrees of freedom.
    a, b = np.array([[0.0], [2.0]]), np.array([[0.0], [1.0], [2.0]])
    error = crossed_error([np.tile(a, 4), -np.tile(b, 4)])
    assert error.value == pytest.approx(math.sqrt(1 + 1 / 3))
    assert error.df == pytest.approx((1 + 1 / 3) ** 2 / (1 / 1 + (1 / 3) ** 2 / 2))


def test_nothing_that_varies_leaves_no_error():
    error = crossed_error([np.ones((3, 4))])
    assert (error.half_width(0.95), error.p(0.0), error.p(0.1)) == (0, 1, 0)


def test_one_seed_repeated_adds_no_variance_of_seeds():
    users = np.random.default_rng(0).random(300)
    error = crossed_error([np.tile(users, (3, 1))])
    assert error.value == pytest.approx(users.std(ddof=1) / math.sqrt(300))
    assert error.df == pytest.approx(299)


def test_a_mean_over_seeds_by_hand():
    # Two draws of two users and one of the third: a user's draws belong together. Seeds' means over tasks 2.4
    # and 3.6. Linearised: (sum - 3 * draws) / (5 / 3).
    values = np.array([[1, 2, 3, 2, 4], [2, 3, 5, 4, 4]])
    users = ["u", "u", "v", "v", "w"]
    sums = np.array([[3, 5, 4], [5, 9, 4]])
    error = crossed_error([(sums - 3 * np.array([2, 2, 1])) / (5 / 3)])
    around = error.half_width(0.95)
    assert mean_ci(values, users, seed=0) == pytest.approx((3 - around, 3 + around))


def test_a_ratio_over_seeds_by_hand():
    # Means 4 and 2: influences a / 4 and b / 2 on the logarithm of the ratio 2.
    b = np.array([1.0, 2.0, 3.0])
    error = crossed_error([VALUES / 4, -b[None] / 2])
    found = ratio_ci(VALUES, b, ["u", "v", "w"], seed=0)
    around = error.half_width(0.95)
    bounds = [2, 2 * math.exp(-around), 2 * math.exp(around)]
    assert [found.ratio, found.lo, found.hi] == pytest.approx(bounds)
    assert found.p == pytest.approx(error.p(math.log(2)))
    assert (found.n_users, found.n_tasks) == (3, 3)
    turned = ratio_ci(b, VALUES, ["u", "v", "w"], seed=0)
    assert [1 / turned.ratio, 1 / turned.hi, 1 / turned.lo] == pytest.approx(bounds)
    assert turned.p == pytest.approx(found.p)


def test_an_interval_excludes_one_where_p_is_below_its_level():
    generator = np.random.default_rng(3)
    for _ in range(50):
        a, b = generator.random((3, 20)) + 0.1 * generator.random((3, 1)), generator.random(20)
        found = ratio_ci(a, b, np.arange(20), seed=0)
        assert (found.p < 0.05) == (not found.lo <= 1 <= found.hi)


def test_a_system_that_never_hits_has_no_ratio_but_a_p_value():
    nothing, something = np.zeros((2, 4)), np.array([1.0, 1.0, 2.0, 1.0])
    found = ratio_ci(something, nothing, np.arange(4), seed=0)
    assert np.isnan([found.ratio, found.lo, found.hi]).all() and found.p < 0.05
    turned = ratio_ci(nothing, something, np.arange(4), seed=0)
    assert turned.ratio == 0 and np.isnan([turned.lo, turned.hi]).all() and turned.p == found.p
