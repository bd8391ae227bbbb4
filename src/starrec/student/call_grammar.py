"""Tool calls decoded under their schema: whatever the student would rather write, it writes a call.

A call is JSON of a known tool, its arguments within what the tool takes, its candidates some of the task's.
Only tokens are open after which the text still is the beginning of such a call (llguidance). Which tool, which
window, which candidates is the student's choice; that the call can be answered is not left to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import llguidance.hf
import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from starrec.signals import labels
from starrec.student.calls import STUDENT_TOOLS
from starrec.student.config import MAX_LABELS
from starrec.student.matcher import Matcher
from starrec.tools import ToolSpec

_PART: Final = re.compile("[‹›\ufffd]")
"""In tokens that are a part of a label or of a character, or hold one among other text."""


class CallGrammar:
    """What calls may be, in a tokenizer's vocabulary."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """
        Args:
            tokenizer: in which each label, and `</tool_call>`, is a token.
        """
        self._tokens = tokenizer.get_vocab()
        words = tokenizer.batch_decode([[at] for at in range(len(tokenizer))])
        self._parts = np.array([bool(_PART.search(word)) for word in words])
        self._parts[[self._tokens[label] for label in labels(MAX_LABELS)]] = False
        ending = self._tokens["</tool_call>"]
        self._vocabulary = llguidance.hf.from_tokenizer(tokenizer, len(words), ending)
        self._compiled: dict[tuple[tuple[str, ...], tuple[str, ...]], Matcher] = {}

    def begin(self, labels: Sequence[str], tools: Iterable[str] = tuple(STUDENT_TOOLS)) -> Call:
        """A call of which nothing is written.

        Args:
            labels: of the task's candidates.
            tools: which may be called.
        """
        asked = (tuple(labels), tuple(tools))
        if asked not in self._compiled:
            grammar = LLMatcher.grammar_from_regex(_pattern(*asked))
            self._compiled[asked] = Matcher(LLMatcher(self._vocabulary, grammar), len(self._parts))
        return Call(
            self._compiled[asked].copy(), self._parts.copy(), frozenset(self._tokens[label] for label in labels)
        )


class Call:
    """A tool call that is being written."""

    def __init__(self, matcher: Matcher, never: NDArray[np.bool_], labels: frozenset[int]) -> None:
        """Args:
        never: `(vocabulary,)` tokens that cannot follow, whatever the grammar says.
        labels: tokens of which each may be written once.
        """
        self._matcher = matcher
        self._never = never
        self._labels = labels

    def shut(self) -> NDArray[np.bool_]:
        """`(vocabulary,)` tokens after which this would not be the beginning of a call; where it is a whole
        one, `</tool_call>` is open."""
        shut: NDArray[np.bool_] = ~self._matcher.open() | self._never
        return shut

    def add(self, token: int) -> None:
        """Take in the next token, one that is open."""
        if not self._matcher.ended:  # else this is `</tool_call>`
            self._matcher.take([token])
        if token in self._labels:
            self._never[token] = True


def _pattern(labels: Sequence[str], tools: Iterable[str]) -> str:
    """Regular expression of a call."""
    one = f'"(?:{"|".join(map(re.escape, labels))})"'
    some = rf"\[{one}(?:,{one}){{0,{len(labels) - 1}}}\]"
    calls = "|".join(rf'{name}","arguments":{_arguments(STUDENT_TOOLS[name], some)}' for name in tools)
    return rf'\{{"name":"(?:{calls})\}}'


def _arguments(spec: ToolSpec, some: str) -> str:
    window = '"window":"(?:recent|whole)"' if spec.windows else ""
    candidates = f'"candidates":{some}' if spec.candidates else ""
    either = "|".join(
        filter(None, [f"{window},{candidates}" if window and candidates else "", window, candidates])
    )
    return rf"\{{(?:{either})?\}}"
