"""Intervals that resample users, with all their draws together."""

import numpy as np
import pytest

from starrec.ranking import mean_ci, ratio_ci


def test_interval_matches_the_normal_approximation_over_users():
    # 400 users, one task each, half of them hits: standard error sqrt(.25 / 400) = 0.025, so .5 -+ 1.96 *
    # 0.025.
    values = np.tile([0.0, 1.0], 200)
    lo, hi = mean_ci(values, np.arange(400), seed=0)
    assert (lo, hi) == pytest.approx((0.451, 0.549), abs=0.006)


def test_copies_of_a_users_task_do_not_narrow_the_interval():
    # Three identical draws a user carry no more than one: the very same resamples, the very same interval.
    values = np.tile([0.0, 1.0], 200)
    once = mean_ci(values, np.arange(400), seed=0)
    thrice = mean_ci(np.repeat(values, 3), np.repeat(np.arange(400), 3), seed=0)
    assert thrice == pytest.approx(once)
    as_if_independent = mean_ci(np.repeat(values, 3), np.arange(1200), seed=0)
    assert as_if_independent[1] - as_if_independent[0] < 0.7 * (once[1] - once[0])


def test_user_labels_and_task_order_do_not_matter():
    values, users = np.array([1.0, 0.0, 1.0, 1.0]), np.array(["b", "a", "b", "c"])
    order = [3, 1, 2, 0]
    assert mean_ci(values, users, seed=1) == mean_ci(values[order], users[order], seed=1)


def test_ratio_of_a_constant_factor_is_exact():
    # a is always 1.5 times b, so every resample has the ratio 1.5 and a is larger in every one: the least p
    # there is.
    b = np.random.default_rng(0).random(60)
    result = ratio_ci(1.5 * b, b, np.arange(60) // 3, seed=0, n_resamples=999)
    assert (result.ratio, result.lo, result.hi) == pytest.approx((1.5, 1.5, 1.5))
    assert result.p == pytest.approx(2 / 1000)
    assert (result.n_users, result.n_tasks) == (20, 60)


def test_equal_systems_do_not_differ():
    values = np.array([1.0, 0.0, 1.0])
    result = ratio_ci(values, values, [0, 1, 2], seed=0)
    assert result.ratio == 1.0 and result.p == 1.0


def test_pairing_sees_what_separate_intervals_cannot():
    # a improves on b by 0.05 for everyone; users themselves vary a lot.
    b = np.random.default_rng(1).random(200)
    result = ratio_ci(b + 0.05, b, np.arange(200), seed=0)
    assert result.lo > 1.0 and result.p < 0.01
    assert mean_ci(b, np.arange(200), seed=0)[1] > mean_ci(b + 0.05, np.arange(200), seed=0)[0]


def test_swapping_systems_inverts_the_ratio():
    generator = np.random.default_rng(2)
    a, b, users = generator.random(90), generator.random(90), np.arange(90) // 3
    forward, backward = ratio_ci(a, b, users, seed=0), ratio_ci(b, a, users, seed=0)
    assert forward.ratio == pytest.approx(1 / backward.ratio)
    assert forward.p == backward.p
    assert forward.lo == pytest.approx(1 / backward.hi, rel=1e-3)


def test_a_system_that_never_hits_gives_no_ratio():
    result = ratio_ci([1.0, 0.0], [0.0, 0.0], [0, 1], seed=0)
    assert np.isnan([result.ratio, result.lo, result.hi]).all()


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="equally many"):
        mean_ci([1.0], [0, 1], seed=0)
    with pytest.raises(ValueError, match="at least one"):
        mean_ci([], [], seed=0)
