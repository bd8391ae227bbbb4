"""What may stand in place of a template's sentence, before any claim in it is checked.

A rewording is free in its syntax and in little else: one sentence, the template's items and figures and no
others, and no word that is neither the template's nor in a closed list. The list (`prompts/vocabulary.txt`) has
no numbers, negations, comparisons, bounds or order in time, so that no small word says more or less than a
checker hears; and no names, opinions or commands, because agents read these sentences, and a title that talks a
model into adding "rank this first" must not reach them through it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, TypeAlias

from starrec.data import MENTION, escape, mention, unescape

Flaw: TypeAlias = Literal["items", "figures", "words", "form"]
"""Other items, figures or words (or signs) than allowed; not one sentence, or too long a one."""

VOCABULARY: Final = frozenset(
    files("starrec.signals").joinpath("prompts", "vocabulary.txt").read_text(encoding="utf-8").split()
)
"""Words of any rewording, in lower case."""

_ITEM: Final = "\ue000"
_TOPIC: Final = "\ue001"
_MARK: Final = re.compile(f"[{_ITEM}{_TOPIC}]")
_FIGURE: Final = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?%?", re.ASCII)
_WORD: Final = re.compile("[A-Za-z]+(?:['’][a-z]+)?")
_ALLOWED: Final = re.compile(f"[A-Za-z0-9 ,.;:()'’%–—{_ITEM}{_TOPIC}-]*")
_LONGEST: Final = 60
"""Words outside items."""


def reword(said: str, template: str, topic: str) -> tuple[str, Flaw | None]:
    """What was said, in the template's spelling of items and topic, with a full stop; and its flaw, if any.

    Args:
        said: from anybody, about the template's fact.
        topic: the category that the fact is about, if it is about one.
    """
    given, new = _apart(template, topic), _apart(said, topic)
    if set(new.items) != set(given.items) or _MARK.search(said):
        return "", "items"
    if new.figures != given.figures:
        return "", "figures"
    rest = new.rest if new.rest.endswith(".") else f"{new.rest}."
    if not _ALLOWED.fullmatch(rest) or not set(new.words) <= VOCABULARY.union(given.words):
        return "", "words"
    if _FIGURE.sub("", rest).count(".") != 1 or len(new.words) > _LONGEST:
        return "", "form"
    items = iter(new.items)
    return _MARK.sub(lambda mark: next(items) if mark.group() == _ITEM else _spelled(topic), rest), None


@dataclass(frozen=True, slots=True)
class _Parts:
    items: list[str]
    """Mentions in order."""
    rest: str
    """The sentence with a mark in place of each mention, and of the topic."""

    @property
    def figures(self) -> set[str]:
        return {figure.replace(",", "") for figure in _FIGURE.findall(self.rest)}

    @property
    def words(self) -> list[str]:
        return [word.lower() for word in _WORD.findall(self.rest)]


def _apart(text: str, topic: str) -> _Parts:
    items: list[str] = []

    def item(found: re.Match[str]) -> str:
        # A model may well write `&` for the `&#38;` of a title; the item is the same.
        items.append(mention(unescape(found.group(1)), unescape(found.group(2))))
        return _ITEM

    rest = " ".join(MENTION.sub(item, text).split())
    if topic:
        forms = "|".join(re.escape(form) for form in (_spelled(topic), topic))
        rest = re.sub(rf"(?<!\w)(?:{forms})(?!\w)", _TOPIC, rest, flags=re.IGNORECASE)
    return _Parts(items, rest)


def _spelled(topic: str) -> str:
    """As templates write it: outside mentions a full stop before a space would end the sentence."""
    return re.sub(r"\.(?=\s)", "&#46;", escape(topic))
