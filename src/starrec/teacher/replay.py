"""The ranking that a trace of the embedded policy says: trust, orders and levels as they are written, fused.

The policy itself ranks by this (`Standing`), so a trace decides: its ranking is a function of what is written
in it, and changing an answer in the trace changes the ranking with it.

The score of candidate c is Σ trust(analyst of s) · share(s) / (2 + rank_s(c)) over the orders of signals s that
tools answered (reciprocal-rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009; candidates that score alike
share their mean rank), plus 0.05 · Σ weight(s) · level_s(c) over the levels that `compare` answered (constants:
`Fusion`). Trust is the plan's, until a reflection writes another. Equal candidates are ordered by the hash of
their mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from starrec.hashing import Keys
from starrec.teacher.agents import ANALYSTS, Analyst
from starrec.tools import Order, mention_ties, read_levels, read_orders
from starrec.trajectories import TAGS, Element

OWNERS: Final[Mapping[str, Analyst]] = {
    "popularity": "user_profile",
    "category": "user_profile",
    "semantic": "user_profile",
    "ease": "historical_interest",
    "item_cf.whole": "historical_interest",
    "user_cf.whole": "historical_interest",
    "item_cf.recent": "recent_interest",
    "user_cf.recent": "recent_interest",
    "transitions": "interest_divergence",
}
"""Whose trust an order carries."""


@dataclass(frozen=True)
class Fusion:
    """Constants of the score."""

    rrf: float = 2.0
    """Of reciprocal-rank fusion; small, because candidates are few."""
    shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "popularity": 1.0,
            "category": 1.0,
            "semantic": 1.0,
            "ease": 1.0,
            "item_cf.whole": 0.5,
            "user_cf.whole": 0.5,
            "item_cf.recent": 1.0,
            "user_cf.recent": 0.5,
            "transitions": 1.0,
        }
    )
    """Of its owner's trust, for each signal of `OWNERS`."""
    level_weights: Mapping[str, int] = field(
        default_factory=lambda: {"ease": 3, "transitions": 2, "item_cf.recent": 1}
    )
    """By signal; 0 for those left out."""
    level_unit: float = 0.05
    """Score of one level at weight 1."""


DEFAULT: Final = Fusion()
"""Of the embedded policy, version 2."""


_TRUST: Final = re.compile(rf"Trust ((?:{'|'.join(ANALYSTS)}) \d(?:, (?:{'|'.join(ANALYSTS)}) \d)*)\.")
_ELEMENT: Final = re.compile(rf"<({'|'.join(TAGS)})>([^<>]*)</\1>")
_CANDIDATE: Final = re.compile("(‹[A-Z]+›)(⟦[^⟦⟧]*⟧)")
# To the end: titles may say "Candidates: " as well, but hold no bracket.
_CANDIDATES: Final = re.compile(f"(?:{_CANDIDATE.pattern})*$")


class Standing:
    """How the candidates stand by what was written so far."""

    def __init__(self, labels: Sequence[str], ties: Keys, fusion: Fusion = DEFAULT) -> None:
        """
        Args:
            ties: `(c,)` hash of each candidate's mention.
        """
        self.labels = tuple(labels)
        self._fusion = fusion
        self._ties = ties
        self._column = {name: at for at, name in enumerate(self.labels)}
        self.trust: dict[Analyst, int] = {}
        self.orders: list[Order] = []
        self._levels = [0.0] * len(self.labels)
        self._scores: dict[str, float] | None = None

    def write_trust(self, trust: Mapping[Analyst, int]) -> None:
        """Take over trust in some analysts."""
        self.trust.update(trust)
        self._scores = None

    def read_answer(self, text: str) -> None:
        """Take in a tool's answer."""
        self.orders += read_orders(text)
        self._scores = None
        weights = self._fusion.level_weights
        # Only `compare` answers rows, and a row begins with a mention.
        for label, levels in read_levels(text).items() if text.startswith("⟦") else ():
            at = self._column.get(label)
            if at is not None:
                weighed = sum(weights.get(signal, 0) * level for signal, level in levels.items())
                self._levels[at] = self._fusion.level_unit * weighed

    def scores(self) -> dict[str, float]:
        """The fused score of each label."""
        if self._scores is None:
            self._scores = self._fused()
        return self._scores

    def order(self) -> list[str]:
        """All labels, best first."""
        scores = np.array(list(self.scores().values()))
        return [self.labels[at] for at in np.lexsort((self._ties, -scores)).tolist()]

    def _fused(self) -> dict[str, float]:
        fused = [0.0] * len(self.labels)
        for signal, groups in self.orders:
            owner = OWNERS.get(signal)
            weight = self.trust.get(owner, 1) * self._fusion.shares[signal] if owner else 0.0
            if not weight:
                continue
            before = 0
            for group in groups:
                points = weight / (self._fusion.rrf + before + (len(group) + 1) / 2)
                before += len(group)
                for name in group:
                    if name in self._column:
                        fused[self._column[name]] += points
        return {
            name: points + levels for name, points, levels in zip(self.labels, fused, self._levels, strict=True)
        }


def trust_text(trust: Mapping[Analyst, int]) -> str:
    """Trust as it is written: `Trust historical_interest 7, recent_interest 5.`"""
    return f"Trust {', '.join(f'{name} {value}' for name, value in trust.items())}."


def read_trust(text: str) -> dict[Analyst, int]:
    """Trust as it stands in a plan or a reflection; of several statements the last."""
    trust: dict[Analyst, int] = {}
    for found in _TRUST.findall(text):
        for entry in found.split(", "):
            name, value = entry.split(" ")
            trust[name] = int(value)
    return trust


def without_trust(text: str) -> str:
    """A plan or a reflection without its statements of trust."""
    return _TRUST.sub("", text).strip()


def replay(text: str, fusion: Fusion = DEFAULT) -> tuple[str, ...]:
    """The ranking that a trace in linear form says, `<recommend>` left out of account; labels, best first."""
    return tuple(standing_of([Element(*found) for found in _ELEMENT.findall(text)], fusion).order())


def standing_of(trace: Iterable[Element], fusion: Fusion = DEFAULT) -> Standing:
    """How the candidates stand by the elements of a trace; of no candidates where there is no task."""
    standing = Standing([], mention_ties([]), fusion)
    for tag, text, _ in trace:
        if tag == "task":
            listed = candidates_of(text)
            standing = Standing(list(listed), mention_ties(list(listed.values())), fusion)
        elif tag in ("plan", "reflection"):
            standing.write_trust(read_trust(text))
        elif tag == "tool_response":
            standing.read_answer(text)
    return standing


def candidates_of(task: str) -> dict[str, str]:
    """The mention of each label in the text of a task (`tools.think_task`), in its order."""
    listed = _CANDIDATES.search(task)
    return dict(_CANDIDATE.findall(listed.group())) if listed else {}
