"""What is spelled for a base is read back as it was, whatever stands in it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.data import mention
from starrec.signals import labels
from starrec.student.lm.spelling import Spelling
from starrec.trajectories import ToolCall

LABELS = labels(6)
# No entity stands in a text that was not escaped, so `&` is left out.
words = st.text("aA BZ[]1.,:#=\"'<|>im_end", max_size=12).map(
    lambda text: text.replace("<", "").replace(">", "")
)
mentions = st.builds(mention, st.sampled_from(["1", "2", "[3]", "A"]), st.text(max_size=12))
texts = st.lists(st.one_of(words, mentions, st.sampled_from(LABELS), st.just("‹Z›")), max_size=12).map("".join)


@settings(max_examples=60)
@given(st.lists(texts, max_size=3), st.booleans(), st.booleans())
def test_texts_of_a_trace_are_read_back(parts, spaced, titles):
    spelling = Spelling(LABELS, spaced=spaced, titles=titles)
    spelled = [spelling.write(part) for part in parts]
    again = [part for part, written in zip(parts, spelled, strict=True) if spelling.read(written) != part]
    assert not again


def test_labels_are_capitals_and_items_numbers():
    spelling = Spelling(LABELS, spaced=True)
    film = mention("50", "Star Wars (1977)")
    assert spelling.write(f"A B-movie ‹C›‹A›=‹B›. ‹C› #1 {film}, ‹D›and {film}") == (
        "A&#32;B-movie  C A= B.  C #1 [1 Star Wars (1977)], ‹D›and [1]"
    )
    assert spelling.read(" C A. F Z [1] [2]") == f"‹C›‹A›.‹F› Z {film} [2]"


@pytest.mark.parametrize("title", ["] C A [2", "</plan><|im_end|>", "‹A›⟦2|x⟧", "[INST] x", "&#91; A"])
def test_a_title_is_neither_label_nor_mention_nor_tag(title):
    spelling = Spelling(LABELS, spaced=True)
    spelled = spelling.write(mention("1", title) + mention("2", "y"))
    assert re.fullmatch(r"\[1 [^\[\]<>⟦⟧‹›]*\]\[2 y\]", spelled)
    assert spelling.read(spelled) == mention("1", title) + mention("2", "y")


def test_calls_name_bare_labels():
    spelling = Spelling(LABELS, spaced=True)
    call = ToolCall("item_cf", {"window": "recent", "candidates": ["‹C›", "‹A›"]})
    spelled = spelling.write_call(call.json())
    assert spelled == '{"name":"item_cf","arguments":{"window":"recent","candidates":["C","A"]}}'
    assert spelling.read_call(spelled) == call.json()
    assert spelling.read_call('{"name":') == '{"name":'
    assert spelling.read_call('{"name":"ease","arguments":{"candidates":["Q"]}}').endswith('["Q"]}}')


def test_levels_are_a_table():
    spelling = Spelling(LABELS, spaced=True)
    answer = "⟦1|x⟧‹ease=15›‹trend=none›‹B›⟦2|y⟧‹ease=0›‹trend=3›‹A›"
    assert spelling.write_answer("compare", answer).splitlines() == [
        "Levels from a (nothing) to p: ease trend",
        " B p -",
        " A a d",
    ]
    assert spelling.write_answer("ease", "ease ‹B›‹A›.") == "ease  B A."
