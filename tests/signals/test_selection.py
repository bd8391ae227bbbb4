"""What is said where not everything can be: the most telling, of several kinds, the same in every run."""

from itertools import pairwise
from math import log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.errors import ConfigError
from starrec.signals import Fact, select
from starrec.signals.selection import strength


def item_cf(both, base=100, subject=1, total=1000, population=100_000):
    return Fact("item_cf", "whole", 0, subject, both, base, total, population)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_of_nothing_is_an_error_that_says_what_to_do(budget):
    with pytest.raises(ConfigError, match=f"budget of {budget} .*at least 1"):
        select([item_cf(50)], budget)


def test_the_surest_fact_comes_first():
    # At one anchor of 100 people one in a hundred would take it: 50 are surer than 20, 20 than 4.
    facts = [item_cf(4), item_cf(50), item_cf(20)]
    assert select(facts, 1) == [item_cf(50)]
    assert select(facts, 9) == [item_cf(50), item_cf(20), item_cf(4)]
    assert strength(item_cf(50)) == log1p(item_cf(50).significance)


def test_what_speaks_against_is_as_telling_as_what_speaks_for():
    against = Fact("contrary", "whole", 0, 2, 1, 2000, 5000, 100_000)
    assert against.significance < -100
    assert strength(against) == log1p(-against.significance)
    # Nearly nobody is the point of it: few people are no reason to leave it out.
    assert select([against], 3) == [against]


@pytest.mark.parametrize(
    "kind", ["item_cf", "transition", "following", "around", "user_cf", "popularity", "trend"]
)
def test_what_rests_on_fewer_people_than_support_is_left_out(kind):
    few, enough = (Fact(kind, "", 0, 1, both, 40, 500, 100_000) for both in (2, 3))
    assert select([few, enough], 5) == [enough]
    assert select([few], 5, support=0) == [few]
    assert select([enough], 5, support=4) == []


def test_facts_that_count_no_people_need_no_support():
    category = Fact("category", "recent", -1, 1, 2, 30)
    linear = Fact("ease", "whole", 0, 1, 30, 40, 500, 1000, weight=120)
    alike = Fact("semantic", "recent", 0, 1, 0, 0, weight=70)
    shared = Fact("semantic", "recent", 0, 2, 1, 4)
    assert set(select([category, linear, alike, shared], 4)) == {category, linear, alike, shared}
    # By rate: 2 of 30, 70 of 100, 1 of 4.
    assert [strength(fact) for fact in (category, alike, shared)] == pytest.approx([1 / 15, 0.7, 0.25])


def test_what_tells_nothing_is_left_out():
    # Exactly what popularity predicts: 100 of 1,000, where one in ten takes it.
    expected = Fact("item_cf", "whole", 0, 1, 100, 1000, 10_000, 100_000)
    assert strength(expected) == pytest.approx(0, abs=1e-9)
    nothing = [
        Fact("category", "recent", -1, 1, 0, 30),
        Fact("popularity", "", -1, 1, 0, 9, 0, 9),
        Fact("semantic", "recent", 0, 1, 0, 0, weight=-20),
    ]
    assert select(nothing, 5, support=0) == []


def test_a_fact_said_twice_is_said_once():
    assert select([item_cf(50), item_cf(50)], 5) == [item_cf(50)]


def test_it_is_diverse_in_kind_and_in_what_it_speaks_of():
    same = [item_cf(both) for both in (50, 49, 48)]
    other_kind = Fact("user_cf", "whole", -1, 2, 10, 50, 1000, 100_000)
    other_item = item_cf(40, subject=3)
    # Weaker by itself than any of the same, each says something new.
    assert strength(other_kind) < strength(other_item) < strength(same[2])
    assert set(select([*same, other_kind, other_item], 3)) == {same[0], other_kind, other_item}


facts = st.builds(
    Fact,
    st.sampled_from(["item_cf", "user_cf", "category", "contrary", "trend", "semantic", "popularity"]),
    st.just("whole"),
    st.integers(-1, 2),
    st.integers(0, 3),
    st.integers(0, 5),
    st.sampled_from([5, 20]),
    st.sampled_from([5, 30]),
    st.just(100),
)


@given(st.data(), st.lists(facts, max_size=12), st.integers(1, 12))
def test_it_does_not_depend_on_the_order_of_what_it_is_given(data, given_facts, budget):
    found = select(given_facts, budget)
    assert len(found) <= budget and len(set(found)) == len(found)
    assert set(found) <= set(given_facts)
    assert select(data.draw(st.permutations(given_facts)), budget) == found
    # A larger budget only adds.
    assert select(given_facts, budget + 1)[: len(found)] == found


@given(st.lists(facts, max_size=12))
def test_of_one_kind_and_item_the_stronger_comes_first(given_facts):
    found = select(given_facts, 12)
    for kind, subject in {(fact.kind, fact.subject) for fact in found}:
        said = [strength(fact) for fact in found if (fact.kind, fact.subject) == (kind, subject)]
        assert all(one >= two for one, two in pairwise(said))
