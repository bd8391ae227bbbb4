"""From text to the words of its sentences: what is hidden, where sentences end, which phrases begin where.

Mentions, titles, labels and figures are replaced by one placeholder character each, a *slot*. What is left,
the shape of a sentence, is all that the grammar sees: sentences that differ in items and figures only have
one shape and are parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from starrec.signals.claims.grammar import GRAMMAR
from starrec.signals.claims.lexicon import (
    CONNECTIVES,
    DROPPED,
    LINKS,
    LONGEST,
    NUMBER_WORDS,
    PARTS,
    PHRASES,
    REFERENCE,
    SLACK,
)
from starrec.signals.claims.meaning import Number

ITEM: Final = "\ue000"
LABEL: Final = "\ue001"
WHOLE: Final = "\ue002"
DECIMAL: Final = "\ue003"
TOPIC: Final = "\ue004"
BREAK: Final = "\ue005"
"""Where no sentence goes on: a tag, a compact token."""
SLOTS: Final = f"{ITEM}{LABEL}{WHOLE}{DECIMAL}{TOPIC}"

FIGURE: Final = r"(?<![\w\ue000-\ue004])(?:(?<![^\s(])[+\-−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
HIDDEN: Final = re.compile(
    rf"(?P<mention>⟦[^⟦⟧]*⟧)|(?P<label>‹[A-Z]{{1,3}}›)|(?P<other>‹[^‹›]*›|</?[a-z_]+>|[\ue000-\ue005])"
    rf"|(?P<figure>{FIGURE})"
)
_ABBREVIATED: Final = re.compile(r"\b(?:approx|vs|ca|no|cf|resp)\.(?=\s)|\b[ie]\.[eg]\.,?", re.IGNORECASE)
_END: Final = re.compile(
    rf"[.!?]+[\"'”’)*_]*(?=\s|$|[{LABEL}{ITEM}{BREAK}])|{BREAK}|\n\s*\n|\n\s*(?=[-*•]\s|{LABEL}|[{WHOLE}][.)]\s)"
)
_BULLET: Final = re.compile(rf"^[\s{BREAK}]*(?:[-*•]+\s+|{WHOLE}[.)]\s+)?")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a masked text."""

    shape: str
    start: int
    """Where in the masked text."""
    question: bool


def sentences(masked: str) -> Iterator[Sentence]:
    """The sentences of a masked text, without bullets and full stops."""
    masked = _ABBREVIATED.sub(lambda found: found.group().replace(".", " ").replace(",", " "), masked)
    at = 0
    for end in _END.finditer(masked):
        yield from _one(masked, at, end.start(), "?" in end.group())
        at = end.end()
    yield from _one(masked, at, len(masked), False)


def _one(masked: str, start: int, end: int, question: bool) -> Iterator[Sentence]:
    bullet = _BULLET.match(masked, start, end)
    if bullet is not None and ITEM not in bullet.group():
        start = bullet.end()
    part = masked[start:end].rstrip()
    if part:
        yield Sentence(part, start, question)


_TOKEN: Final = re.compile(
    rf"[{SLOTS}]|[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|['’](?:s\b)?|[,;:()%&×=]|[-–—]+|\S", re.UNICODE
)
_SUFFIXES: Final = {"ve": "have", "re": "are", "ll": "will", "d": "had", "m": "am"}
_PUNCTUATION: Final = {
    ",": "COMMA", ";": "COMMA", ":": "COLON", "=": "COLON", "(": "OPEN", ")": "CLOSE", "[": "OPEN",
    "]": "CLOSE", "%": "PERCENT", "&": "AND", "×": "TIMES",
}  # fmt: skip
_IGNORED: Final = frozenset('"“”‘*_`~')
_LITERALS: Final = frozenset(
    symbol.name
    for rules in GRAMMAR.rules.values()
    for sequence, _ in rules
    for symbol in GRAMMAR.symbols(sequence)
    if symbol.name.islower() and symbol.name not in GRAMMAR.rules and "_" in symbol.name
)
_LITERAL_PHRASES: Final = {name.replace("_", " "): name for name in _LITERALS}
_LONGEST: Final = max(LONGEST, *(len(phrase.split()) for phrase in _LITERAL_PHRASES))


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    """In lower case; a placeholder stands for itself."""
    start: int
    end: int
    slot: int = -1
    """Which slot of the sentence it is."""


def words_of(shape: str) -> list[Word]:
    """The words of a shape; contractions are taken apart."""
    found: list[Word] = []
    slots = 0
    for match in _TOKEN.finditer(shape):
        text, start, end = match.group().lower(), match.start(), match.end()
        if text in _IGNORED:
            continue
        if text in SLOTS:
            found.append(Word(text, start, end, slots))
            slots += 1
        elif text in ("'", "’"):
            if found and (found[-1].text in SLOTS or found[-1].text.endswith("s")) and found[-1].end == start:
                found.append(Word("'s", start, end))
        elif text in ("'s", "’s"):
            found.append(Word("'s", start, end))
        elif "'" in text or "’" in text:
            found += _contraction(text.replace("’", "'"), start, end)
        elif text == "cannot":
            found += [Word("can", start, end), Word("not", start, end)]
        else:
            found.append(Word("-" if text[0] in "-–—" else text, start, end))
    # "two-thirds", "14-day": a hyphen inside a word joins nothing that matters.
    joined = [
        word
        for place, word in enumerate(found)
        if not (
            word.text == "-"
            and 0 < place < len(found) - 1
            and found[place - 1].end == word.start
            and found[place + 1].start == word.end
            and not (found[place - 1].text in SLOTS and found[place + 1].text in SLOTS)
        )
    ]
    return joined


