"""What is computed from a fact's counts: by hand, and in both directions."""

from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import Fact


def fact(both, base, total, population):
    return Fact("item_cf", "whole", 0, 1, both, base, total, population)


def test_rate_expected_and_lift_by_hand():
    # 131 of 214 is 61.2%; 250 of 943 people is 26.5%, so 56.7 of 214 are expected; 131 / 56.7 = 2.31.
    said = fact(131, 214, 250, 943)
    assert said.rate == pytest.approx(131 / 214)
    assert said.expected == pytest.approx(214 * 250 / 943)
    assert said.lift == pytest.approx(131 / (214 * 250 / 943)) == pytest.approx(2.309, abs=5e-4)


def test_significance_by_hand():
    # Of 100 people 40 took the subject, 20 of the 30 who are asked about: expected 12, 18, 28 and 42.
    found = 2 * (20 * log(20 / 12) + 10 * log(10 / 18) + 20 * log(20 / 28) + 50 * log(50 / 42))
    assert fact(20, 30, 40, 100).significance == pytest.approx(found)
    assert found > 0
    # 4 of the 30 instead: as far below the 12, and said so.
    found = 2 * (4 * log(4 / 12) + 26 * log(26 / 18) + 36 * log(36 / 28) + 34 * log(34 / 42))
    assert fact(4, 30, 40, 100).significance == pytest.approx(-found)
    # What nobody did has no logarithm and counts for nothing: 0 of 30.
    found = 2 * (30 * log(30 / 18) + 40 * log(40 / 28) + 30 * log(30 / 42))
    assert fact(0, 30, 40, 100).significance == pytest.approx(-found)


def test_three_shoppers_do_not_speak_like_three_thousand():
    # One in ten of 100,000 people takes the subject, three in ten of those asked about: lift 3.
    few, many = fact(3, 10, 10_000, 100_000), fact(300, 1_000, 10_000, 100_000)
    assert few.lift == pytest.approx(many.lift) == pytest.approx(3)
    assert few.significance == pytest.approx(3.1, abs=0.05)
    assert many.significance == pytest.approx(312, abs=0.5)


def test_what_popularity_predicts_is_no_surprise():
    # 12 of 30 where 40 of 100 do.
    exact = fact(12, 30, 40, 100)
    assert exact.lift == pytest.approx(1) and exact.significance == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "counts",
    [
        (0, 0, 0, 0),  # nobody at all
        (0, 0, 5, 10),  # nobody to ask
        (3, 10, 0, 0),  # no population, as for categories
        (0, 4, 0, 10),  # a subject that nobody took
        (5, 10, 5, 10),  # everybody is asked about
        (4, 6, 3, 10),  # a table that cannot be: more than took it
        (1, 8, 9, 10),  # another: 10 - 8 - (9 - 1) < 0
    ],
)
def test_where_there_is_nothing_to_compare_with_significance_is_0(counts):
    assert fact(*counts).significance == 0


def test_no_base_no_rate_and_no_expectation_no_lift():
    nothing = fact(0, 0, 0, 0)
    assert (nothing.rate, nothing.expected, nothing.lift) == (0, 0, 0)
    assert fact(3, 10, 0, 0).rate == 0.3


def test_a_subject_that_everybody_took_is_no_surprise():
    assert fact(4, 4, 10, 10).significance == 0


@st.composite
def tables(draw):
    """Users who took both, one, the other, neither."""
    both, first, second, neither = (draw(st.integers(0, 10**6)) for _ in range(4))
    return both, both + first, both + second, both + first + second + neither


@given(tables())
def test_significance_has_the_sign_of_the_surprise_and_is_symmetric_in_the_items(counts):
    both, base, total, population = counts
    there, back = fact(both, base, total, population), fact(both, total, base, population)
    assert abs(there.significance) < inf
    if 0 < base < population and 0 < total < population:
        assert there.significance == pytest.approx(back.significance, rel=1e-6, abs=1e-6)
    if both * population > base * total:
        assert there.significance >= 0
    elif both * population < base * total:
        assert there.significance <= 0


@given(tables(), st.integers(2, 50))
def test_more_of_the_same_is_surer(counts, times):
    both, base, total, population = counts
    once = fact(both, base, total, population).significance
    often = fact(times * both, times * base, times * total, times * population).significance
    assert often == pytest.approx(times * once, rel=1e-6, abs=1e-4)
