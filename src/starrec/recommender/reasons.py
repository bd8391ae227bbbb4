"""Reasons: of each item that is shown, the family that decided, as a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Catalogue, plain
from starrec.evaluation.systems import SYSTEMS
from starrec.recommender.answers import Figures, Item, Reason
from starrec.signals import Evidence, Fact, select
from starrec.signals.facts import PEOPLE
from starrec.signals.shopper import short_reason
from starrec.student import FAMILIES, weights_of_families
from starrec.student.fast import Scorer
from starrec.student.rows import hashed_order
from starrec.tools import World

_LIFTED: Final = ("item_cf", "user_cf", "trend")
"""Kinds of facts that are compared with popularity."""


def deciding_families(
    fast: Scorer, numbers: NDArray[np.float32], items: NDArray[np.int32]
) -> list[tuple[str, ...]]:
    """Of each of these items, the families by how much they moved its score, most first.

    Args:
        numbers: `(c, N_NUMBERS)` rows of the items `(c,)`.
    """
    if len(items) < 2:
        return [tuple(FAMILIES)] * len(items)
    order = hashed_order(items)
    weights = np.empty((len(items), len(FAMILIES)), dtype=np.float32)
    weights[order] = weights_of_families(fast, numbers[order], items[order])
    names = list(FAMILIES)
    return [tuple(names[at] for at in row) for row in np.argsort(-weights, axis=1, kind="stable").tolist()]


def families_of(system: str) -> tuple[str, ...]:
    """Families as they speak where another system than the student ranks: a tool's own first."""
    own = [name for name, signals in FAMILIES.items() if SYSTEMS.get(system) in signals]
    return (*own, *(name for name in FAMILIES if name not in own))


def reason(
    world: World, catalogue: Catalogue, evidence: Evidence, column: int, families: Sequence[str]
) -> Reason | None:
    """The most telling fact of the first of these families that has one for this candidate."""
    for family in families:
        if (fact := _fact(world, evidence, column, family)) is not None:
            return Reason(
                family,
                plain(short_reason(fact, world.mentions)),
                plain(world.sentence(fact)),
                figures(world, catalogue, fact),
            )
    return None


def figures(world: World, catalogue: Catalogue, fact: Fact) -> Figures | None:
    """The counts of a fact; None where fewer people than the run's support are behind them."""
    if fact.kind in (*PEOPLE, "ease") and fact.both < world.config.support:
        return None

    def item(index: int) -> Item | None:
        return Item(catalogue.item_ids[index], catalogue.titles[index]) if index >= 0 else None

    return Figures(
        fact.kind,
        fact.window,
        item(fact.anchor),
        item(fact.subject),
        fact.both,
        fact.base,
        round(fact.lift, 3) if fact.kind in _LIFTED else None,
    )


def _fact(world: World, evidence: Evidence, column: int, family: str) -> Fact | None:
    behind = [fact for name in FAMILIES[family] if (fact := evidence.fact(name, column)) is not None]
    # What is less than popularity predicts speaks against an item.
    behind = [fact for fact in behind if fact.kind not in _LIFTED or fact.lift > 1]
    best = select(behind, 1, support=world.config.support)
    return best[0] if best else None
