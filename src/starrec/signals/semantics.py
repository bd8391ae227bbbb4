"""What items are, as far as the catalogue tells: categories, title words, decades, and how alike they are.

Nothing here knows who took what, so nothing here can leak. With the extra `embeddings` a sentence model says
how alike two descriptions read; without it, shared categories and title words do, weighted by how rare they are
(TF-IDF; Salton and Buckley, 1988).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from starrec.data import Catalogue
from starrec.signals import kernels

_COMMON: Final = 0.05
"""Title words of more than this share of the catalogue say nothing: "the", "of"."""
_WORD: Final = re.compile(r"[^\W_]+")


class Semantics:
    """Descriptions of all items of a catalogue."""

    def __init__(
        self,
        categories: Sequence[Sequence[str]],
        titles: Sequence[str] = (),
        years: Sequence[int | None] = (),
        embeddings: NDArray[np.float32] | None = None,
    ) -> None:
        """Args:
        categories, titles, years: of each item, in index order; titles and years may be missing.
        embeddings: `(n_items, d)`, each of length 1, of the items' descriptions.
        """
        self.embeddings = embeddings
        self.topics = sorted({topic for item in categories for topic in item})
        place = {topic: index for index, topic in enumerate(self.topics)}
        # (n_items, n_topics)
        self.category = np.zeros((len(categories), len(self.topics)), dtype=np.int32)
        for item, names in enumerate(categories):
            for name in names:
                self.category[item, place[name]] = 1
        words = [{f"w:{word}" for word in _WORD.findall(title.lower())} for title in titles]
        words += [set()] * (len(categories) - len(words))
        spread = Counter(word for item in words for word in item)
        telling = {word for word, n in spread.items() if n <= max(1.0, _COMMON * len(categories))}
        traits = [
            {f"c:{name}" for name in names} | (item & telling)
            for names, item in zip(categories, words, strict=True)
        ]
        self._ptr, self._columns, _ = _rows(traits, {})
        # A decade is no trait that a sentence counts, but it tells items of one time from others.
        weighed = [
            item | ({f"d:{year // 10}"} if year is not None else set())
            for item, year in zip(traits, [*years, *[None] * (len(traits) - len(years))], strict=True)
        ]
        counts = Counter(trait for item in weighed for trait in item)
        weights = {trait: float(np.log(1 + len(traits) / n)) for trait, n in counts.items()}
        self._weighted = _rows(weighed, weights)

    @classmethod
    def of(cls, catalogue: Catalogue, embeddings: NDArray[np.float32] | None = None) -> Self:
        items = catalogue.items
        return cls(items["categories"].to_list(), items["title"].to_list(), items["year"].to_list(), embeddings)

    def shared_categories(self, history: NDArray[np.int32], subject: int) -> int:
        """Items of the history that share a category with the subject."""
        return int((self.category[history] @ self.category[subject] > 0).sum())

    def traits(self, a: int, b: int) -> tuple[int, int]:
        """Categories and title words that two items share, and that either has."""
        shared = int(kernels.shared(self._ptr, self._columns, a, b))
        sizes = self._ptr[a + 1] - self._ptr[a] + self._ptr[b + 1] - self._ptr[b]
        return shared, int(sizes) - shared

    def similarities(self, anchors: NDArray[np.int32], subjects: NDArray[np.int32]) -> NDArray[np.float64]:
        """`(len(anchors), len(subjects))` in -1..1: of embeddings where there are some, else of weighted
        categories, title words and decades. NaN where an item has no description."""
        if self.embeddings is not None:
            # Not a matrix product: BLAS rounds a column by its place, and equal items must stay equal.
            left = self.embeddings[anchors].astype(np.float64)[:, None, :]
            found: NDArray[np.float64] = (left * self.embeddings[subjects][None, :, :]).sum(axis=2)
            return found
        return kernels.cosines(*self._weighted, anchors, subjects)


def _rows(
    traits: Sequence[set[str]], weights: dict[str, float]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Traits as a sparse matrix of rows of length 1 (of ones without weights): ptr, columns, values."""
    place = {trait: index for index, trait in enumerate(sorted(set().union(*traits)))}
    ptr = np.zeros(len(traits) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in traits], out=ptr[1:])
    columns = np.empty(ptr[-1], dtype=np.int32)
    values = np.ones(ptr[-1], dtype=np.float64)
    for row, item in enumerate(traits):
        names = sorted(item)
        part = slice(ptr[row], ptr[row + 1])
        columns[part] = [place[name] for name in names]
        if weights and names:
            weight = np.array([weights[name] for name in names])
            values[part] = weight / np.sqrt((weight * weight).sum())
    return ptr, columns, values
