"""Distributions of signals and their shift from training, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.evaluation import signal_distributions
from starrec.evaluation.signal_shift import shift

UNKNOWN = math.nan


def test_unknown_share_quantiles_and_shift_by_hand():
    samples = {
        "trained_random": [[0, 1, 2, 3, 4], [7, 7, UNKNOWN, UNKNOWN, UNKNOWN]],
        "evaluated": [[2, 3, 4, 5], [UNKNOWN] * 4],
        "trained_retrieved": [[1, 2], [5, 6]],
        "live": [[2, 1], [5, UNKNOWN]],
    }
    found = signal_distributions({kind: np.array(of, float) for kind, of in samples.items()}, ["ease", "trend"])
    # Of 0, 1, 2, 3, 4 the median is 2, and a tenth of the way from least to greatest is .4.
    assert found["ease"]["trained_random"] == {"unknown": 0.0, "quantiles": pytest.approx([0.4, 2, 3.6])}
    # At 1, 2 of 5 trained scores are reached, and none of those evaluated.
    assert found["ease"]["evaluated"]["shift"] == pytest.approx(0.4)
    assert found["ease"]["live"]["shift"] == 0.0
    assert found["trend"]["trained_random"] == {"unknown": 0.6, "quantiles": pytest.approx([7, 7, 7])}
    # Where all are unknown there is no quantile; below any score lie 3 of 5 against 4 of 4.
    assert found["trend"]["evaluated"] == {"unknown": 1.0, "quantiles": None, "shift": pytest.approx(0.4)}
    # Unknown and 5 of two against 5 and 6 of two: half lies below 5 and none; at 5 all and half.
    assert found["trend"]["live"] == {"unknown": 0.5, "quantiles": [5, 5, 5], "shift": 0.5}


def test_the_shift_is_1_where_one_is_above_all_of_the_other_or_unknown():
    low, high, unknown = np.array([-3.0, 0.0]), np.array([1.0, 2.0, 3.0]), np.full(2, UNKNOWN)
    for one, other in ((low, high), (high, low), (low, unknown), (unknown, high)):
        assert shift(one, other) == 1.0
    assert shift(unknown, unknown) == 0.0


@given(st.lists(st.floats(-5, 5) | st.just(UNKNOWN), min_size=2), st.lists(st.floats(-5, 5), min_size=2))
def test_the_shift_is_of_order_alone_and_of_no_side(one, other):
    one, other = np.array(one), np.array(other)
    found = shift(one, other)
    assert 0 <= found <= 1 and shift(other, one) == found
    assert shift(one, one) == 0.0
    # However often each is repeated, the distribution is the same.
    assert shift(np.repeat(one, 3), other) == pytest.approx(found)
