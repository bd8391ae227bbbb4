"""Facts can only be cited as a tool of the same trace stated them of the same label."""

import re

import pytest

from starrec.signals import labels
from starrec.student.grounding import Grounding, figure_tokens

B = "61% of the 214 people who took ⟦1|X⟧ also took ⟦2|Y⟧, 2.3 times what its popularity predicts."
C = "3 of the 7 people who took ⟦1|X⟧ took ⟦3|Z⟧ within their next 3."
ANSWER = f"item_cf.recent ‹B›‹C›=‹D›. ‹B› #1 {B} ‹C› #2 {C} ‹D› Nothing is known."


@pytest.fixture
def grounding(tokenizer):
    made = Grounding(tokenizer, labels(6))
    made.add(ANSWER)
    return made


@pytest.fixture
def closing(tokenizer):
    return tokenizer.convert_tokens_to_ids("</reflection>")


@pytest.fixture
def opened(grounding, tokenizer, closing):
    """What may follow a text: words of the tokens named, and whether all else may."""

    def opened(text):
        found = grounding.open(tokenizer(text, add_special_tokens=False)["input_ids"], closing)
        return {tokenizer.decode([token]) for token in found.tokens}, found.free

    return opened


@pytest.fixture
def follow(grounding, tokenizer, closing):
    """A text continued by the given word wherever there is a choice, up to where the student is free."""

    def follow(text, prefer):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = grounding.open(tokens, closing)
        while not found.free:
            words = {tokenizer.decode([token]): token for token in found.tokens}
            tokens.append(next((words[word] for word in words if word == prefer), found.tokens[0]))
            if tokens[-1] == closing:
                break
            found = grounding.open(tokens, closing)
        return tokenizer.decode(tokens)

    return follow


def test_after_a_label_only_its_own_facts_can_be_cited(opened):
    assert opened("Ahead: ‹B›") == ({" #1"}, True)
    assert opened("Ahead: ‹C›") == ({" #2"}, True)
    for text in ("Ahead: ‹D›", "Ahead: ‹E›", "Ahead: ", "", "‹B› is popular"):
        assert opened(text) == (set(), True)


@pytest.mark.parametrize(("label", "cite", "sentence"), [("‹B›", "#1", B), ("‹C›", "#2", C)])
def test_after_its_number_comes_the_fact_s_own_sentence_or_nothing(
    opened, follow, tokenizer, closing, label, cite, sentence
):
    words, free = opened(f"{label} {cite}")
    assert not free and tokenizer.decode([closing]) in words
    assert follow(f"{label} {cite}", "</reflection>") == f"{label} {cite}</reflection>"
    # Once it is begun, the sentence is written to its end.
    begun = f"{label} {cite} {sentence[:1] if sentence[1] == ' ' else sentence[:2]}"
    written = follow(begun, "")
    assert written.removesuffix("</reflection>").rstrip() == f"{label} {cite} {sentence}"
    # With a space behind it another label follows, or the end.
    for cited in (f"{label} {cite} ", f"{label} {cite} {sentence} "):
        words, free = opened(cited)
        assert not free and words.intersection(labels(26)) == {*labels(6)} - {label}


def test_two_facts_of_one_label_stay_two(grounding, opened, follow):
    grounding.add("popularity ‹B›. ‹B› #3 12 of 40 people took ⟦2|Y⟧.")
    assert opened("‹B›") == ({" #1", " #3"}, True)
    assert follow("‹B› #3 12", "").rstrip().startswith("‹B› #3 12 of 40 people took ⟦2|Y⟧.")
    assert not any("12" in word for word in opened("‹B› #1 ")[0])


def test_a_fact_that_was_said_of_another_label_can_not_be_cited(opened):
    assert " #1" not in opened("‹C›")[0] and " #2" not in opened("‹B›")[0]


def test_figures_are_no_words(tokenizer):
    barred = set(figure_tokens(tokenizer))
    numbers = [*map(str, range(1000)), "2.3", "0.031", " #7"]
    assert barred.issuperset(tokenizer.convert_tokens_to_ids(numbers))
    # The name of an item is no figure.
    assert not barred & set(tokenizer.convert_tokens_to_ids(["⟦1⟧", "⟦192⟧"]))
    open_ = [index for index in tokenizer.get_vocab().values() if index not in barred]
    words = [re.sub("⟦[^⟦⟧]*⟧", "", tokenizer.decode([index])) for index in open_]
    assert not any(re.search(r"[\d#]", word) for word in words)


@pytest.mark.parametrize(
    "text",
    [
        "Long history. Trust recent_interest ",
        "Trust ease 4, user_profile ",
        "‹B›‹C›. Trust user_profile ",
    ],
)
def test_trust_is_a_digit(opened, text):
    assert opened(text) == (set("123456789"), False)
    assert opened(f"{text}4") == (set(), True)


def test_no_label_is_listed_or_cited_twice(grounding, tokenizer):
    def barred(text):
        found = grounding.barred(tokenizer(text, add_special_tokens=False)["input_ids"])
        return set(tokenizer.convert_ids_to_tokens(found)) - {*labels(26)[6:]}

    assert not {*labels(26)[6:]} - set(tokenizer.convert_ids_to_tokens(grounding.barred([])))
    assert barred("check ‹A›‹C›") == {"‹A›", "‹C›"}
    assert barred("‹A› agrees with ‹B›") == {"‹B›"}
    assert barred("Ahead: ‹B› #1 ‹C› #2 ") == {"‹B›", "‹C›"}
    assert barred("‹A›.") == barred("") == set()
