"""All that the graph says of one item, most telling first: for people who look into a store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starrec.signals.evidence import CONTRARY_EXPECTED, CONTRARY_LIFT
from starrec.signals.facts import Fact, Kind
from starrec.signals.graph import Graph
from starrec.signals.language import FOLLOW_WINDOW


@dataclass(frozen=True)
class ItemSummary:
    """Facts about an item; all users count."""

    item: int
    popularity: Fact
    trend: Fact | None
    """Of the last days of the data; None without a clock."""
    together: tuple[Fact, ...]
    """Items taken by the same people, by cosine."""
    then: tuple[Fact, ...]
    """What people take soon after it, most frequent first, of equals the one with the higher lift."""
    against: tuple[Fact, ...]
    """What they take far less than its popularity predicts, by significance."""


def item_summary(graph: Graph, item: int, *, top: int = 10, support: int = 0) -> ItemSummary:
    """What the graph says of an item.

    Args:
        top: facts of a kind at most.
        support: facts about others than the item itself rest on at least so many people.
    """
    counts, one = graph.counts, np.array([item], dtype=np.int32)
    people, popularity = graph.n_users, counts.popularity
    taken = counts.sequences(counts.postings(one)[0])
    both = np.bincount(taken.values, minlength=graph.n_items)
    both[item] = 0
    soon = _soon_after(taken.ptr, taken.values, item, graph.n_items)
    base = int(popularity[item])

    def fact(kind: Kind, subject: int, count: int) -> Fact:
        return Fact(kind, "whole", item, subject, count, base, int(popularity[subject]), people)

    near = counts.neighbours(one)
    together = [
        fact("item_cf", other, count)
        for other, count in zip(near.items[0].tolist(), near.both[0].tolist(), strict=True)
        if other >= 0 and count >= support
    ]
    then = [
        fact("transition", other, int(soon[other]))
        for other in np.flatnonzero(soon >= max(support, 1)).tolist()
    ]
    expected = base * popularity.astype(np.float64) / max(people, 1)
    rare = (expected >= CONTRARY_EXPECTED) & (both < CONTRARY_LIFT * expected) & (both >= support)
    rare[item] = False
    against = [fact("contrary", other, int(both[other])) for other in np.flatnonzero(rare).tolist()]
    return ItemSummary(
        item,
        Fact("popularity", "", -1, item, base, people, base, people),
        _trend(graph, one, base),
        tuple(together[:top]),
        tuple(sorted(then, key=lambda fact: (-fact.both, fact.total))[:top]),
        tuple(sorted(against, key=lambda fact: fact.significance)[:top]),
    )


def _trend(graph: Graph, one: NDArray[np.int32], base: int) -> Fact | None:
    day = graph.last_day
    if day is None:
        return None
    (count,), total = graph.recent_choices(one, day + 1)
    return Fact("trend", "recent", -1, int(one[0]), int(count), total, base, graph.n_interactions)


def _soon_after(ptr: NDArray[np.int64], items: NDArray[np.int32], item: int, n_items: int) -> NDArray[np.int64]:
    """`(n_items,)` sequences in which each item is among the next `FOLLOW_WINDOW` after the given one."""
    end = np.repeat(ptr[1:], np.diff(ptr))
    at = np.flatnonzero(items == item)
    counts = np.zeros(n_items, dtype=np.int64)
    for gap in range(1, FOLLOW_WINDOW + 1):
        inside = at[at + gap < end[at]]
        counts += np.bincount(items[inside + gap], minlength=n_items)
    return counts
