"""A fact: one checkable statement about the interaction graph, as integers.

The structure is the truth. Rate, lift and significance are computed from its counts on reading, its sentence
(`language`) and its compact level (`evidence`) are views of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "item_cf",
    "transition",
    "following",
    "around",
    "user_cf",
    "popularity",
    "trend",
    "category",
    "semantic",
    "ease",
    "contrary",
    "taste",
    "breadth",
    "recency",
    "rating",
]
Window: TypeAlias = Literal["whole", "recent", ""]

PEOPLE: frozenset[Kind] = frozenset(
    {"item_cf", "transition", "following", "around", "user_cf", "popularity", "contrary", "trend"}
)
"""Kinds that count other people (or their choices): support matters for privacy and for trust."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One checkable statement about the graph a task may see."""

    kind: Kind
    window: Window
    anchor: int
    """The item that the statement starts from (-1 where it starts from a neighbourhood or everybody)."""
    subject: int
    """The item that the statement is about (-1 for what is said of the history itself)."""
    both: int
    """What was counted: people who took both items, neighbours or people who took the subject, choices of it in
    the days before (`trend`), history items (`category`, `taste`, `rating`), distinct categories (`breadth`),
    days (`recency`), shared categories and title words (`semantic`)."""
    base: int
    """Out of how many: `both <= base`, but for `recency`, whose base is the number of items."""
    total: int = 0
    """People in the whole graph who took the subject."""
    population: int = 0
    """People in the whole graph (for `trend`: their choices)."""
    topic: str = ""
    """The category, for a taste."""
    weight: int = 0
    """Thousandths that the anchor adds to what a linear model expects of the subject (`ease`), or
    hundredths of the similarity of two descriptions (`semantic` with embeddings, whose base is 0)."""
    reach: int = field(default=0, repr=False)
    """Places between anchor and subject at most (`following`, `around`). Not in the representation, by whose
    hash equal facts are ordered (`selection`): that of other kinds is what it was."""

    @property
    def rate(self) -> float:
        """both / base."""
        return self.both / self.base if self.base else 0.0

    @property
    def expected(self) -> float:
        """What the subject's popularity alone predicts for `both`: base * total / population."""
        return self.base * self.total / self.population if self.population else 0.0

    @property
    def lift(self) -> float:
        """rate over the rate that the subject's popularity alone predicts: both / expected."""
        return self.both / self.expected if self.expected else 0.0

    @property
    def significance(self) -> float:
        """How surely the lift is no accident: the log-likelihood ratio G² of the 2x2 table, signed by lift - 1.

        G² = 2 Σ O ln(O / E) over (took the subject or not) x (asked about or not); Dunning, "Accurate methods
        for the statistics of surprise and coincidence", Computational Linguistics 19(1), 1993. Three shoppers
        do not speak like three thousand: where one in ten takes the subject, 3 of 10 people give 3.1 and 300
        of 1,000 give 312, at the same lift of 3. 10.8 is the 0.1% level of one comparison. 0 where there is no
        population to compare with.
        """
        if not (self.population and 0 < self.base < self.population and self.total > 0):
            return 0.0
        rest_took = self.total - self.both
        rest = self.population - self.base
        observed = (self.both, self.base - self.both, rest_took, rest - rest_took)
        if min(observed) < 0:
            return 0.0
        took, not_took = self.total / self.population, 1 - self.total / self.population
        expected = (self.base * took, self.base * not_took, rest * took, rest * not_took)
        ratio = 2 * sum(o * log(o / e) for o, e in zip(observed, expected, strict=True) if o)
        return max(ratio, 0.0) if self.both >= self.expected else -max(ratio, 0.0)
