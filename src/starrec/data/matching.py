"""Which item a person means by a title, and which items a person may be typing.

Two questions, one index of names (`title_names`). `match` wants one item or none: it goes from the strictest
reading of what was typed to the loosest, and the first that any item answers decides; two items that answer it
alike are an error, never a guess. `search` wants a list while somebody types. Neither looks at popularity.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from starrec.data.text import printable
from starrec.data.title_names import Reading, TitleNames, alike, fold, readings, title_names
from starrec.data.word_index import AFTER, Items, WordIndex
from starrec.errors import StarrecError

ItemsByName = dict[str, list[int]]

_SURE: Final = 80.0
"""Similarity (0 to 100) from which a title counts as meant, if no other comes close."""
_CLEAR: Final = 5.0
_SUGGESTED: Final = 5
_SHOWN: Final = 100
"""Characters of a title in a message."""
_READ: Final = 200
"""Characters of what was typed that `search` reads, and that are compared with all names letter by letter."""
_FOUND: Final = 0.6
"""Share of what was typed that a title must resemble to be found by `search` in spite of slips."""
_LEAST_WITHIN: Final = 3
"""Latin letters that can be told from within a title: "et" is in many."""
_FIRST_PART: Final = re.compile(r"^(.+?) (?:(?:part|volume|chapter|book) 1|episode 4)\b")
"""Of the series that counts episodes in its titles, the fourth came first ("Star Wars")."""
_FIGURES: Final = re.compile(r"\w*\d\w*")


class UnknownItem(StarrecError):
    """No item, or more than one, is meant by a name."""

    def __init__(self, message: str, name: str, near: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message, name, near)
        self.name = name
        """What was asked for."""
        self.near = near
        """`(item_id, title)` of up to 5 items that may be meant, the likelier first."""

    def __str__(self) -> str:
        return str(self.args[0])


class Titles:
    """The titles of a catalogue, ready to be asked for. The names are read at the first question."""

    def __init__(self, titles: Sequence[str], item_ids: Sequence[str]) -> None:
        self._titles, self._item_ids = titles, item_ids
        self._by_id = {item_id: index for index, item_id in enumerate(item_ids)}
        self._by_title = _grouped((title.strip(), index) for index, title in enumerate(titles))

    def item(self, name: str) -> int:
        """The item with this id, else the item that a person means by this title (`match`): for programs.

        Raises:
            UnknownItem: no item, or more than one, is meant.
        """
        return self._by_id[name] if name in self._by_id else self.match(name)

    def match(self, title: str) -> int:
        """The item that a person means by this title.

        The first of these that any item answers: the title as it is shown; the same words, whatever their
        case, accents and punctuation, without its parentheses, without an article, with numerals as figures;
        an alternative title; the same letters in other words; what stands before its colon, if no other title
        begins so. Then the item's id, the only name that two items cannot share. Then the one title that begins
        with all typed words, that holds them side by side, or in their order; the first part of a series whose
        title names none; the one title that differs by small slips, but in no number. A year may be missing,
        never be wrong.

        Raises:
            UnknownItem: no item, or more than one, is meant; with suggestions.
        """
        asked = readings(title)
        same = self._same(title, asked) or self._led(asked)
        if len(same) > 1:
            message = (
                f"{_short(title)} is ambiguous: {self._listed(same)}. Add the year, or give the item's id."
            )
            raise self._error(message, title, same)
        if same:
            return same[0]
        if title in self._by_id:
            return self._by_id[title]
        like = self._like(asked)
        if len(like) == 1:
            return like[0]
        near = like or self._near(asked[0][0])
        hint = f" Did you mean {self._listed(near)}?" if near else ""
        raise self._error(f"No title {_short(title)} in the catalogue.{hint}", title, near)

    def search(self, query: str, n: int = 10) -> list[int]:
        """At most n items that a person may be typing, the best first; none for an empty query.

        In this order: titles that the query is, that begin with it, that hold it from the beginning of a word
        on, whose words begin with the query's words. Where there are none, titles that resemble it. Among
        equals the shorter title is first, then the catalogue's order.
        """
        typed = fold(query[:_READ])
        if not typed or n < 1:
            return []
        found: dict[int, None] = {}
        for items in self._hits(query[:_READ], typed):
            found.update(dict.fromkeys(self._shortest_first(items)))
            if len(found) >= n:
                break
        return list(found)[:n] or self._words.resembling(typed.split(), n, share=_FOUND)

    def _hits(self, query: str, typed: str) -> Iterator[Sequence[int] | Items]:
        yield self._same(query, readings(query))
        yield self._with_prefix(typed)
        words = typed.split()
        items = self._words.beginning(words)
        if len(words) > 1:
            yield [item for item in items.tolist() if f" {typed}" in f" {self._names[item].whole}"]
        yield items

    def _same(self, title: str, asked: list[Reading]) -> list[int]:
        """Items that have exactly this name under the strictest reading under which there is one."""
        if shown := self._by_title.get(title.strip()):
            return shown
        for name, year in asked:
            if found := [item for item in self._by_whole.get(name, ()) if self._names[item].year == year]:
                return found
        for spelled, items in self._by_name:
            for name, year in asked:
                if found := self._of_year(items.get(spelled(name), ()), year):
                    return found
        return []

    def _led(self, asked: list[Reading]) -> list[int]:
        """Items whose titles say this before a colon, if no other title begins so."""
        for name, year in asked:
            lead = alike(name)
            found = self._of_year(self._beginning(lead), year)
            if found and all(alike(self._names[item].lead) == lead for item in found):
                return found
        return []

    def _like(self, asked: list[Reading]) -> list[int]:
        """Items that have a name like this under the strictest reading under which there is one."""
        for find in (self._beginning, self._holding, self._in_order, self._first_part):
            for name, year in asked:
                if name and (found := self._of_year(find(alike(name)), year)):
                    return self._shortest_first(found)
        for name, year in asked:
            if found := self._slipped(alike(name), year):
                return found
        return []

    def _beginning(self, name: str) -> Sequence[int]:
        """Items with a name that begins with all of these words."""
        return self._with_prefix(f"{name} ")

    def _holding(self, name: str) -> Sequence[int]:
        """Items whose titles hold these words side by side."""
        return [item for item in self._with_words(name) if f" {name} " in f" {self._names[item].alike} "]

    def _in_order(self, name: str) -> Sequence[int]:
        """Items whose titles hold these words in this order."""
        words = name.split()

        def ordered(item: int) -> bool:
            rest = iter(self._names[item].alike.split())
            return all(word in rest for word in words)

        return [item for item in self._with_words(name) if ordered(item)]

    def _first_part(self, name: str) -> Sequence[int]:
        """Items called by what stands before "Part I", if no other title begins so."""
        found = _FIRST_PART.search(name)
        if found is None or self._with_prefix(f"{found.group(1)} "):
            return ()
        return self._by_form.get(found.group(1), ())

    def _slipped(self, name: str, year: int | None) -> list[int]:
        """Items whose names differ from this one by small slips, none clearly less than another.

        Neither the first letter nor a figure is a slip: "Toy Story 3" is not "Toy Story 2".
        """
        if len(name) > _READ:
            return []
        names = [*self._forms, *self._leads]
        close = process.extract(name, names, scorer=fuzz.ratio, score_cutoff=_SURE - _CLEAR, limit=None)
        alikeness: dict[int, float] = {}
        for form, similarity, _ in close:
            if form[:1] == name[:1] and _FIGURES.findall(form) == _FIGURES.findall(name):
                for item in self._by_form.get(form) or self._beginning(form):
                    alikeness.setdefault(item, similarity)
        items = self._of_year(list(alikeness), year)
        best = max((alikeness[item] for item in items), default=0.0)
        return [item for item in items if best >= _SURE and alikeness[item] > best - _CLEAR]

    def _of_year(self, items: Sequence[int], year: int | None) -> list[int]:
        """The items of this year; without one, those whose year is not known."""
        if year is None:
            return list(items)
        same = [item for item in items if self._names[item].year == year]
        return same or [item for item in items if self._names[item].year is None]

    def _near(self, name: str) -> list[int]:
        """What to suggest: titles with words like those typed, else with letters like them."""
        found = self._words.resembling(name.split(), _SUGGESTED)
        if found:
            return found
        whole = [names.whole for names in self._names]
        return [at for _, _, at in process.extract(name[:_READ], whole, scorer=fuzz.ratio, limit=_SUGGESTED)]

    def _with_prefix(self, prefix: str) -> list[int]:
        low, high = bisect_left(self._forms, prefix), bisect_left(self._forms, prefix + AFTER)
        return sorted({item for form in self._forms[low:high] for item in self._by_form[form]})

    def _with_words(self, name: str) -> list[int]:
        if len(name) < _LEAST_WITHIN and name.isascii():
            return []
        return [int(item) for item in self._words.holding(name.split())]

    def _shortest_first(self, items: Sequence[int] | Items) -> list[int]:
        index = np.asarray(items, dtype=np.int32)
        return [int(item) for item in index[np.lexsort((index, self._lengths[index]))]]

    @cached_property
    def _names(self) -> list[TitleNames]:
        return [title_names(title) for title in self._titles]

    @cached_property
    def _by_whole(self) -> ItemsByName:
        return _grouped((names.whole, item) for item, names in enumerate(self._names))

    @cached_property
    def _by_name(self) -> list[tuple[Callable[[str], str], ItemsByName]]:
        """From the strictest to the loosest: how a name is spelled there, and items by such names."""
        tiers: list[ItemsByName] = [{} for _ in range(4)]
        main, spelled, others, joined = tiers
        for item, names in enumerate(self._names):
            _add(main, names.whole, item)
            _add(spelled, names.alike, item)
            _add(joined, _joined(names.alike), item)
            if names.main != names.whole:
                _add(main, names.main, item)
                _add(spelled, alike(names.main), item)
                _add(joined, _joined(alike(names.main)), item)
            for name in map(alike, names.alternatives):
                _add(others, name, item)
                _add(joined, _joined(name), item)
        return list(zip((str, alike, alike, lambda name: _joined(alike(name))), tiers, strict=True))

    @cached_property
    def _by_form(self) -> ItemsByName:
        return _grouped((form, item) for item, names in enumerate(self._names) for form in names.forms())

    @cached_property
    def _forms(self) -> list[str]:
        return sorted(self._by_form)

    @cached_property
    def _leads(self) -> list[str]:
        """What titles say before a colon, where no title is called so."""
        return sorted({alike(names.lead) for names in self._names if names.lead} - self._by_form.keys())

    @cached_property
    def _words(self) -> WordIndex:
        return WordIndex(f"{names.whole} {names.alike} {names.year or ''}".split() for names in self._names)

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        return np.array([len(names.whole) for names in self._names], dtype=np.int64)

    def _error(self, message: str, name: str, items: Sequence[int]) -> UnknownItem:
        near = tuple((self._item_ids[item], self._titles[item]) for item in items[:_SUGGESTED])
        return UnknownItem(message, name, near)

    def _listed(self, items: Sequence[int]) -> str:
        shown = items[:_SUGGESTED]
        return ", ".join(
            f"{_short(self._titles[item])} (id {printable(self._item_ids[item])})" for item in shown
        )


def _grouped(names: Iterable[tuple[str, int]]) -> ItemsByName:
    groups: ItemsByName = {}
    for name, item in names:
        _add(groups, name, item)
    return groups


def _add(groups: ItemsByName, name: str, item: int) -> None:
    """Add an item, in ascending order, under a name; nothing is called by an empty name."""
    if name:
        items = groups.setdefault(name, [])
        if not items or items[-1] != item:
            items.append(item)


def _joined(name: str) -> str:
    return name.replace(" ", "")


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
