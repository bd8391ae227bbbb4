"""What the second generator counts: the graph as one task may see it, by brute force.

Sets of people and dictionaries of places over the raw training sequences, exact fractions, and nothing of
`starrec.signals`: an examiner must not share the examinee's mistakes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from fractions import Fraction
from typing import Final

from starrec.data import Dataset, RankingTask, Sequences, escape

FOLLOWING: Final = 3
TREND: Final = 14
NEIGHBOURS: Final = 50
LATEST: Final = 30
WINDOWS: Final = {"recent": 10, "whole": 200}
_FUNCTION_WORDS: Final = "a an and are at by for from in is it my no not of on or the to with you"


class World:
    """Everything countable in the training sequences and the catalogue, before any user is left out."""

    def __init__(self, dataset: Dataset, train: Sequences) -> None:
        self.ids, self.titles = dataset.item_ids, dataset.titles
        self.categories: list[frozenset[str]] = [frozenset(names) for names in dataset.items["categories"]]
        # By user: item -> place in her sequence.
        self.taken: list[dict[int, int]] = []
        # By item: who took it, and on which days.
        self.audience: list[set[int]] = [set() for _ in self.ids]
        self.days: list[list[int]] = [[] for _ in self.ids]
        self.own_days: list[dict[int, int]] = []
        self.clock = train.days is not None
        for user in range(train.n_users):
            start, end = int(train.ptr[user]), int(train.ptr[user + 1])
            items = train.items[start:end].tolist()
            self.taken.append({item: place for place, item in enumerate(items)})
            for item in items:
                self.audience[item].add(user)
            dates = train.days[start:end].tolist() if train.days is not None else []
            self.own_days.append(dict(zip(items, dates, strict=False)))
            for item, day in zip(items, dates, strict=False):
                self.days[item].append(day)
        for dates in self.days:
            dates.sort()
        self.all_days = sorted(day for dates in self.days for day in dates)
        self.people = sum(1 for items in self.taken if items)
        self.choices = sum(map(len, self.taken))
        self.by_popularity = sorted(range(len(self.ids)), key=lambda item: (-len(self.audience[item]), item))
        often = Counter(title.casefold() for title in self.titles)
        # Titles that may stand without their id: no other item has them, and they hold no structure.
        self.nameable = [
            often[title.casefold()] == 1 and title == escape(title) and title.isascii() and title.endswith(")")
            for title in self.titles
        ]
        words = [re.findall(r"\w+", title.casefold()) for title in dataset.items["title"]]
        spread = Counter(word for title in words for word in set(title))
        # Title words by any reasonable reading: plain, of some length, in at most 2% of the titles.
        telling = {
            word
            for word, n in spread.items()
            if word.isascii() and word.isalpha() and len(word) > 2 and word not in _FUNCTION_WORDS.split()
            if n <= max(1, len(self.ids) // 50)
        }
        self.words = [frozenset(title) if telling.issuperset(title) else None for title in words]
        """By item: its title words; None where it is open what they are."""


class Sight:
    """The counts as one task may see them; with `itself` those that wrongly hold the task's own user too."""

    def __init__(self, world: World, task: RankingTask, itself: bool = False) -> None:
        self.world, self.task = world, task
        known = 0 <= task.user < len(world.taken)
        self._user = task.user if known and not itself else -1
        self.own: dict[int, int] = world.taken[task.user] if known else {}
        self._left_out: dict[int, int] = self.own if self._user >= 0 else {}
        self.people = world.people - bool(self._left_out)
        self.choices = world.choices - len(self._left_out)
        latest: dict[int, None] = {}
        for item in reversed(task.history.tolist()):
            latest.setdefault(item)
        # Distinct, latest first.
        self.history = list(latest)
        self.candidates = task.candidates.tolist()
        self._neighbours: dict[str, tuple[set[int], set[int], int]] = {}
        if not itself and known:
            self.with_itself: Sight | None = Sight(world, task, itself=True)
        else:
            self.with_itself = None

    def n(self, a: int) -> int:
        return len(self.world.audience[a]) - (a in self._left_out)

    def both(self, a: int, b: int) -> int:
        together = len(self.world.audience[a] & self.world.audience[b])
        return together - (a in self._left_out and b in self._left_out)

    def followed(self, a: int, b: int) -> int:
        """People who took b within their next three items after a."""
        taken = self.world.taken
        return sum(
            0 < taken[user][b] - taken[user][a] <= FOLLOWING
            for user in self.world.audience[a] & self.world.audience[b]
            if user != self._user
        )

    def expected(self, a: int, b: int) -> Fraction:
        return Fraction(self.n(a) * self.n(b), self.people)

    def lift(self, a: int, b: int) -> Fraction | None:
        expected = self.expected(a, b)
        return self.both(a, b) / expected if expected else None

    def similar(self, window: str, b: int) -> tuple[int, int] | None:
        """(how many took b, of how many with the most similar history); None where ties leave it open."""
        if window not in self._neighbours:
            self._neighbours[window] = self._nearest(self.history[: WINDOWS[window]])
        surely, tied, places = self._neighbours[window]
        audience = self.world.audience[b]
        sure, maybe = len(surely & audience), len(tied & audience)
        low = sure + max(0, places - (len(tied) - maybe))
        high = sure + min(places, maybe)
        return (low, len(surely) + places) if low == high and len(surely) + places else None

    def _nearest(self, window: list[int]) -> tuple[set[int], set[int], int]:
        """Who is surely among the nearest, who is tied for the last places, and how many places those are."""
        overlap = Counter(user for item in window for user in self.world.audience[item] if user != self._user)
        alike = {user: Fraction(n * n, len(self.world.taken[user])) for user, n in overlap.items()}
        ordered = sorted(alike.values(), reverse=True)[:NEIGHBOURS]
        if not ordered:
            return set(), set(), 0
        surely = {user for user, value in alike.items() if value > ordered[-1]}
        tied = {user for user, value in alike.items() if value == ordered[-1]}
        return surely, tied, len(ordered) - len(surely)

    def trend(self, b: int) -> tuple[int, int] | None:
        """(choices of b, all choices) by others in the 14 days before the task's day; None without a clock."""
        if not self.world.clock or self.task.days is None or not len(self.task.days):
            return None
        day = int(self.task.days[-1])
        dates = self.world.own_days[self.task.user] if self._left_out else {}

        def within(days: list[int]) -> int:
            return bisect_left(days, day) - bisect_left(days, day - TREND)

        own = sum(day - TREND <= own_day < day for own_day in dates.values())
        mine = b in dates and day - TREND <= dates[b] < day
        total = within(self.world.all_days) - own
        return (within(self.world.days[b]) - mine, total) if total else None

    def alike(self, b: int, last: int) -> tuple[int, int]:
        """(items that share a category with b, of how many latest ones)."""
        window, own = self.history[:last], self.world.categories[b]
        return sum(bool(own & self.world.categories[item]) for item in window), len(window)

    def of_category(self, name: str, last: int) -> tuple[int, int]:
        window = self.history[:last]
        return sum(name in self.world.categories[item] for item in window), len(window)

    def spread(self, last: int) -> int:
        return len({name for item in self.history[:last] for name in self.world.categories[item]})

    def traits(self, a: int, b: int) -> tuple[int, int] | None:
        """(shared, either's) categories and title words; None where it is open what a title word is."""
        first, second = self.world.words[a], self.world.words[b]
        if first is None or second is None:
            return None
        left, right = (
            {f"category {name}" for name in self.world.categories[item]} | words
            for item, words in ((a, first), (b, second))
        )
        return len(left & right), len(left | right)