def _contraction(text: str, start: int, end: int) -> list[Word]:
    stem, _, suffix = text.rpartition("'")
    if suffix == "t" and stem.endswith("n"):
        stem = {"ca": "can", "wo": "will", "sha": "shall"}.get(stem[:-1], stem[:-1])
        return [Word(stem, start, end), Word("not", start, end)]
    if suffix == "s":
        if stem in ("it", "that", "there", "what", "here", "who"):
            return [Word(stem, start, end), Word("is", start, end)]
        return [Word(stem, start, end), Word("'s", start, end)]
    return [Word(stem, start, end), Word(_SUFFIXES.get(suffix, suffix), start, end)]


class Lattice:
    """The phrases of a sentence: at each word, by class, where they end and what they stand for."""

    def __init__(self, shape: str) -> None:
        self.words = words_of(shape)
        self.places: list[dict[str, list[tuple[int, Any]]]] = [{} for _ in range(len(self.words) + 1)]
        for at in reversed(range(len(self.words))):
            for name, end, value in self._phrases(at):
                ends = self.places[at].setdefault(name, [])
                if (end, value) not in ends:
                    ends.append((end, value))
            if self.words[at].text in DROPPED:
                for name, found in self.places[at + 1].items():
                    ends = self.places[at].setdefault(name, [])
                    ends += [one for one in found if one not in ends]

    def _phrases(self, at: int) -> Iterator[tuple[str, int, Any]]:
        word = self.words[at]
        if word.slot >= 0:
            yield from self._slot(word, at)
            return
        if word.text in _PUNCTUATION:
            yield _PUNCTUATION[word.text], at + 1, word.text
            return
        if word.text == "-":
            yield "DASH", at + 1, "-"
            return
        if word.text == "'s":
            yield "POSS", at + 1, "'s"
            return
        yield from self._number(at)
        if word.text in ("percent", "pc"):
            yield "PERCENT", at + 1, "%"
        if word.text == "per" and self._text(at, 2) == "per cent":
            yield "PERCENT", at + 2, "%"
        if word.text in REFERENCE:
            yield "REF", at + 1, word.text
        yield word.text, at + 1, word.text
        for length in range(1, min(_LONGEST, len(self.words) - at) + 1):
            phrase = self._text(at, length)
            for name in PHRASES.get(phrase, ()):
                yield name, at + length, phrase
            if phrase in _LITERAL_PHRASES:
                yield _LITERAL_PHRASES[phrase], at + length, phrase

    def _slot(self, word: Word, at: int) -> Iterator[tuple[str, int, Any]]:
        match word.text:
            case "\ue000":
                yield "ITEM", at + 1, word.slot
            case "\ue001":
                yield "LABEL", at + 1, word.slot
            case "\ue004":
                yield "TOPIC", at + 1, word.slot
            case "\ue002":
                yield "INT", at + 1, Number(0, slot=word.slot)
                yield "NUM", at + 1, Number(0, slot=word.slot)
            case _:
                yield "DEC", at + 1, Number(0, slot=word.slot)
                yield "NUM", at + 1, Number(0, slot=word.slot)

    def _number(self, at: int) -> Iterator[tuple[str, int, Any]]:
        """Numbers and fractions in words."""
        words = self.words
        value, end = _number_words([word.text for word in words[at : at + 4]])
        if end:
            number = Number(value, -1)
            yield "INT", at + end, number
            yield "NUM", at + end, number
        over_at = at + end
        count = value if end else 1 if words[at].text in ("a", "an") else None
        if words[at].text in ("a", "an"):
            over_at = at + 1
        if count is not None and over_at < len(words) and words[over_at].text in PARTS:
            over = PARTS[words[over_at].text]
            yield "FRACTION", over_at + 1, _fraction(count, over)
        if words[at].text == "half":
            yield "FRACTION", at + 1, _fraction(1, 2)

    def _text(self, at: int, length: int) -> str:
        return " ".join(word.text for word in self.words[at : at + length])

    @cached_property
    def ends(self) -> frozenset[int]:
        """Places after which nothing of weight stands."""
        last = len(self.words)
        found = {last}
        while last and self.words[last - 1].text in DROPPED:
            last -= 1
            found.add(last)
        return frozenset(found)

    def begins(self, at: int) -> bool:
        """Whether a clause may begin here: at the start, after punctuation or a connective."""
        return at == 0 or self.words[at - 1].text in PAUSES or self.words[at - 1].text in CONNECTIVES

    def closes(self, at: int) -> bool:
        """Whether a clause may end here: before punctuation, a coordination or nothing."""
        return at in self.ends or self.words[at].text in PAUSES or self.words[at].text in LINKS


PAUSES: Final = frozenset(",;:()-")


def _fraction(count: int, over: int) -> Number:
    return Number(100 * count, -1, over, SLACK.get(over, Fraction(5, 2)))


def _number_words(words: list[str]) -> tuple[int, int]:
    """Value and length of the number in words that these begin with; length 0 for none."""
    if not words:
        return 0, 0
    if words[0] == "a" and len(words) > 1 and words[1] in ("dozen", "hundred", "thousand"):
        value, end = {"dozen": 12, "hundred": 100, "thousand": 1000}[words[1]], 2
        return value, end
    if words[0] == "dozen":
        return 12, 1
    if words[0] not in NUMBER_WORDS:
        return 0, 0
    value, end = NUMBER_WORDS[words[0]], 1
    if value >= 20 and len(words) > 1 and 0 < NUMBER_WORDS.get(words[1], 0) < 10:
        value, end = value + NUMBER_WORDS[words[1]], 2
    if len(words) > end and words[end] in ("dozen", "hundred", "thousand"):
        value, end = value * {"dozen": 12, "hundred": 100, "thousand": 1000}[words[end]], end + 1
    return value, end
