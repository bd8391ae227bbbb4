"""Constrained decoding: what may follow, token by token, in a text that a grammar describes (llguidance)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray


class Matcher:
    """What may follow under one grammar."""

    def __init__(self, matcher: LLMatcher, rows: int) -> None:
        """
        Args:
            rows: of the output matrix.
        """
        self._matcher, self._rows = matcher, rows
        self._check()

    def copy(self) -> Matcher:
        """The same text under the same grammar, to go on by itself."""
        return Matcher(self._matcher.deep_copy(), self._rows)

    @property
    def ended(self) -> bool:
        """Whether the text is whole."""
        return self._matcher.is_stopped()

    def forced(self) -> list[int]:
        """The tokens without alternative that come next; they are taken."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        self.take(tokens)
        return tokens

    def open(self) -> NDArray[np.bool_]:
        """`(rows,)` which tokens may come next; the end token where the text may end."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return np.unpackbits(bits, count=self._rows, bitorder="little").view(np.bool_)

    def take(self, tokens: Sequence[int]) -> None:
        """Go on after these tokens."""
        self._matcher.consume_tokens(list(tokens))
        self._check()

    def _check(self) -> None:
        # It never raises; an error is a state.
        assert not self._matcher.is_error(), self._matcher.get_error()
