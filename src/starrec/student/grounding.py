"""Figures are copied, not invented: what think mode may write where a figure could stand.

A small model that has learned the form of a reflection still slips when it copies: a neighbouring sentence's
count, another item. Sampling cannot be trusted with that, so decoding is grounded. After a label in a
reflection the student may go on with a sentence that a tool of this very trace said of that label; which
label, which sentence, and when to stop is its choice, every figure and item in it is the tool's. Outside such
sentences it writes freely, but no digits. (Constrained decoding over what is known, as in GENRE, De Cao et
al., ICLR 2021.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from transformers import PreTrainedTokenizerFast

from starrec.signals import claims

_SAID: Final = re.compile("(‹[A-Z]+›) ([^‹]+)")
_ENDINGS: Final = ("", " ", " Lead ")
"""How a reflection goes on after a sentence; pieces of text may span the full stop."""
_STRUCTURE: Final = re.compile("⟦[^⟦⟧]*⟧|‹[^‹›]*›")


class Grounding:
    """The sentences of one trace, by the label they were said of."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._said: dict[str, list[str]] = defaultdict(list)

    def hear(self, response: str) -> None:
        """Take in a tool response."""
        for label, text in _SAID.findall(response):
            said = f" {text.strip()}"
            # What makes no claim, such as "Nothing is known.", needs no copying.
            if claims(said) and said not in self._said[label]:
                self._said[label].append(said)

    def next_tokens(self, written: str) -> list[int] | None:
        """The tokens that may follow in a reflection; None where it is free (but for digits).

        Args:
            written: the reflection so far.
        """
        at = written.rfind("›")
        if at < 0:
            return None
        label, since = written[written.rfind("‹", 0, at) : at + 1], written[at + 1 :]
        if not since:
            return None
        rest = [said[len(since) :] for said in self._said[label] if said.startswith(since)]
        if not any(rest):
            return None
        texts = [remainder + ending for remainder in rest if remainder for ending in _ENDINGS]
        return sorted({ids[0] for ids in self._encode(texts)})

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        encoded: list[list[int]] = self._tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return encoded


def digit_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Tokens that would write a digit outside mentions and labels."""
    words = tokenizer.get_vocab()
    return sorted(index for word, index in words.items() if re.search(r"\d", _STRUCTURE.sub("", word)))
