"""Citations of facts, held against what tools stated: by hand, and for any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals import Citation, Fact, FactNumbers, check_citations, labels, sentence
from starrec.signals.citations import clauses, numerals

FARGO, PULP, HEAT, RANSOM = range(4)
TITLES = ["Fargo (1996)", "Pulp Fiction #1 (1994)", "Heat, 7 of 9 people took it #2 (1995)", "Ransom ‹A›"]
MENTIONS = [mention(str(item), title) for item, title in enumerate(TITLES)]
SUBJECTS = {"‹A›": PULP, "‹B›": HEAT, "‹C›": RANSOM}
# 64 people took Fargo, 47 of them Pulp Fiction: 73%. Of 943 people 250 took it, so 64 · 250 / 943 = 17.0 are
# expected: 2.8 times. Of 1,000 people 12 took Heat.
TOGETHER = Fact("item_cf", "recent", FARGO, PULP, both=47, base=64, total=250, population=943)
POPULAR = Fact("popularity", "", -1, HEAT, both=12, base=1000, total=12, population=1000)
TASTE = Fact("taste", "recent", -1, -1, both=7, base=30, topic="Sci-Fi")
WORDS = f"73% of the 64 people who took {MENTIONS[FARGO]} also took {MENTIONS[PULP]}, 2.8 times"


@pytest.fixture
def facts():
    """#1 about ‹A›, #2 about ‹B›, #3 about the history."""
    known = FactNumbers()
    assert [known.number(fact) for fact in (TOGETHER, POPULAR, TASTE)] == [1, 2, 3]
    return known


def check(text, facts, **settings):
    return check_citations(text, facts, SUBJECTS, MENTIONS, **settings)


def verdicts(text, facts, **settings):
    return [(found.label, found.number, found.verdict) for found in check(text, facts, **settings).citations]


class TestNumbers:
    def test_facts_are_numbered_in_the_order_in_which_they_come(self, facts):
        assert len(facts) == 3 and list(facts) == [TOGETHER, POPULAR, TASTE]
        assert [facts.get(number) for number in range(5)] == [None, TOGETHER, POPULAR, TASTE, None]
        assert facts.get(-1) is None

    def test_a_fact_keeps_its_number(self, facts):
        again = Fact("popularity", "", -1, HEAT, both=12, base=1000, total=12, population=1000)
        assert facts.number(again) == 2 and len(facts) == 3
        # One person more is another fact.
        assert facts.number(Fact("popularity", "", -1, HEAT, 13, 1000, 13, 1000)) == 4


