"""Citations: whoever speaks of a fact names it by the number under which a tool said it.

A tool numbers the facts that it says, `#12 73% of the 91 people …`, in the order in which a trace says them. An
agent or a student that speaks of a candidate cites them. A citation holds if that fact was said in this trace,
its subject is the candidate it is used for, and every numeral beside it is one of the fact's. So verifying a
trace is looking facts up, and counting them again (`recounting`), not parsing English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from starrec.data import unescape
from starrec.signals.facts import Fact
from starrec.signals.language import MIN_SUPPORT, sentence

Verdict: TypeAlias = Literal["holds", "unknown", "misused", "wrong_figure"]
"""Of one citation: it holds; names a fact that was never said; is used for another candidate than the fact's;
stands beside a numeral that is not the fact's."""

# Not in an entity, `&#124;`.
CITATION: Final = re.compile(r"(?<!&)#(\d+)")
LABEL: Final = re.compile("‹[A-Z]+›")
_MENTION: Final = re.compile("⟦[^⟦⟧]*⟧")
_TYPED: Final = re.compile(r"\b(?:Trust|Place) [a-z_]+ \d+(?:, [a-z_]+ \d+)*")
"""Trust and places are typed fields of a trace, not figures of the graph."""
_NUMERAL: Final = re.compile(r"\d+(?:[.,]\d+)*")


class FactNumbers:
    """The facts that tools said in one trace, numbered from 1 in the order in which they were first said."""

    def __init__(self) -> None:
        self._numbers: dict[Fact, int] = {}
        self._facts: list[Fact] = []

    def number(self, fact: Fact) -> int:
        """The number of a fact; a fact that was not said before gets the next one."""
        found = self._numbers.get(fact)
        if found is None:
            self._facts.append(fact)
            found = self._numbers[fact] = len(self._facts)
        return found

    def get(self, number: int) -> Fact | None:
        """The fact with this number; None where none was said under it."""
        return self._facts[number - 1] if 1 <= number <= len(self._facts) else None

    def between(self, after: int, last: int) -> tuple[tuple[int, Fact], ...]:
        """The facts behind the number `after`, up to `last`, each with its number."""
        return tuple(enumerate(self._facts[after:last], start=after + 1))

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


@dataclass(frozen=True, slots=True)
class Clause:
    """What a text says of one candidate, up to the next label."""

    label: str
    """`‹C›`, or empty for what stands before the first label."""
    text: str
    cited: tuple[int, ...]
    """Numbers of facts."""
    numerals: tuple[str, ...]
    """Figures as they are written, without those of mentions, labels, citations and typed fields."""


@dataclass(frozen=True, slots=True)
class Citation:
    """One use of a fact's number, and whether it holds."""

    label: str
    number: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Cited:
    """All citations of a text, and the figures that stand without one."""

    citations: tuple[Citation, ...] = ()
    uncited: tuple[str, ...] = ()
    """Numerals of clauses that cite nothing."""
    with_figure: bool = field(default=False)
    """Whether a citation that holds stands beside a figure."""


def clauses(text: str, topics: Iterable[str] = ()) -> list[Clause]:
    """The clauses of a text in order; those that neither cite nor hold a figure are left out.

    Args:
        topics: names of categories, whose digits are no figures (`Xbox 360`).
    """
    names = _named(tuple(topics))
    found, label, start = [], "", 0
    for mark in [*LABEL.finditer(text), None]:
        part = text[start : mark.start() if mark else len(text)]
        # Entities after mentions, so that no title can end its own.
        bare = names.sub(" ", unescape(_TYPED.sub(" ", _MENTION.sub(" ", part))))
        cited = tuple(int(number) for number in CITATION.findall(bare) if len(number) < 10)
        figures = numerals(CITATION.sub(" ", bare))
        if cited or figures:
            found.append(Clause(label, part.strip(), cited, figures))
        if mark:
            label, start = mark.group(), mark.end()
    return found


@lru_cache(maxsize=4)
def _named(topics: tuple[str, ...]) -> re.Pattern[str]:
    """Matches names that hold digits; one that is nothing but a number is read as a figure."""
    names = [topic for topic in topics if re.search(r"\d", topic) and re.search(r"[^\W\d_]", topic)]
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?!\w)")


def numerals(text: str) -> tuple[str, ...]:
    """The figures of a text as they are written, item mentions apart: `73`, `1,234`, `0.031`."""
    return tuple(_NUMERAL.findall(_MENTION.sub(" ", text)))


def check_citations(
    text: str,
    facts: FactNumbers,
    subjects: Mapping[str, int],
    mentions: Sequence[str],
    *,
    topics: Iterable[str] = (),
    support: int = MIN_SUPPORT,
) -> Cited:
    """Hold each citation of a text against the facts of its trace.

    Args:
        facts: those that tools stated in this trace before the text.
        subjects: item index of each candidate's label.
        mentions: of each item, in index order.
        topics: as in `clauses`.
        support: as in `sentence`, with which the tools stated the facts.
    """
    citations: list[Citation] = []
    uncited: list[str] = []
    with_figure = False
    for clause in clauses(text, topics):
        if not clause.cited:
            uncited += clause.numerals
            continue
        known = [fact for number in clause.cited if (fact := facts.get(number)) is not None]
        figures = {figure for fact in known for figure in numerals(sentence(fact, mentions, support=support))}
        right = figures.issuperset(clause.numerals)
        for number in clause.cited:
            fact = facts.get(number)
            if fact is None:
                verdict: Verdict = "unknown"
            elif clause.label and fact.subject != subjects.get(clause.label):
                verdict = "misused"
            else:
                verdict = "holds" if right else "wrong_figure"
            citations.append(Citation(clause.label, number, verdict))
            with_figure |= verdict == "holds" and bool(clause.numerals)
    return Cited(tuple(citations), tuple(uncited), with_figure)
