"""Facts counted from the training sequences themselves, without `starrec.signals`: what the project's own
counts are compared with.

Rows are lists, users are walked one by one, and the user of a task is taken out of the rows before anything is
counted. The definitions are those of docs/signals.md; the constants are written down once more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from starrec.data import Dataset, RankingTask, Sequences
from starrec.hashing import combine

RECENT, WHOLE, TASTES, NEIGHBOURS, FOLLOW, DAYS = 10, 200, 30, 50, 3, 14
RIDGE, EASE_ITEMS, HISTORY_CAP = 500.0, 3000, 1000


class Catalogue:
    """What items are: categories, and title words that at most 5% of the items have."""

    def __init__(self, dataset: Dataset) -> None:
        self.categories = [set(names) for names in dataset.items["categories"].to_list()]
        words = [set(re.findall(r"[^\W_]+", title.lower())) for title in dataset.items["title"].to_list()]
        n = Counter(word for own in words for word in own)
        telling = {word for word, count in n.items() if count <= max(1.0, 0.05 * len(words))}
        self.traits = [
            {("category", name) for name in names} | {("word", word) for word in own & telling}
            for names, own in zip(self.categories, words, strict=True)
        ]


class PlainCounts:
    """Counts of the training sequences of everybody but one user."""

    def __init__(self, train: Sequences, n_items: int, left_out: int) -> None:
        self.n_items = n_items
        self.rows: dict[int, list[int]] = {}
        self.days: dict[int, list[int]] = {}
        for user in range(train.n_users):
            part = slice(train.ptr[user], train.ptr[user + 1])
            items = train.items[part].tolist()[-HISTORY_CAP:]
            if user != left_out and items:
                self.rows[user] = items
                if train.days is not None:
                    self.days[user] = train.days[part].tolist()[-HISTORY_CAP:]
        self.sets = {user: set(items) for user, items in self.rows.items()}

    def takers(self, item: int) -> set[int]:
        """Users who took an item."""
        return {user for user, items in self.sets.items() if item in items}

    def followed(self, a: int, b: int, within: int = FOLLOW) -> int:
        """Users who took b among their next items after a."""
        return sum(
            b in items and a in items[max(0, items.index(b) - within) : items.index(b)]
            for items in self.rows.values()
        )

    def nearest(self, window: Sequence[int]) -> list[int]:
        """The 50 users with the highest |window ∩ items| / √(|window| · |items|); equal ones by a hash."""
        near = []
        for user, items in self.sets.items():
            if both := len(items.intersection(window)):
                tie = float(combine(np.array([user]), 71)[0] % np.uint64(1 << 20)) * 1e-15
                near.append((both / sqrt(len(window) * len(items)) + tie, user))
        return [user for _, user in sorted(near, reverse=True)[:NEIGHBOURS]]

    def choices(self, item: int, day: int) -> tuple[int, int]:
        """Choices of an item in the 14 whole days before this one, and all choices."""
        lately = [
            taken
            for user, items in self.rows.items()
            for taken, at in zip(items, self.days[user], strict=True)
            if day - DAYS <= at < day
        ]
        return lately.count(item), len(lately)

    @cached_property
    def _factor(self) -> Any:
        assert self.n_items <= EASE_ITEMS, "a larger catalogue has a part of its items in the model"
        taken = np.zeros((len(self.rows), self.n_items))
        for at, items in enumerate(self.rows.values()):
            taken[at, items] = 1
        return cho_factor(taken.T @ taken + RIDGE * np.eye(self.n_items))

    def ease(self, a: int, b: int) -> float:
        """EASE's weight from a to b: -P[a, b] / P[b, b] with P = (XᵀX + λI)⁻¹."""
        column: NDArray[np.float64] = cho_solve(self._factor, np.eye(self.n_items)[b])
        return float(-column[a] / column[b])


def counted(fact: Any, counts: PlainCounts, catalogue: Catalogue, task: RankingTask) -> dict[str, int]:
    """The figures that a fact must have.

    Args:
        fact: its kind, window, anchor, subject, topic and reach say what is counted; its figures are not read.
        counts: without the task's user.
    """
    people = len(counts.rows)
    places = {item: at for at, item in enumerate(task.history.tolist())}
    history = sorted(places, key=places.__getitem__)
    latest = [places[item] for item in history]
    window = history[-WHOLE:][-RECENT:] if fact.window == "recent" else history[-WHOLE:]
    lately = history[-WHOLE:][-TASTES:]
    match fact.kind:
        case "item_cf" | "contrary" | "transition" | "following" | "around" | "ease":
            a, b = counts.takers(fact.anchor), counts.takers(fact.subject)
            both = len(a & b)
            if fact.kind in ("transition", "following"):
                both = counts.followed(fact.anchor, fact.subject, fact.reach or FOLLOW)
            if fact.kind == "around":
                pair = (fact.anchor, fact.subject)
                both = sum(counts.followed(*each, fact.reach) for each in (pair, pair[::-1]))
            found = {"both": both, "base": len(a), "total": len(b), "population": people}
            if fact.kind == "ease":
                found["weight"] = round(1000 * counts.ease(fact.anchor, fact.subject))
            return found
        case "popularity":
            n = len(counts.takers(fact.subject))
            return {"both": n, "base": people, "total": n, "population": people}
        case "user_cf":
            near, b = counts.nearest(window), counts.takers(fact.subject)
            return {"both": len(b & set(near)), "base": len(near), "total": len(b), "population": people}
        case "trend":
            assert task.days is not None
            choices, everything = counts.choices(fact.subject, int(task.days[latest[-1]]))
            total = len(counts.takers(fact.subject))
            interactions = sum(map(len, counts.rows.values()))
            return {"both": choices, "base": everything, "total": total, "population": interactions}
        case "category":
            own = catalogue.categories[fact.subject]
            return {"both": sum(bool(own & catalogue.categories[item]) for item in lately), "base": len(lately)}
        case "semantic":
            a, b = catalogue.traits[fact.anchor], catalogue.traits[fact.subject]
            return {"both": len(a & b), "base": len(a | b)}
        case "taste":
            return {"both": sum(fact.topic in catalogue.categories[at] for at in lately), "base": len(lately)}
        case "breadth":
            return {"both": len(set().union(*(catalogue.categories[at] for at in lately))), "base": len(lately)}
        case "recency":
            assert task.days is not None
            days = [int(task.days[at]) for at in latest][-RECENT:]
            return {"both": max(days) - min(days) + 1, "base": len(days)}
        case _:
            assert task.ratings is not None
            given = [float(task.ratings[at]) for at in latest]
            given = [rating for rating in given if rating == rating]
            mean = sum(given) / len(given)
            return {"both": sum(rating > mean for rating in given), "base": len(given)}
