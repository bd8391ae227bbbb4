"""Citations are copied, not invented: what think mode may write where a figure could stand.

A small model that has learned the form of a reflection still slips when it copies: a neighbouring sentence's
count, the number of another candidate's fact. Sampling cannot be trusted with that, so decoding is constrained.
After a label in a reflection the student may go on with the number `#12` of a fact that a tool of this very
trace stated of that label, then with that fact's own sentence or with nothing, and then with another label or
with the end. Which label, which fact, and whether in words is its choice; every figure and item in it is the
tool's. Elsewhere it writes freely, but no digits, except for trust (`Trust user_profile 4`), which is a typed
field of plans and reflections. Only the task's own labels are written, and in a list none of them twice.
(Constrained decoding over what is known, as in GENRE, De Cao et al., ICLR 2021.)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Final, NamedTuple

from transformers import PreTrainedTokenizerFast

from starrec.signals import labels
from starrec.student.config import MAX_LABELS
from starrec.tools import read_facts

_MENTION: Final = re.compile("⟦[^⟦⟧]*⟧")
_FIGURE: Final = re.compile(r"[\d#]")
_TRUST: Final = re.compile(r"Trust (?:[a-z_]+ \d, )*[a-z_]+ $")
_TRUST_TOKENS: Final = 60
"""Tokens of a plan or reflection that a statement of trust fits in."""


class Open(NamedTuple):
    """What may follow in a plan or a reflection."""

    tokens: list[int]
    free: bool
    """Whether all else may follow, but for figures."""


class Grounding:
    """What may be cited in one trace, as token sequences by the label it was stated of."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, candidates: Sequence[str]) -> None:
        """
        Args:
            candidates: labels of the task's candidates.
        """
        self._tokenizer = tokenizer
        self._labels = {_token(tokenizer, name): name for name in labels(MAX_LABELS)}
        self._foreign = [token for token, name in self._labels.items() if name not in candidates]
        self._degrees = [_token(tokenizer, str(degree)) for degree in range(1, 10)]
        self._said: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """Facts of each label: its number, and its sentence."""
        self._citations: dict[str, dict[tuple[int, ...], bool]] = defaultdict(dict)
        """Of each label, those that were asked for, and whether they end with the space that stands before
        another label."""
        self._starts: set[int] = set()

    def add(self, answer: str) -> None:
        """Take in a tool's answer, items called by their names in the trace."""
        for label, cite, words in read_facts(answer):
            self._said[label].append((cite, words))
            self._starts.add(self._encode(f" {cite}")[0])

    def open(self, written: Sequence[int], closing: int) -> Open:
        """What may follow.

        Args:
            written: tokens of the plan or reflection so far.
            closing: token that ends it.
        """
        since = tuple(takewhile(lambda token: token not in self._labels, reversed(written)))[::-1]
        if len(since) == len(written):
            return self._words(written)
        known = self._known(self._labels[written[-len(since) - 1]])
        going_on = {cited[len(since)] for cited in known if cited[: len(since)] == since != cited}
        if not since:
            return Open(sorted(going_on), True)
        if since in known:
            others = set(self._labels).difference(self.barred(written)) if known[since] else set()
            return Open(sorted({*going_on, *others, closing}), False)
        return Open(sorted(going_on), False) if going_on else self._words(written)

    def barred(self, written: Sequence[int]) -> list[int]:
        """The labels that may not follow: those of no candidate, those of the list that ends what was written,
        and those of which something was cited."""
        listed = takewhile(self._labels.__contains__, reversed(written))
        return [
            *self._foreign,
            *listed,
            *(label for label, after in pairwise(written) if after in self._starts),
        ]

    def _words(self, written: Sequence[int]) -> Open:
        end = str(self._tokenizer.decode(list(written[-_TRUST_TOKENS:])))
        return Open(self._degrees, False) if _TRUST.search(end) else Open([], True)

    def _known(self, label: str) -> dict[tuple[int, ...], bool]:
        """Citations of a label, encoded when it was written: most facts are never cited."""
        known, facts = self._citations[label], self._said[label]
        while facts:
            cite, words = facts.pop(0)
            for said in (cite, f"{cite} {words}"):
                # Pieces of text may span the full stop and the space behind it.
                for text, spaced in ((f" {said}", False), (f" {said} ", True)):
                    known[tuple(self._encode(text))] = spaced
        return known

    def _encode(self, text: str) -> list[int]:
        encoded: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return encoded


def _token(tokenizer: PreTrainedTokenizerFast, word: str) -> int:
    index = tokenizer.convert_tokens_to_ids(word)
    assert isinstance(index, int)
    return index


def figure_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Tokens that would write a digit or a `#` outside mentions."""
    words = tokenizer.batch_decode([[at] for at in range(len(tokenizer))])
    return [at for at, word in enumerate(words) if _FIGURE.search(_MENTION.sub("", word))]
