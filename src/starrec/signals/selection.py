"""Which facts are worth saying: a budget, spent by expected usefulness.

A fact is useful as far as it is surely no accident (its log-likelihood ratio, on a logarithmic scale) and says
something new: each further fact of a kind, and each further fact about an item, counts for less. Greedy
choice under such diminishing returns is within 1 - 1/e of the best (Nemhauser, Wolsey and Fisher, 1978). Equal
facts are ordered by a hash, so the choice is the same in every run and for every order of the input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log1p
from typing import Final

from starrec.errors import ConfigError
from starrec.hashing import text_keys
from starrec.signals.facts import PEOPLE, Fact
from starrec.signals.language import MIN_SUPPORT

_AGAIN: Final = 0.6
"""What a further fact of the same kind, or about the same item, is worth beside the one before."""
_ITEM_FACT: Final = 1.0
"""Strength of a fact that counts no people, per unit of its rate."""


def select(facts: Sequence[Fact], budget: int, *, support: int = MIN_SUPPORT) -> list[Fact]:
    """Up to `budget` facts, most useful first. What rests on fewer people than `support` is left out.

    Raises:
        ConfigError: the budget is not positive.
    """
    if budget < 1:
        raise ConfigError(
            f"An evidence budget of {budget} leaves nothing to say. Give at least 1, or leave the evidence out."
        )
    open_ = [fact for fact in dict.fromkeys(facts) if strength(fact) > 0]
    open_ = [fact for fact in open_ if fact.kind not in PEOPLE or max(fact.both, 0) >= support or
             fact.kind == "contrary"]  # fmt: skip
    if len(open_) < 2:
        return open_
    keys = dict(zip(open_, text_keys(map(repr, open_), 0, "selection").tolist(), strict=True))
    kinds: Counter[str] = Counter()
    subjects: Counter[int] = Counter()
    chosen: list[Fact] = []
    while open_ and len(chosen) < budget:
        best = max(
            open_,
            key=lambda fact: (
                strength(fact) * _AGAIN ** (kinds[fact.kind] + subjects[fact.subject]),
                keys[fact],
            ),
        )
        open_.remove(best)
        kinds[best.kind] += 1
        subjects[best.subject] += 1
        chosen.append(best)
    return chosen


def strength(fact: Fact) -> float:
    """How much a fact can tell by itself, at least 0: ln(1 + |G²|) where people are counted, else its rate."""
    if fact.kind == "popularity":
        return log1p(fact.both)
    if fact.kind in PEOPLE:
        return log1p(abs(fact.significance))
    if fact.kind == "ease":
        return log1p(abs(fact.weight))
    if fact.kind == "semantic" and fact.base == 0:
        return _ITEM_FACT * max(fact.weight, 0) / 100
    return _ITEM_FACT * min(fact.rate, 1.0)
