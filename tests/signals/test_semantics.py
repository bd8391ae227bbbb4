"""What items share, by hand: categories, title words, decades, and the similarity made of them."""

from math import log, sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import build
from starrec.signals import Semantics

CATEGORIES = [["a", "b"], ["a"], ["b", "c"], [], ["c"]]


def ints(*values):
    return np.array(values, dtype=np.int32)


def test_topics_and_categories():
    semantics = Semantics(CATEGORIES)
    assert semantics.topics == ["a", "b", "c"]
    assert semantics.category.tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]]
    # Items 0, 1 and 2 against item 0: 1 by a, 2 by b; item 4 shares nothing with it.
    assert semantics.shared_categories(ints(1, 2, 4), 0) == 2
    assert semantics.shared_categories(ints(0, 1), 3) == 0
    assert semantics.shared_categories(ints(), 0) == 0


def test_shared_traits_count_categories_and_title_words():
    semantics = Semantics(
        CATEGORIES[:3], ["Star Wars: A New Hope", "STAR-trek, star!", "Der Würfel_3"], [1977, 1979, None]
    )
    # Of 3 items a word of more than max(1, 5%) = 1 title says nothing: star. What is left of item 0 are a, b,
    # wars, a, new and hope: the word a is not the category a. Item 1 has a and trek.
    assert semantics.traits(0, 1) == (1, 7)
    # b is shared; item 2 has b, c, der, würfel and 3. Years are no traits.
    assert semantics.traits(0, 2) == (1, 10)
    assert semantics.traits(1, 2) == (0, 7)
    assert semantics.traits(0, 0) == (6, 6)
    assert semantics.traits(2, 0) == semantics.traits(0, 2)


def test_similarity_weighs_traits_by_how_rare_they_are():
    # 4 items, n of them with a trait: ln(1 + 4/n). a: 3 items, 2.33; b: 1 item, 5; the seventies: 2 items, 3.
    semantics = Semantics([["a"], ["a", "b"], ["a"], []], [], [1970, 1979, 1980, None])
    a, b, seventies, eighties = log(1 + 4 / 3), log(5), log(3), log(5)
    first, second = sqrt(a * a + seventies * seventies), sqrt(a * a + b * b + seventies * seventies)
    third = sqrt(a * a + eighties * eighties)
    found = semantics.similarities(ints(0, 1, 3), ints(1, 2, 0, 3))
    assert found[0, 0] == pytest.approx((a * a + seventies * seventies) / (first * second))
    assert found[0, 1] == pytest.approx(a * a / (first * third))
    assert found[0, 2] == pytest.approx(1) and found[1, 0] == pytest.approx(1)
    # Item 3 has no description at all: unknown, not unlike.
    assert np.isnan(found[2]).all() and np.isnan(found[:, 3]).all()


def test_frequent_title_words_say_nothing_and_rare_ones_much():
    titles = [f"the {'odd' if item < 2 else 'even'} story {item}" for item in range(60)]
    semantics = Semantics([[]] * 60, titles)
    # "odd" is in 2 of 60 titles, at most 5%; "the", "even" and "story" in more; numbers are each their own.
    assert semantics.traits(0, 1) == (1, 3)
    assert semantics.traits(2, 3) == (0, 2)
    assert semantics.similarities(ints(0), ints(1, 2))[0, 0] > 0
    assert semantics.similarities(ints(0), ints(2))[0, 0] == 0


def test_embeddings_speak_where_there_are_some():
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    semantics = Semantics([["a"], ["a"], []], embeddings=vectors)
    np.testing.assert_allclose(
        semantics.similarities(ints(0, 1), ints(0, 1, 2)), [[1, 0.6, -1], [0.6, 1, -0.6]], atol=1e-6
    )
    # Counted traits stay what they are.
    assert semantics.traits(0, 1) == (1, 1)


def test_of_a_dataset():
    interactions = pl.DataFrame([("u", "x", 0)], schema=["user_id", "item_id", "time"], orient="row")
    items = pl.DataFrame(
        {
            "item_id": ["x", "y"],
            "title": ["Heat", "Cold Heat"],
            "categories": [["Crime"], ["Crime", "Drama"]],
            "year": [1995, None],
        }
    )
    semantics = Semantics.of(build("d", "position", interactions, items).catalogue)
    assert semantics.topics == ["Crime", "Drama"]
    # Heat is in both titles of two: it says nothing. Crime is shared; Drama and cold are not.
    assert semantics.traits(0, 1) == (1, 3)


descriptions = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcd"), unique=True, max_size=3),
        st.lists(st.sampled_from(["x", "Y", "zz", "ß", "7"]), max_size=3),
        st.one_of(st.none(), st.integers(1900, 1930)),
    ),
    min_size=1,
    max_size=8,
)


@given(descriptions)
def test_similarity_is_symmetric_bounded_and_1_for_the_same_description(items):
    categories, words, years = zip(*items, strict=True)
    semantics = Semantics(categories, [" ".join(title) for title in words], years)
    everything = np.arange(len(items), dtype=np.int32)
    found = semantics.similarities(everything, everything)
    np.testing.assert_array_equal(found, found.T)
    assert (np.isnan(found) | ((found >= 0) & (found <= 1 + 1e-12))).all()
    for at in range(len(items)):
        assert np.isnan(found[at, at]) or found[at, at] == pytest.approx(1)
        for other in range(len(items)):
            shared, union = semantics.traits(at, other)
            assert 0 <= shared <= union
            assert (shared, union) == semantics.traits(other, at)
            # What is shared makes alike.
            assert not shared or found[at, other] > 0
