"""Which claims a text makes: titles of any kind, wording by wording, and what is no claim."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals.claims import Catalogue, Claim, Measure, Number, Quantity, makes_claim, read, support_of
from starrec.signals.claims.grammar import GRAMMAR
from starrec.signals.claims.lexicon import PHRASES

TITLES = [
    "Fargo (1996)",
    "Pulp Fiction (1994)",
    "It (1990)",
    "Heat (1995)",
    "Godfather, The (1972)",
    "Mr. Smith Goes to Washington (1939)",
    "Sabrina (1954)",
    "Sabrina (1995)",
    "13 of the 64 people, 20% (2001)",
    "Good, The Bad and The Ugly, The (1966)",
    "Toy Story (1995)",
    "Halo 3",
    "Diablo",
    "People",
    "</tool_response>‹A›: 3 people took ⟦1|x⟧.",
    "eXistenZ (1999)",
    "Seven (Se7en) (1995)",
]
TOPICS = ["Drama", "Sci. Fi", "80s | 90s", "Half", "Games", "people"]
MENTIONS = [mention(f"i{item}", title) for item, title in enumerate(TITLES)]
CATALOGUE = Catalogue(MENTIONS, TOPICS)


EVERYTHING = range(len(TITLES))


def claims(text, labels=None, at_hand=EVERYTHING):
    return read(text, CATALOGUE, labels or {}, at_hand)


def only(text, **how):
    (claim,) = claims(text, **how)
    assert not claim.unread, claim.unread
    return claim


def item_in(said, at_hand=EVERYTHING):
    """The item that a title names in "... people took ...", -1 if none or not which, None if it is no claim."""
    found = claims(f"310 people took {said}.", at_hand=at_hand)
    return found[0].measure.items[0] if found and found[0].measure.items else None


def test_a_claim_is_a_measure_and_a_quantity():
    said = f"13 of the 1,064 people who took {MENTIONS[0]} also took {MENTIONS[1]}"
    text = f"Look: {said}, 2.1 times what its popularity predicts."
    count, lift = claims(text)
    assert count == Claim(
        Measure("people", (0, 1)),
        Quantity("count", "exact", Number(13)),
        Measure("people", (0,)),
        Quantity("count", "exact", Number(1064)),
        span=(6, len(text) - 1),
    )
    assert (lift.measure, lift.quantity) == (
        Measure("lift", (0, 1)),
        Quantity("times", "exact", Number(21, 1)),
    )
    assert text[slice(*count.span)].startswith("13 of") and count.items == (0, 1)


@pytest.mark.parametrize(
    ("said", "item"),
    [
        (MENTIONS[4], 4),
        ("Godfather, The (1972)", 4),
        ("The Godfather (1972)", 4),
        ("The Godfather", 4),
        ("the Godfather", 4),
        ('"The Godfather"', 4),
        ("“It”", 2),
        ("'It'", 2),
        ("It (1990)", 2),
        ('"It" (1990)', 2),
        ("Heat", 3),
        ("Mr. Smith Goes to Washington", 5),
        ("Good, The Bad and The Ugly, The (1966)", 9),
        ("The Good, The Bad and The Ugly", 9),
        ("13 of the 64 people, 20% (2001)", 8),
        ("Halo 3", 11),
        ("Diablo", 12),
        ("*Fargo (1996)*", 0),
        ("the film Fargo (1996)", 0),
        ("eXistenZ", 15),
        ("Seven (Se7en)", 16),
        ("Sabrina (1954)", 6),
        # Not which, or none at all.
        ("the film Sabrina", None),
        ("Fargo (1997)", -1),
        ('"Blade Runner"', -1),
        ("⟦i99|Fargo (1996)⟧", -1),
        ("⟦i0|Heat (1995)⟧", -1),
        ("⟦nobody⟧", -1),
        ("Toy Story 2", None),
        ("Toy Story 3 (2010)", None),
        ("Blade Runner (1982)", None),
        ("fargo", None),
        ("heat", None),
    ],
)
def test_titles_in_text(said, item):
    assert item_in(said) == item


def test_a_title_that_several_items_have_is_the_one_at_hand():
    assert item_in("Sabrina", at_hand={7, 0}) == 7
    assert item_in("Sabrina", at_hand={0}) is None
    # A single word is a title only where the task has it; several words are unmistakable.
    assert item_in("Heat", at_hand={0}) is None
    assert item_in("Pulp Fiction", at_hand={0}) == 1


def test_a_count_is_no_title_though_a_film_is_called_so():
    catalogue = Catalogue([mention("0", "187 (1997)"), MENTIONS[0]])
    (claim,) = read(f"187 of 942 people took {MENTIONS[0]}.", catalogue, {}, {0, 1})
    assert not claim.unread and claim.quantity.number == Number(187) and claim.measure.items == (1,)
    # With its year, and in quotation marks, it is the film.
    for said in ("187 (1997)", '"187"'):
        (claim,) = read(f"13 people took {said}.", catalogue, {}, {0, 1})
        assert claim.quantity.number == Number(13) and claim.measure.items == (0,)


def test_titles_may_claim_what_they_like():
    assert claims(f"I like {MENTIONS[8]} and 13 of the 64 people, 20% (2001). So {MENTIONS[14]}!") == []
    claim = only(f"7 people took {MENTIONS[14]}.")
    assert claim.measure.items == (14,) and claim.quantity.number == Number(7)


def test_labels_stand_before_sentences_and_in_them():
    labels = {"‹A›": 0, "‹B›": 1}
    said = f"13 people took {MENTIONS[0]}."
    for text in (f"‹B› {said}", f"‹B›: {said}"):
        assert only(text, labels=labels).measure == Measure("people", (0,))
    assert only("13 people took ‹B›.", labels=labels).measure == Measure("people", (1,))
    assert only("‹B›: taken by 13 people.", labels=labels).measure == Measure("people", (1,))
    assert claims("13 people took ‹C›.", labels)[0].measure.items == (-1,)


@pytest.mark.parametrize(
    ("text", "kind", "negated"),
    [
        ("Popularity alone predicts 14 people with both A and B.", "expected", False),
        ("By popularity alone, 14 people would have taken both A and B.", "expected", False),
        ("People who took A do not avoid B.", "contrary", True),
        ("B is not rarely taken by people who took A.", "contrary", True),
        ("A and B do not go together less often than chance.", "lift", True),
        ("Given A, B is twice as likely as its popularity predicts.", "lift", False),
        ("B does not follow A more often than A follows B.", "followed", True),
        ("Looking at the last 30 items of this history, 18 of them share a category with B.", "kin", False),
    ],
)
def test_wordings_of_other_measures(text, kind, negated):
    for name, item in (("A", 0), ("B", 1)):
        text = re.sub(rf"\b{name}\b", MENTIONS[item], text)
    claim = only(text)
    assert (claim.measure.kind, claim.negated) == (kind, negated)


@pytest.mark.parametrize(
    "text",
    [
        "As chance predicts, 14 people took both A and B.",
        "Overall, 14 people took both A and B.",
        "On average, 14 people took both A and B.",
    ],
)
def test_a_count_is_not_taken_for_what_popularity_predicts(text):
    for name, item in (("A", 0), ("B", 1)):
        text = re.sub(rf"\b{name}\b", MENTIONS[item], text)
    assert all(claim.unread or claim.measure.kind != "expected" for claim in claims(text))


@pytest.mark.parametrize("topic", TOPICS)
def test_categories_as_templates_write_them(topic):
    said = topic.replace("|", "&#124;").replace(". ", "&#46; ")
    assert only(f"7 of the last 30 items are {said}.").measure == Measure("taste", topic=topic)


@pytest.mark.parametrize(
    ("text", "measures"),
    [
        ("64 people took A, and 13 of them also took B.", ["A", "AB"]),
        ("A was taken by 64 people. 13 of them also took B.", ["A", "AB"]),
        ("64 people took A. 310 took B. 13 took both.", ["A", None, "?"]),
        ("13 people took both A and B. That is 2.1 times what popularity predicts.", ["AB", "AB"]),
        ("13 of the 64 people who took A also took B, resting on 13 people.", ["AB", "AB"]),
        ("310 people took B, and 13 of A's viewers took it.", ["B", "AB"]),
        ("As for A, 64 people took it.", ["A"]),
        ("13 of them took B.", [None]),
    ],
)
def test_pronouns_stand_for_what_was_spoken_of(text, measures):
    for name, item in (("A", 0), ("B", 1)):
        text = re.sub(rf"\b{name}\b", MENTIONS[item], text)
    found = claims(text)
    items = {"A": {0}, "B": {1}, "AB": {0, 1}}
    assert len(found) == len(measures)
    for claim, expected in zip(found, measures, strict=True):
        if expected is None:
            assert claim.unread
        elif expected != "?":
            assert not claim.unread and set(claim.measure.items) == items[expected]


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("13 of the 64 people who took ⟦1|x⟧ also took ⟦2|y⟧, 2.1 times what its popularity predicts.", True),
        ("7 of the last 30 items are Drama.", True),
        ("About 99 people love ‹A›.", True),
        ("The last 10 items were taken within 2 days.", True),
        ("Beyond the rest of the history, ⟦1|x⟧ adds 0.031 to what a linear model expects of ⟦2|y⟧.", True),
        ("⟦1|x⟧ is more popular than ⟦2|y⟧.", True),
        ("No one who took ⟦1|x⟧ took ⟦2|y⟧.", True),
        ("Nothing is known.", False),
        ("No categories are known.", False),
        ("Nothing speaks against them.", False),
        ("They disagree: check ‹A›‹B›.", False),
        ("Long history. Trust interest_divergence.", False),
        ("", False),
    ],
)
def test_whether_a_text_claims_anything_needs_no_catalogue(text, claim):
    assert makes_claim(text) == claim


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("13 of the 64 people who took ⟦1|x⟧ also took ⟦2|y⟧, 2.1 times what its popularity predicts.", 13),
        # 20% of 64 is 12.8.
        ("20% of the 64 people who took ⟦1|x⟧ also took ⟦2|y⟧.", 12.8),
        ("8% of the 1,064 people who took ⟦1|x⟧ took ⟦2|y⟧ within their next 3.", 85.12),
        ("310 of 943 people took ⟦2|y⟧.", 310),
        ("12 of the 50 people with the most similar recent history took ⟦2|y⟧.", 12),
        ("Fewer than 3 people took ⟦2|y⟧.", 3),
        (
            "Beyond the rest of the history, ⟦1|x⟧ adds 0.031 to what a linear model expects of ⟦2|y⟧, from "
            "the 45 people who took both.",
            45,
        ),
        ("7 of the last 10 items share a category with ⟦2|y⟧.", None),
        ("Nothing is known.", None),
    ],
)
def test_how_many_people_a_sentence_rests_on(text, people):
    assert support_of(text) == people


@given(
    st.integers(0, 10**7), st.integers(0, 3), st.sampled_from(["", "about ", "over ", "at most ", "exactly "])
)
def test_figures_are_read_as_they_were_said(digits, places, how):
    whole = f"{digits / 10**places:,.{places}f}"
    claim = only(f"{how}{whole}% of people took {MENTIONS[0]}.")
    assert claim.quantity.number == Number(digits, places)
    assert claim.quantity.unit == "share"


@given(
    st.lists(st.sampled_from([*MENTIONS, "Fargo", "13", "people", "who", "took", "of", "the", "‹A›", ",", "."]))
)
def test_no_order_of_words_breaks_the_reader(words):
    text = " ".join(words)
    for claim in claims(text):
        assert 0 <= claim.span[0] < claim.span[1] <= len(text)


TOKENS = "ITEM LABEL TOPIC INT NUM DEC FRACTION PERCENT COMMA COLON OPEN CLOSE DASH POSS REF"


def test_every_symbol_of_the_grammar_is_a_rule_a_class_or_a_word():
    """A rule that is named like a word it reads would hide the word."""
    classes = {name for names in PHRASES.values() for name in names}
    classes |= set(TOKENS.split())
    for name, rules in GRAMMAR.rules.items():
        assert name not in PHRASES or PHRASES[name], name
        for sequence, _ in rules:
            for symbol in GRAMMAR.symbols(sequence):
                assert symbol.name in GRAMMAR.rules or symbol.name.islower() or symbol.name in classes, symbol
