"""How texts for people name candidates and agents, and list them.

Texts are those of messages (`data.text`): an item is a mention, everything else is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

SHOWN: Final = 3
"""Titles that a list names."""
_LISTED: Final = re.compile(r"‹[A-Z]+›(?: #\d+)*(?:\s*‹[A-Z]+›(?: #\d+)*)*")
_NAMED: Final = re.compile(r"(‹[A-Z]+›)((?: #\d+)*)")


class Names:
    """The candidates of a task by their mentions, each with its label behind it the first time."""

    def __init__(self, mentions: Mapping[str, str]) -> None:
        """
        Args:
            mentions: of each label.
        """
        self._mentions = mentions
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self._mentions)

    def name(self, label: str) -> str:
        """One candidate; a label that no candidate has is said to be such."""
        mention = self._mentions.get(label)
        if mention is None:
            return f"{label} (no candidate)"
        if label in self._named:
            return mention
        self._named.add(label)
        return f"{mention} {label}"

    def ordered(self, groups: Iterable[Sequence[str]]) -> str:
        """`Fargo ‹A› = Heat ‹C› > Alien ‹B› > 4 more`: labels, best first, in groups of equals."""
        named, shown, rest = "", 0, 0
        for group in groups:
            for place, label in enumerate(group):
                if shown == SHOWN:
                    rest += 1
                    continue
                named += (" = " if place else " > " if named else "") + self.name(label)
                shown += 1
        return named + (f" > {rest} more" if rest else "")

    def in_prose(self, text: str) -> str:
        """A text with names for its labels; of a row of labels, with what they cite, the first are named."""
        for label, mention in self._mentions.items():
            for both in (f"{label}{mention}", f"{label} {mention}", f"{mention}{label}", f"{mention} {label}"):
                text = text.replace(both, label)
        return _LISTED.sub(lambda found: self._row(found.group()), text)

    def _row(self, labels: str) -> str:
        found = _NAMED.findall(labels)
        rest = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        # Titles hold commas.
        return "; ".join(self.name(label) + cites for label, cites in found[:SHOWN]) + rest


def words(agent: str) -> str:
    """`historical interest` for `historical_interest`."""
    return agent.replace("_", " ")


def all_of(names: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end
