"""Figures are copied, not invented: what think mode may write where a figure could stand.

A small model that has learned the form of a reflection still slips when it copies: a neighbouring sentence's
count, another item. Sampling cannot be trusted with that, so decoding is grounded. After a label in a
reflection the student may go on with a sentence that a tool of this very trace said of that label; which
label, which sentence, and when to stop is its choice, every figure and item in it is the tool's. Outside such
sentences it writes freely, but no digits, and in a list of labels none twice. (Constrained decoding over what
is known, as in GENRE, De Cao et al., ICLR 2021.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from transformers import PreTrainedTokenizerFast

from starrec.signals import labels
from starrec.student.tokenizer import MAX_LABELS

_SENTENCES: Final = re.compile("(‹[A-Z]+›) ([^‹]+)")
_ENDINGS: Final = ("", " ", " Lead ")
"""How a reflection goes on after a sentence; pieces of text may span the full stop."""
_STRUCTURE: Final = re.compile("⟦[^⟦⟧]*⟧|‹[^‹›]*›")


class Grounding:
    """The sentences of one trace as token sequences, by the label they were said of."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._labels = {_token(tokenizer, name): name for name in labels(MAX_LABELS)}
        self._sentences: dict[str, list[list[int]]] = defaultdict(list)

    def add(self, response: str) -> None:
        """Take in a tool response."""
        for label, text in _SENTENCES.findall(response):
            # What holds no figure, such as "Nothing is known.", needs no copying. (To read its
            # claims would take longer than to write it.)
            if re.search(r"\d", _STRUCTURE.sub("", text)):
                endings = [f" {text.strip()}{ending}" for ending in _ENDINGS]
                self._sentences[label] += self._encode(endings)

    def next_tokens(self, written: Sequence[int]) -> list[int] | None:
        """The tokens that may follow in a reflection; None where it is free (but for digits).

        Args:
            written: tokens of the reflection so far.
        """
        since = list(takewhile(lambda token: token not in self._labels, reversed(written)))[::-1]
        if not since or len(since) == len(written):
            return None
        known = self._sentences[self._labels[written[-len(since) - 1]]]
        # Whole when any ending of the sentence is: pieces of text may span its full stop.
        open_ = {sequence[len(since)] for sequence in known if sequence[: len(since)] == since != sequence}
        return sorted(open_) if open_ and since not in known else None

    def listed(self, written: Sequence[int]) -> list[int]:
        """The labels that end what was written, one after the other: in a list each stands once."""
        return list(takewhile(self._labels.__contains__, reversed(written)))

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        encoded: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return encoded


def _token(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    index = tokenizer.convert_tokens_to_ids(word)
    assert isinstance(index, int)
    return index


def digit_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Tokens that would write a digit outside mentions and labels."""
    words = tokenizer.get_vocab()
    return sorted(index for word, index in words.items() if re.search(r"\d", _STRUCTURE.sub("", word)))
