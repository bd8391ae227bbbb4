"""Figures can only be copied from what a tool of the same trace said of the same label."""

import re

from starrec.student.grounding import Grounding, digit_tokens

SAID = "‹B› 61% of the 214 people who took ⟦1|X⟧ also took ⟦2|Y⟧, 2.3 times what its popularity predicts. "
OTHER = "‹C› 3 of the 7 people who took ⟦1|X⟧ took ⟦3|Z⟧ within their next 3."


def follow(grounding, tokenizer, written):
    """What is written when the first open token is taken every time."""
    tokens = tokenizer(written)["input_ids"]
    while (allowed := grounding.next_tokens(tokens)) is not None:
        tokens.append(allowed[0])
    return tokenizer.decode(tokens)


def test_after_a_label_only_its_own_sentence_is_open(tokenizer):
    grounding = Grounding(tokenizer)
    grounding.add(SAID + OTHER)
    for label, sentence in (("‹B›", SAID[4:].strip()), ("‹C›", OTHER[4:])):
        assert follow(grounding, tokenizer, label + " ").startswith(f"{label} {sentence}")


def test_a_label_of_which_nothing_was_said_is_followed_freely_but_without_digits(tokenizer):
    grounding = Grounding(tokenizer)
    grounding.add(SAID)
    assert grounding.next_tokens(tokenizer("‹D› ")["input_ids"]) is None
    assert grounding.next_tokens(tokenizer("They agree. ")["input_ids"]) is None
    barred = set(digit_tokens(tokenizer))
    assert barred.issuperset(tokenizer.convert_tokens_to_ids([str(n) for n in range(1000)]))
    open_ = [word for word, index in tokenizer.get_vocab().items() if index not in barred]
    assert not any(re.search(r"\d", re.sub("⟦[^⟦⟧]*⟧|‹[^‹›]*›", "", word)) for word in open_)


def test_two_sentences_of_one_label_stay_two(tokenizer):
    grounding = Grounding(tokenizer)
    popular = "12 of 40 people took ⟦2|Y⟧."
    grounding.add(SAID)
    grounding.add(f"‹B› {popular}")
    firsts = grounding.next_tokens(tokenizer("‹B› ")["input_ids"])
    assert {tokenizer.decode([index]) for index in firsts} == {"61", "12"}
    for first, sentence in (("12", popular), ("61", SAID[4:].strip())):
        assert follow(grounding, tokenizer, f"‹B› {first}").startswith(f"‹B› {sentence}")


def test_the_labels_of_a_list_are_those_at_its_end(tokenizer):
    grounding = Grounding(tokenizer)

    def listed(text):
        found = grounding.listed(tokenizer(text, add_special_tokens=False)["input_ids"])
        return tokenizer.convert_ids_to_tokens(found)

    assert listed("check ‹A›‹C›") == ["‹C›", "‹A›"]
    assert listed("‹A› Nothing is known. Lead ‹B›") == ["‹B›"]
    assert listed("‹A›.") == listed("") == []
