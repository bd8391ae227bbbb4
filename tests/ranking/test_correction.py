"""Holm's procedure against a hand calculation."""

import pytest

from starrec.ranking import holm


def test_by_hand():
    # In order .01, .02, .03, .04, times 4, 3, 2, 1: .04, .06, .06, .04; the last may not fall below the third.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_no_p_value_passes_one_and_one_comparison_stays_as_it_is():
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
