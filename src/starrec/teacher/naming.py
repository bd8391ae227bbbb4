"""Which candidate a model means, however it writes its label.

Asked for `C`, models write `c`, `C.`, `[C]`, `"C"`, `‹C›`, `Candidate C`, `C: Fargo`, the place of the
candidate in the list, the item as the task shows it, its title or its id. All of these name one candidate.
What names none, or could name two, is left as it is written, and then is no label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from starrec.data.text import MENTION, unescape

_LISTED: Final = re.compile(rf"(‹[A-Z]+›){MENTION.pattern}")
_MARKED: Final = re.compile(r"‹\s*([A-Za-z]+)\s*›")
_AROUND: Final = " \t\r\n.,;:!?\"'`*_#()[]{}<>«»“”‘’‹›-–—=|/\\"
_KIND: Final = re.compile(r"(?:candidate|item|label|option|choice|no|number|nr)\b[\s.:#]*", re.IGNORECASE)
_LEADING: Final = re.compile(
    r"\W*([A-Za-z]{1,2}|\d{1,3})\s*(?:[:.)\]|=–—-]+\s*|\s+(?=[(\[⟦\"“]))\S.*", re.DOTALL
)
_BETWEEN: Final = re.compile(r"[\s,;>|]+")
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the candidates of a task are called."""

    labels: tuple[str, ...]
    _called: Mapping[str, str]
    """Labels by plain title and id; what two candidates share is in none."""

    def label(self, written: str) -> str | None:
        """The label of the candidate that is meant; None where it is none or not one."""
        if written in self.labels:
            return written
        text = written[:_LONGEST]
        if found := self._place(text.strip(_AROUND)) or self._called.get(_plain(text)):
            return found
        if (mark := _MARKED.search(text)) and (found := self._place(mark[1])):
            return found
        if mention := MENTION.search(text):
            if found := self._called.get(_plain(unescape(mention[1]))):
                return found
            before = text[: mention.start()]
            text = before if before.strip() else unescape(mention[2])
        core = _KIND.sub("", text.strip(_AROUND), count=1).strip(_AROUND)
        if found := self._place(core) or self._called.get(_plain(core)):
            return found
        leading = _LEADING.fullmatch(text)
        return self._place(leading[1]) if leading else None

    def read(self, names: Iterable[str]) -> list[str]:
        """The names with every candidate by its label, and what names none as it is. One that holds several
        labels is several."""
        return [label for name in names for label in self._several(name) or [self.label(name) or name]]

    def _several(self, name: str) -> list[str]:
        parts = _MARKED.findall(name) or _BETWEEN.split(name[:_LONGEST].strip(_AROUND))
        found = [self._place(part) for part in parts]
        return [label for label in found if label] if len(parts) > 1 and all(found) else []

    def _place(self, name: str) -> str | None:
        if name.isascii() and name.isdecimal():
            return self.labels[int(name) - 1] if 0 < int(name[:4]) <= len(self.labels) else None
        marked = f"‹{name.upper()}›"
        return marked if marked in self.labels else None


@lru_cache(1024)
def candidates(labels: tuple[str, ...], text: str) -> Candidates:
    """What the candidates are called in a task's text (`tools.think_task`)."""
    called: dict[str, str] = {}
    twice: set[str] = set()
    for label, item_id, title in _LISTED.findall(text.rpartition("Candidates: ")[2]):
        own = {_plain(unescape(title)), _plain(unescape(item_id))}
        twice |= own & called.keys()
        called |= dict.fromkeys(own, label)
    return Candidates(labels, {name: label for name, label in called.items() if name and name not in twice})


def is_exact(written: str, labels: Sequence[str]) -> bool:
    """Whether a label is written as it was asked for: `C`, or `‹C›` as the task shows it."""
    return written in labels or f"‹{written}›" in labels


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(_AROUND).casefold()
