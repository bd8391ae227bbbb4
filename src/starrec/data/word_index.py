"""Which titles hold which words: exactly, from their beginning, or nearly.

An inverted index in two arrays. The words are sorted, so that all that begin with some letters lie side by
side, and so do the items behind them. A word weighs its length times its rarity (inverse document frequency,
which says little in a small catalogue): two titles that share "matrix" resemble each other more than two that
share "the".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

Items = NDArray[np.int32]
"""Item indices, ascending."""

AFTER: Final = "\U0010ffff"
"""Comes after every character of a word."""
_NEARLY: Final = 60.0
"""Similarity (0 to 100) from which one word may be meant by another."""
_UNLIKE: Final = 50.0
"""Similarity that says nothing; from here to 100, what two words share counts from 0 to 1."""
_OTHER_START: Final = 0.5
"""What is left of a similarity where the first letters differ: slips come later in a word."""
_BESIDE: Final = 0.5
"""Titles less alike than this share of the most similar one are not named beside it."""
_NEAR_WORDS: Final = 20
"""The most similar words of the catalogue that may be meant by one."""
_TYPED_WORDS: Final = 8
"""Words of a query that are compared with all words of the catalogue, ..."""
_TYPED_LETTERS: Final = 50
"""... and so many letters of each."""


class WordIndex:
    """The words of a catalogue's titles. Item indices count the sequences of words that are given."""

    def __init__(self, titles: Iterable[Iterable[str]]) -> None:
        postings: dict[str, list[int]] = {}
        n_items = 0
        for item, words in enumerate(titles):
            n_items = item + 1
            for word in dict.fromkeys(words):
                postings.setdefault(word, []).append(item)
        self._words = sorted(postings)
        sizes = [len(postings[word]) for word in self._words]
        self._starts = [0, *accumulate(sizes)]
        self._items: Items = np.fromiter(
            (item for word in self._words for item in postings[word]), np.int32, self._starts[-1]
        )
        self._rarest = float(np.log(n_items + 1))
        rarity = self._rarest - np.log(np.array(sizes, dtype=np.float64))
        self._weights = rarity * np.fromiter(map(len, self._words), np.float64, len(sizes))
        self._title_weights = np.bincount(self._items, np.repeat(self._weights, sizes), n_items)

    def holding(self, words: Sequence[str]) -> Items:
        """Items whose titles hold all of these words."""
        return self._in_all(
            [(bisect_left(self._words, word), bisect_left(self._words, word + "\0")) for word in words]
        )

    def beginning(self, prefixes: Sequence[str]) -> Items:
        """Items whose titles hold, for each of these, a word that begins with it."""
        return self._in_all(
            [
                (bisect_left(self._words, prefix), bisect_left(self._words, prefix + AFTER))
                for prefix in prefixes
            ]
        )

    def resembling(self, words: Sequence[str], n: int, share: float = 0.0) -> list[int]:
        """Up to n items whose titles hold words like these, the most alike first, then in catalogue order.

        Each word counts for the most similar word of the title, with the smaller weight of the two times
        their similarity; the sum s is set against all words of both sides (Dice: 2s / (typed + title)), so that
        neither a short title nor a long one is favoured.

        Args:
            share: least s over the weight of all typed words, 0 to 1.
        """
        asked = [word[:_TYPED_LETTERS] for word in list(dict.fromkeys(words))[:_TYPED_WORDS]]
        alike = np.zeros(len(self._title_weights))
        typed = 0.0
        for word in asked:
            close = process.extract(
                word, self._words, scorer=fuzz.ratio, score_cutoff=_NEARLY, limit=_NEAR_WORDS
            )
            # A word of no title weighs as much as the one that it resembles most.
            weight = self._weights[close[0][2]] if close else self._rarest * len(word)
            typed += weight
            best = np.zeros(len(alike))
            for other, percent, place in close:
                items = self._posted(place, place + 1)
                similarity = (percent - _UNLIKE) / (100 - _UNLIKE)
                if other[0] != word[0]:
                    similarity *= _OTHER_START
                best[items] = np.maximum(best[items], similarity * min(weight, self._weights[place]))
            alike += best
        found = np.flatnonzero((alike > 0) & (alike >= share * typed))
        dice = 2 * alike[found] / (typed + self._title_weights[found])
        order = np.lexsort((found, -dice))
        order = order[dice[order] >= _BESIDE * dice.max(initial=0.0)]
        return [int(item) for item in found[order][: max(n, 0)]]

    def _in_all(self, ranges: Sequence[tuple[int, int]]) -> Items:
        """Items that hold a word of each range of places in the vocabulary; none for no range."""
        held = np.full(len(self._title_weights), len(ranges) > 0)
        for low, high in set(ranges):
            here = np.zeros(len(held), dtype=np.bool_)
            here[self._posted(low, high)] = True
            held &= here
        return np.flatnonzero(held).astype(np.int32)

    def _posted(self, low: int, high: int) -> Items:
        return self._items[self._starts[low] : self._starts[high]]