class TestByHand:
    def test_the_facts_are_as_the_cases_quote_them(self):
        assert sentence(TOGETHER, MENTIONS).startswith(WORDS)
        assert sentence(POPULAR, MENTIONS) == f"12 of 1,000 people took {MENTIONS[HEAT]}."

    @pytest.mark.parametrize(
        "text",
        [
            f"‹A› #1 {sentence(TOGETHER, MENTIONS)}",
            f"‹A› {sentence(TOGETHER, MENTIONS)} #1",
            "‹A› #1",
            "‹A› 73% (#1) is much.",
            "‹A› #1: of 64 people 2.8 times as many",
            # Before the first label a text speaks of no candidate, and may cite any fact.
            "73% #1 agree.",
            f"#1 {WORDS}. ‹B› is behind.",
            # Labels in a row: the last one's clause has the fact.
            "‹B›‹A› #1",
            "‹C› and ‹B› before ‹A› #1 73%",
        ],
    )
    def test_a_right_citation_holds(self, facts, text):
        [(label, number, verdict)] = verdicts(text, facts)
        assert (label or "‹A›", number, verdict) == ("‹A›", 1, "holds")
        assert check(text, facts).uncited == ()

    @pytest.mark.parametrize("text", ["‹A› #1 74%", "‹A› #1 of the 46 people", "‹A› #1 73% of 65", "‹A› #1 .8"])
    def test_a_wrong_figure_does_not(self, facts, text):
        assert verdicts(text, facts) == [("‹A›", 1, "wrong_figure")]

    @pytest.mark.parametrize(
        ("text", "label", "number"),
        [
            ("‹B› #1", "‹B›", 1),
            ("‹C› #1 73%", "‹C›", 1),
            ("‹A›‹B› #1", "‹B›", 1),
            ("‹A› #2 12 of 1,000 people", "‹A›", 2),
            # The history is no candidate.
            ("‹A› #3", "‹A›", 3),
            # A label that no candidate has.
            ("‹Q› #1", "‹Q›", 1),
            # What is misused is not also wrong.
            ("‹B› #1 99%", "‹B›", 1),
        ],
    )
    def test_a_fact_of_another_candidate_is_misused(self, facts, text, label, number):
        assert verdicts(text, facts) == [(label, number, "misused")]

    @pytest.mark.parametrize("text", ["‹A› #4", "‹A› #0", "‹A› #999999999 73%"])
    def test_a_fact_that_no_tool_stated_is_unknown(self, facts, text):
        [(_, _, verdict)] = verdicts(text, facts)
        assert verdict == "unknown"

    def test_no_fact_is_known_before_a_tool_stated_it(self):
        assert verdicts("‹A› #1", FactNumbers()) == [("‹A›", 1, "unknown")]

    @pytest.mark.parametrize(
        ("text", "figures"),
        [
            ("‹A› took 73% of them", ("73",)),
            ("Long history of 114 items. ‹A› 0.031, ‹B› 1,234.", ("114", "0.031", "1,234")),
            # The citation of one candidate covers no other.
            ("‹A› #1 73% ‹B› 12 people", ("12",)),
            ("‹A›‹B› leads with 5 of 6", ("5", "6")),
            ("most of them, nobody, three people", ()),
        ],
    )
    def test_figures_without_a_citation_are_counted(self, facts, text, figures):
        assert check(text, facts).uncited == figures

    def test_several_citations_of_a_clause_share_its_figures(self, facts):
        # 73 is of #1, 7 and 30 of #3; neither has a 12.
        assert verdicts("‹A› #1 73% beside 7 of 30", facts) == [("‹A›", 1, "wrong_figure")]
        assert verdicts("73% #1 and 7 of 30 #3", facts) == [("", 1, "holds"), ("", 3, "holds")]
        assert [verdict for *_, verdict in verdicts("73% #1 and 7 of 12 #3", facts)] == ["wrong_figure"] * 2

    def test_one_clause_may_hold_and_the_next_not(self, facts):
        text = "Ahead: ‹A› #1 73% of the 64 people ‹B› #2 ‹C› #1"
        assert verdicts(text, facts) == [
            ("‹A›", 1, "holds"), ("‹B›", 2, "holds"), ("‹C›", 1, "misused"),
        ]  # fmt: skip

    def test_with_figure_needs_a_figure_that_is_cited_rightly(self, facts):
        assert check("‹A› #1 73%", facts).with_figure
        for text in ("‹A› #1", "‹A› #1 74%", "‹B› #1 73%", "‹A› 73%", "‹A› #1 ‹B› 12"):
            assert not check(text, facts).with_figure

    def test_support_is_that_of_the_tools(self, facts):
        thin = Fact("popularity", "", -1, RANSOM, both=2, base=1000, total=2, population=1000)
        facts.number(thin)
        # "Fewer than 3 people took …" for everybody, "2 of 1,000 people" for the operator.
        assert verdicts("‹C› #4 fewer than 3", facts) == [("‹C›", 4, "holds")]
        assert verdicts("‹C› #4 2 of 1,000", facts) == [("‹C›", 4, "wrong_figure")]
        assert verdicts("‹C› #4 2 of 1,000", facts, support=0) == [("‹C›", 4, "holds")]


