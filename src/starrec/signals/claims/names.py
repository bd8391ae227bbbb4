"""Items and categories in text: mentions, and titles in plain words.

Titles hold anything: figures, full stops, commas, whole claims. So they are found first and hidden before
anything else looks at the text. A title in plain words is looked up by its words in one dictionary of all
titles (of tens of thousands in about a microsecond a word). A single common word such as "It" or "Heat" is a
title only in quotation marks, with its year, or written with a capital where the task has that item at hand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Final, NamedTuple

from starrec.data import escape, unescape
from starrec.signals.claims.lexicon import NUMBER_WORDS, PHRASES
from starrec.signals.claims.meaning import UNKNOWN

_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]")
_YEAR: Final = re.compile(r"\s*\((?:1[89]|20)\d\d\)$")
_YEAR_AHEAD: Final = re.compile(r"\s*\((?:1[89]|20)\d\d\)")
_ARTICLE: Final = re.compile(
    r"(.+), (The|A|An|Les?|La|Las|Los|El|Il|Lo|Der|Die|Das|L'|O|Os|De|Det|Den)((?: \(.*)?)$"
)
_IN_BRACKETS: Final = re.compile(r"\s*\(([^()]*)\)\s*$")
_ANNOUNCED: Final = re.compile(r"\b(?:are|is|be|category|genre|labelled|tagged|as|under|to|from) $")
"""What stands before a category, even one that is an ordinary word."""
_QUOTED: Final = re.compile("[\"“”‘']")
_CLOSING: Final = {'"': '"', "“": "”", "‘": "’", "'": "'"}


class Name(NamedTuple):
    """A title or category that stands in a text."""

    start: int
    end: int
    items: tuple[int, ...]
    """The items of that title; empty for a category."""
    topic: str


@dataclass(frozen=True, slots=True)
class _Entry:
    items: tuple[int, ...] = ()
    topic: str = ""
    capitals: str = ""
    """The title as it is written, to compare capitals with."""
    single: bool = False
    """One word, which must be distinguished from prose."""


class Catalogue:
    """What items and categories are called."""

    def __init__(self, mentions: Sequence[str], topics: Iterable[str] = ()) -> None:
        """Args:
        mentions: of each item, in index order (`⟦id|title⟧`, as `Dataset.mentions`).
        topics: all categories.
        """
        self._mentions = mentions
        self._topics = tuple(topics)

    @cached_property
    def item_of(self) -> dict[str, int]:
        """Item index by mention."""
        return {mention: item for item, mention in enumerate(self._mentions)}

    @cached_property
    def titles(self) -> list[str]:
        """Titles by item index, as people read them."""
        return [unescape(mention[1:-1].partition("|")[2]) for mention in self._mentions]

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {unescape(mention[1:-1].partition("|")[0]): item for item, mention in enumerate(self._mentions)}

    def mentioned(self, mention: str, at_hand: Collection[int]) -> int:
        """The item of a mention, `UNKNOWN` if there is none or its id and its title do not agree."""
        item = self.item_of.get(mention)
        if item is not None:
            return item
        number, bar, title = mention[1:-1].partition("|")
        if not bar:
            return self._titled(mention[1:-1], at_hand)
        item = self._by_id.get(unescape(number).strip(), UNKNOWN)
        if item != UNKNOWN and _bare(unescape(title)) != _bare(self.titles[item]):
            return UNKNOWN
        return item

    def _titled(self, title: str, at_hand: Collection[int]) -> int:
        entry = self._names.get(_key(_WORD.findall(unescape(title))))
        return choose(entry.items, at_hand) if entry else UNKNOWN

    @cached_property
    def _names(self) -> dict[str, _Entry]:
        """Entries by the words of a title or category, in lower case."""
        found: dict[str, _Entry] = {}
        for item, title in enumerate(self.titles):
            for form, whole in _forms(title):
                words = _WORD.findall(form)
                if not words:
                    continue
                key = _key(words)
                known = found.get(key)
                items = (*known.items, item) if known and item not in known.items else (item,)
                single = sum(word.isalnum() for word in words) == 1 and not (whole and _YEAR.search(form))
                found[key] = _Entry(items, known.topic if known else "", form, single)
        for topic in self._topics:
            for form in {topic, _stops_escaped(escape(topic)), escape(topic)}:
                key = _key(_WORD.findall(form))
                known = found.get(key)
                if known is None:
                    found[key] = _Entry((), topic, form)
                else:
                    found[key] = _Entry(known.items, topic, form, known.single)
        return found

    @cached_property
    def _lengths(self) -> dict[str, tuple[int, ...]]:
        """How many words the names have that begin with a word, longest first."""
        found: dict[str, set[int]] = {}
        for key in self._names:
            words = key.split(" ")
            found.setdefault(words[0], set()).add(len(words))
        return {word: tuple(sorted(lengths, reverse=True)) for word, lengths in found.items()}

    @cached_property
    def _openings(self) -> dict[str, set[str]]:
        """First words of names, every figure in them a 0, with the words that may come next ("" for none)."""
        found: dict[str, set[str]] = {}
        for key in self._names:
            words = re.sub(r"\d+", "0", key).split(" ")
            found.setdefault(words[0], set()).add(words[1] if len(words) > 1 else "")
        return found

    @cached_property
    def _small(self) -> frozenset[str]:
        """First words of names that are written small."""
        return frozenset(
            re.sub(r"\d+", "0", key.split(" ")[0])
            for key, entry in self._names.items()
            if entry.topic
            or not entry.capitals[:1].isupper()
            or entry.capitals.startswith(("The ", "A ", "An "))
        )

    def may_hold_names(self, text: str) -> bool:
        """Whether a text in which every figure is a 0 may hold a name: cheap, and never wrongly False."""
        words = _WORD.findall(text)
        for word, after in zip_longest(words, words[1:], fillvalue=""):
            lower = word.lower()
            if word in _CLOSING:
                return True
            next_words = self._openings.get(lower)
            if next_words is None or (word.islower() and lower not in self._small):
                continue
            if "" in next_words or after.lower() in next_words:
                return True
        return False

    def names_in(self, text: str, at_hand: Collection[int]) -> Iterator[Name]:
        """Titles and categories in a text without mentions, left to right, the longest first."""
        words = [(found.group(), found.start(), found.end()) for found in _WORD.finditer(text)]
        lower = [word.lower() for word, _, _ in words]
        at = 0
        while at < len(words):
            name = self._name_at(text, words, lower, at, at_hand)
            if name is None:
                at += 1
                continue
            yield name
            while at < len(words) and words[at][1] < name.end:
                at += 1

    def _name_at(
        self, text: str, words: list[tuple[str, int, int]], lower: list[str], at: int, at_hand: Collection[int]
    ) -> Name | None:
        opening = words[at][0]
        if opening in _CLOSING and at + 1 < len(words):
            quoted = self._quoted(text, words, lower, at, at_hand)
            if quoted is not None:
                return quoted
        for length in self._lengths.get(lower[at], ()):
            if at + length > len(words):
                continue
            entry = self._names.get(" ".join(lower[at : at + length]))
            if entry is None:
                continue
            start, end = words[at][1], words[at + length - 1][2]
            said = text[start:end]
            announced = _ANNOUNCED.search(text[max(0, start - 12) : start]) is not None
            topic = bool(entry.topic) and (announced or not _is_prose(said) or _stands_out(text, start, end))
            if topic and announced:
                return Name(start, end, (), entry.topic)
            if (
                entry.items
                and _spelled(said, entry.capitals)
                and not (entry.single and not self._meant(said, entry, at_hand))
            ):
                if not _YEAR.search(said) and (year := _YEAR_AHEAD.match(text, end)):
                    # "Fargo (1997)" is not Fargo (1996).
                    return Name(start, year.end(), (UNKNOWN,), "")
                return Name(start, end, entry.items, "")
            if topic:
                return Name(start, end, (), entry.topic)
        return None

    def _meant(self, said: str, entry: _Entry, at_hand: Collection[int]) -> bool:
        """Whether a single word is meant as a title."""
        written = _capital(said) or said == entry.capitals
        return written and not _is_prose(said) and choose(entry.items, at_hand) in at_hand

    def _quoted(
        self, text: str, words: list[tuple[str, int, int]], lower: list[str], at: int, at_hand: Collection[int]
    ) -> Name | None:
        """What stands in quotation marks, if that is a title or looks like one."""
        close = _CLOSING[words[at][0]]
        start = words[at][2]
        if words[at][0] == "'" and words[at][1] > 0 and text[words[at][1] - 1].isalnum():
            return None  # an apostrophe
        end = text.find(close, start)
        if end < 0 or end - start > 200:
            return None
        inside = text[start:end]
        entry = self._names.get(_key(_WORD.findall(inside.rstrip(",. "))))
        outside = end + 1
        if entry and entry.items:
            year = _YEAR_AHEAD.match(text, outside)
            if year is not None:
                with_year = self._names.get(_key(_WORD.findall(inside + year.group())))
                return Name(words[at][1], year.end(), with_year.items if with_year else (UNKNOWN,), "")
            return Name(words[at][1], outside, entry.items, "")
        if entry and entry.topic:
            return Name(words[at][1], outside, (), entry.topic)
        if close == "'" or not inside.strip()[:1].isupper() or not inside.strip():
            return None
        if "\ue000" in inside or inside.rstrip()[-1:] in ".!?":
            return None  # a sentence in quotation marks
        return Name(words[at][1], outside, (UNKNOWN,), "")


def choose(items: Collection[int], at_hand: Collection[int]) -> int:
    """The one item of that title: the only one, or the only one at hand."""
    if len(items) == 1:
        return next(iter(items))
    here = [item for item in items if item in at_hand]
    return here[0] if len(here) == 1 else UNKNOWN


def _forms(title: str) -> Iterator[tuple[str, bool]]:
    """How a title is written: as it is, its article in front, without its year, without what is in brackets."""
    moved = _ARTICLE.sub(r"\2 \1\3", title) if ", " in title else title
    for form in dict.fromkeys((title, moved)):
        yield form, True
        escaped = escape(form)
        if escaped != form:
            yield escaped, True
        short = _YEAR.sub("", form)
        if short != form and short:
            yield short, False
            again = _ARTICLE.sub(r"\2 \1", short) if ", " in short else short
            if again != short:
                yield again, False
            while (inner := _IN_BRACKETS.search(short)) is not None:
                outer = short[: inner.start()]
                if outer:
                    yield outer, False
                    again = _ARTICLE.sub(r"\2 \1", outer) if ", " in outer else outer
                    if again != outer:
                        yield again, False
                if not inner.group(1) or not outer:
                    break
                short = outer


def _key(words: Sequence[str]) -> str:
    return " ".join(words).lower()


def _bare(title: str) -> str:
    return _key(_WORD.findall(title))


def _capital(said: str) -> bool:
    return not said[:1].islower()


def _is_prose(said: str) -> bool:
    lower = said.lower()
    return (
        said.isdigit()  # "187 of the 942 people": there is a film of that name
        or (lower in PHRASES and said[:1].islower())
        or lower in NUMBER_WORDS
        or (lower in PHRASES and " " not in said)
    )


def _stands_out(text: str, start: int, end: int) -> bool:
    """Whether a word has a capital inside a sentence."""
    before = text[:start].rstrip()
    return text[start].isupper() and bool(before) and before[-1] not in ".!?:"


def _spelled(said: str, title: str) -> bool:
    """Whether the words that the title writes with a capital have theirs; an article in front need not."""
    ours, theirs = _WORD.findall(said), _WORD.findall(title)
    if len(ours) != len(theirs):
        return False
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if (
            b[:1].isupper()
            and a[:1].islower()
            and not (place == 0 and b in ("The", "A", "An") and len(ours) > 1)
        ):
            return False
    return True


def _stops_escaped(topic: str) -> str:
    return re.sub(r"\.(?=\s)", "&#46;", topic)
