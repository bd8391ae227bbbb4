"""Which item a person means by a title."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rapidfuzz import fuzz, process

from starrec.errors import StarrecError

_SURE: Final = 80.0
"""Similarity (0 to 100) from which a title counts as meant, if no other comes close."""
_CLEAR: Final = 5.0
_SUGGESTED: Final = 5


class Titles:
    """The titles of a catalogue, ready to be asked for."""

    def __init__(self, titles: Sequence[str], item_ids: Sequence[str]) -> None:
        self._titles, self._item_ids = titles, item_ids
        self._names = [_normal(title) for title in titles]
        self._bare = [_without_year(name) for name in self._names]
        self._by_id = {item_id: index for index, item_id in enumerate(item_ids)}

    def match(self, title: str) -> int:
        """The item that a person means by this title.

        Case, punctuation, a moved article ("Usual Suspects, The") and a missing year do not matter, and small
        slips are forgiven. What is no title may be an item's id, the only name that two items cannot share.

        Raises:
            StarrecError: no item, or more than one, is meant; with suggestions.
        """
        name = _normal(title)
        for names, wanted in ((self._names, name), (self._bare, name)):
            same = [index for index, other in enumerate(names) if other == wanted]
            if len(same) == 1:
                return same[0]
            if same:
                raise StarrecError(
                    f"{title!r} is ambiguous: {self._listed(same)}. Add the year, or give the item's id."
                )
        close = process.extract(name, self._bare, scorer=fuzz.WRatio, limit=_SUGGESTED)
        near = [index for _, _, index in close]
        alike = [fuzz.ratio(name, other) for other, _, _ in close] + [0.0, 0.0]
        if alike[0] >= _SURE and alike[0] - max(alike[1:]) >= _CLEAR:
            return int(near[0])
        if title in self._by_id:
            return self._by_id[title]
        raise StarrecError(f"No title {title!r} in the catalogue. Did you mean {self._listed(near)}?")

    def _listed(self, items: Sequence[int]) -> str:
        shown = items[:_SUGGESTED]
        return ", ".join(f"{self._titles[item]!r} (id {self._item_ids[item]})" for item in shown)


def _normal(title: str) -> str:
    """Lower case, words only, a moved article put back in front."""
    moved = re.sub(r"^(.*), (the|an?|le|la|les|il|der|die|das)\b(.*)$", r"\2 \1\3", title.strip().lower())
    return " ".join(re.findall(r"\w+", moved))


def _without_year(name: str) -> str:
    return re.sub(r" (?:19|20)\d\d$", "", name)