class TestNoFigures:
    """Digits and marks that are neither figures nor citations."""

    def test_titles_hold_neither_figures_nor_citations_nor_labels(self, facts):
        assert clauses(f"‹A› reads like {MENTIONS[HEAT]} and {MENTIONS[PULP]}, {MENTIONS[RANSOM]}.") == []
        assert verdicts(f"‹A› #1 beside {MENTIONS[HEAT]}", facts) == [("‹A›", 1, "holds")]

    @pytest.mark.parametrize(
        "text",
        [
            "Long history. Trust historical_interest 7, recent_interest 5.",
            "They disagree: check ‹I›‹H›. Trust user_profile 4.",
            "Place historical_interest 3, user_profile 12",
            "Long history, at first 80s &#124; 90s. Trust recent_interest 5.",
            "The last items are Xbox 360, then Xbox 360 Games.",
            "",
        ],
    )
    def test_typed_fields_and_names_of_categories_are_no_figures(self, facts, text):
        found = check(text, facts, topics=("80s | 90s", "Xbox 360", "Xbox 360 Games", "4"))
        assert found.citations == () and found.uncited == ()

    def test_a_name_with_digits_is_a_figure_where_no_category_has_it(self, facts):
        assert check("like Xbox 360, Xbox 3601", facts, topics=("Xbox 360",)).uncited == ("3601",)
        assert check("like Xbox 360", facts).uncited == ("360",)
        # A category that is a number hides no figure.
        assert check("‹A› 73% #1, 4 of them", facts, topics=("4", "73%")).citations[0].verdict == "wrong_figure"

    def test_entities_are_characters(self, facts):
        assert check("80s &#124; 90s", facts) == check("80s | 90s", facts)
        assert verdicts("&#124;", facts) == []

    def test_trust_beside_a_citation_hides_no_figure(self, facts):
        text = "‹A› #1 73%. Trust user_profile 4. ‹A› #1 74%"
        assert [verdict for *_, verdict in verdicts(text, facts)] == ["holds", "wrong_figure"]


FACTS = st.builds(
    Fact,
    st.sampled_from(
        [
            "item_cf",
            "transition",
            "following",
            "around",
            "contrary",
            "popularity",
            "user_cf",
            "ease",
            "category",
        ]
    ),
    st.sampled_from(["whole", "recent"]),
    st.integers(0, 3),
    st.integers(1, 3),
    both=st.integers(0, 900),
    base=st.integers(900, 5000),
    total=st.integers(0, 900),
    population=st.integers(5000, 20000),
    weight=st.integers(-900, 900),
)
LABEL_OF = {item: label for label, item in SUBJECTS.items()}
prose = st.text(st.sampled_from("ab .,#‹›⟦⟧|0123456789%A&;"), max_size=30)


@given(st.lists(FACTS, min_size=1, max_size=6, unique=True), st.sampled_from([0, 3]))
def test_what_a_tool_states_holds_word_for_word(stated, support):
    known = FactNumbers()
    text = " ".join(
        f"{LABEL_OF[fact.subject]} #{known.number(fact)} {sentence(fact, MENTIONS, support=support)}"
        for fact in stated
    )
    found = check(text, known, support=support)
    assert [citation.verdict for citation in found.citations] == ["holds"] * len(stated)
    assert found.uncited == () and found.with_figure


@given(FACTS, st.data())
def test_a_figure_that_is_changed_is_wrong(fact, data):
    known = FactNumbers()
    known.number(fact)
    text = f"{LABEL_OF[fact.subject]} #1 {sentence(fact, MENTIONS)}"
    # A whole figure outside of mentions, label and citation; those of titles stay as they are.
    marks = re.finditer(r"⟦[^⟧]*⟧|#1|(\d+(?:[.,]\d+)*)", text)
    start, end = data.draw(st.sampled_from([mark.span() for mark in marks if mark.group(1) is not None]))
    figures = numerals(sentence(fact, MENTIONS))
    other = data.draw(st.integers(0, 10**6).map(str).filter(lambda figure: figure not in figures))
    [found] = check(text[:start] + other + text[end:], known).citations
    assert found == Citation(LABEL_OF[fact.subject], 1, "wrong_figure")


@given(FACTS, st.sampled_from(sorted(SUBJECTS)))
def test_only_its_own_candidate_may_cite_a_fact(fact, label):
    known = FactNumbers()
    known.number(fact)
    [found] = check(f"{label} #1", known).citations
    assert found.verdict == ("holds" if SUBJECTS[label] == fact.subject else "misused")


@given(prose)
def test_any_text_is_read_and_a_figure_is_cited_or_not(text):
    known = FactNumbers()
    known.number(TOGETHER)
    found = check(text, known)
    cited = sum(len(clause.cited) for clause in clauses(text))
    assert len(found.citations) == cited
    assert all((citation.verdict == "unknown") == (citation.number != 1) for citation in found.citations)
    assert len(found.uncited) <= len(numerals(text))


@given(st.lists(st.sampled_from(labels(3)), min_size=2, max_size=5))
def test_of_labels_in_a_row_the_last_one_cites(row):
    known = FactNumbers()
    known.number(TOGETHER)
    [found] = check(f"{''.join(row)} #1", known).citations
    assert found == Citation(row[-1], 1, "holds" if row[-1] == "‹A›" else "misused")
