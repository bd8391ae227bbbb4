"""What the second generator's sentences are about, and how the same sentence can be told of something else.

A case (items, a window, a category) is drawn, measured, and judged; a lie measures something else for it:
another item, the other direction, the other window, or the task's own user counted in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Final, TypeAlias

from claim_counts import LATEST, WINDOWS, Sight
from claim_figures import Number, Verdict, unless_close


@dataclass(frozen=True)
class Case:
    """What a sentence is about."""

    a: int = -1
    b: int = -1
    c: int = -1
    window: str = ""
    category: str = ""
    last: int = LATEST


Pair: TypeAlias = tuple[Number, int]
Alternative: TypeAlias = Callable[[Sight, Case, Random], Pair | None]


def _history_item(sight: Sight, random: Random) -> int:
    return random.choice(sight.history)


def _subject(sight: Sight, random: Random) -> int:
    drawn = random.random()
    if drawn < 0.65:
        return random.choice(sight.candidates)
    if drawn < 0.85:
        return random.choice(sight.world.by_popularity[: max(2, len(sight.world.ids) // 5)])
    return _history_item(sight, random)


def draw_pair(sight: Sight, random: Random) -> Case | None:
    """An item of the history (or any) and another, most often one with support."""
    a = _history_item(sight, random) if random.random() < 0.8 else random.choice(sight.world.by_popularity)
    b = _subject(sight, random)
    if random.random() < 0.6:
        b = max((_subject(sight, random) for _ in range(6)), key=lambda item: sight.both(a, item))
    return Case(a, b) if a != b and sight.n(a) > 1 and sight.n(b) else None


def draw_linked(sight: Sight, random: Random) -> Case | None:
    """A pair of which one follows the other, most often."""
    pairs = [pair for _ in range(8) if (pair := draw_pair(sight, random))]
    if not pairs or random.random() < 0.25:
        return pairs[0] if pairs else None
    best = max(pairs, key=lambda pair: sight.followed(pair.a, pair.b) + sight.followed(pair.b, pair.a))
    return best if random.random() < 0.6 else replace(best, a=best.b, b=best.a)


def draw_triple(sight: Sight, random: Random) -> Case | None:
    pair, c = draw_pair(sight, random), _subject(sight, random)
    return replace(pair, c=c) if pair and c not in (pair.a, pair.b) else None


def draw_item(sight: Sight, random: Random) -> Case | None:
    b = _subject(sight, random)
    return Case(a=_history_item(sight, random), b=b) if sight.n(b) else None


def draw_neighbourly(sight: Sight, random: Random) -> Case | None:
    window = random.choice(list(WINDOWS))
    found = [_subject(sight, random) for _ in range(random.choice([1, 5]))]
    taken = {b: (sight.similar(window, b) or (-1, 0))[0] for b in found}
    return Case(b=max(found, key=lambda b: taken[b]), window=window)


def draw_fashionable(sight: Sight, random: Random) -> Case | None:
    found = [_subject(sight, random) for _ in range(random.choice([1, 6]))]
    return Case(b=max(found, key=lambda b: (sight.trend(b) or (0, 0))[0]))


def draw_described(sight: Sight, random: Random) -> Case | None:
    b = _subject(sight, random)
    return Case(b=b) if b not in sight.history and sight.world.categories[b] else None


def draw_tasted(sight: Sight, random: Random) -> Case | None:
    names = sorted(
        name
        for item in sight.history[:LATEST]
        for name in sight.world.categories[item]
        if re.fullmatch(r"[A-Z][A-Za-z' -]+", name)
    )
    return Case(category=random.choice(names)) if names else None


def draw_avoided(sight: Sight, random: Random) -> Case | None:
    """A pair of well-known items; the one of several with the least lift."""
    known = sight.world.by_popularity[: max(4, len(sight.world.ids) // 4)]
    pairs = [(random.choice(known), random.choice(known)) for _ in range(12)]
    pairs += [(_history_item(sight, random), item) for item in random.sample(known, min(8, len(known)))]
    pairs = [(a, b) for a, b in pairs if a != b and sight.expected(a, b) >= 5]
    if not pairs or random.random() < 0.4:
        return draw_pair(sight, random)
    return Case(*min(pairs, key=lambda pair: sight.lift(*pair) or Fraction(0)))


def draw_rare_or_not(sight: Sight, random: Random) -> Case | None:
    """As above, where "rarely" means the same as a lift and as a share (less than a tenth)."""
    case = draw_avoided(sight, random)
    if case is None or not (expected := sight.expected(case.a, case.b)):
        return None
    part, whole = sight.both(case.a, case.b), sight.n(case.a)
    contrary = _rarely(part / expected, expected)
    return case if contrary == (10 * part < whole) else None


def draw_equal_or_close(sight: Sight, random: Random) -> Case | None:
    a = random.choice([*sight.history, *sight.candidates])
    away = random.choice([0, 0, 1, -1, 2])
    others = [b for b in range(len(sight.world.ids)) if b != a and sight.n(b) == sight.n(a) + away]
    return Case(a, random.choice(others)) if others and sight.n(a) > 1 else None


# ---- measures


def rate_of(sight: Sight, case: Case) -> Pair:
    return sight.both(case.a, case.b), sight.n(case.a)


def not_taken(sight: Sight, case: Case) -> Pair:
    return sight.n(case.a) - sight.both(case.a, case.b), sight.n(case.a)


def step_of(sight: Sight, case: Case) -> Pair:
    return sight.followed(case.a, case.b), sight.n(case.a)


def known_by(sight: Sight, case: Case) -> Pair:
    return sight.n(case.b), sight.people


def lift_of(sight: Sight, case: Case) -> Pair | None:
    lift = sight.lift(case.a, case.b)
    return None if lift is None else (lift, 1)


def neighbour_lift(sight: Sight, case: Case) -> Pair | None:
    found = sight.similar(case.window, case.b)
    if found is None or not sight.n(case.b):
        return None
    return Fraction(found[0], found[1]) * sight.people / sight.n(case.b), 1


def trend_lift(sight: Sight, case: Case) -> Pair | None:
    found = sight.trend(case.b)
    if found is None or not sight.n(case.b):
        return None
    return Fraction(found[0], found[1]) * sight.choices / sight.n(case.b), 1


def alike_with(sight: Sight, case: Case) -> Pair:
    return sight.alike(case.b, case.last)


def taste_of(sight: Sight, case: Case) -> Pair:
    return sight.of_category(case.category, case.last)


def counted(measure: Callable[[Sight, Case], Pair | None]) -> Callable[[Sight, Case], Pair | None]:
    """The part alone, where a sentence states a number without a base."""

    def part(sight: Sight, case: Case) -> Pair | None:
        found = measure(sight, case)
        return found and (found[0], 0)

    return part


# ---- lies that measure something else


def other_item(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    """The figure of another subject, or of another anchor."""

    def told(sight: Sight, case: Case, random: Random) -> Pair | None:
        other = random.choice([*sight.candidates, *sight.history])
        swap = "a" if case.a >= 0 and random.random() < 0.4 else "b"
        if other in (case.a, case.b):
            return None
        return measure(sight, replace(case, **{swap: other}))

    return told


def turned(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    return lambda sight, case, random: (
        measure(sight, replace(case, a=case.b, b=case.a)) if sight.n(case.b) > 1 else None
    )


def self_counted(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    return lambda sight, case, random: sight.with_itself and measure(sight.with_itself, case)


def complement(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    def told(sight: Sight, case: Case, random: Random) -> Pair | None:
        found = measure(sight, case)
        return found and (found[1] - found[0], found[1])

    return told


def instead(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    return lambda sight, case, random: measure(sight, case)


def other_window(measure: Callable[[Sight, Case], Pair | None]) -> Alternative:
    """Recent figures said of the whole history, and the other way round; of the last 10 items said of all."""

    def told(sight: Sight, case: Case, random: Random) -> Pair | None:
        if case.window:
            return measure(sight, replace(case, window="whole" if case.window == "recent" else "recent"))
        short, whole = measure(sight, replace(case, last=10)), measure(sight, case)
        return short and whole and (short[0], whole[1])

    return told


def as_share_of_all(sight: Sight, case: Case, random: Random) -> Pair | None:
    """All-time choices as if they were those of the fortnight."""
    found = sight.trend(case.b)
    return found and (sight.n(case.b), random.choice([sight.choices, found[1]]))


def other_category(sight: Sight, case: Case, random: Random) -> Pair | None:
    other = draw_tasted(sight, random)
    return other and taste_of(sight, other)


_PAIRWISE: Final = {
    "wrong_item": other_item,
    "wrong_direction": turned,
    "own_user": self_counted,
}


def pairwise(measure: Callable[[Sight, Case], Pair | None]) -> dict[str, Alternative]:
    return {lie: told(measure) for lie, told in _PAIRWISE.items()}


# ---- what judgements claim, of the two values that are compared


def _rarely(lift: Number, expected: Number) -> bool:
    return lift < Fraction(1, 2) and expected >= 5


CLAIMS: Final[Mapping[str, Callable[[Number, Number], Verdict]]] = {
    "more": lambda x, y: x > y,
    "less": lambda x, y: x < y,
    "equal": lambda x, y: x == y,
    "not more": lambda x, y: x <= y,
    "not less": lambda x, y: x >= y,
    "not equal": lambda x, y: x != y,
    # Of lift and 1.
    "by chance": lambda x, y: round(Fraction(x), 1) == y,
    # Of lift and what is expected.
    "rarely": lambda lift, expected: True if _rarely(lift, expected) else False if lift > 1 else None,
    "not rarely": lambda lift, expected: False if _rarely(lift, expected) else True if lift > 1 else None,
    # Of a part and its whole.
    "happens": lambda part, whole: part >= 1,
    "often": lambda part, whole: unless_close(Fraction(1, 10) - Fraction(part) / whole, Fraction(1, 200)),
    "never": lambda part, whole: part == 0,
    "all": lambda part, whole: part == whole,
    "most": lambda part, whole: 2 * part > whole,
    "few": lambda part, whole: (
        None if part < 2 else unless_close(Fraction(part) / whole - Fraction(1, 10), Fraction(1, 100))
    ),
    "some": lambda part, whole: None if part == 1 else part > 1,
}
NEGATIONS: Final = frozenset({"not more", "not less", "not equal", "not rarely", "never"})


STEP_LIES: Final[Mapping[str, Alternative]] = {
    "wrong_item": other_item(step_of),
    # The other direction, of its own base or of the right one.
    "wrong_direction": lambda sight, case, random: (
        sight.followed(case.b, case.a),
        random.choice([sight.n(case.a), sight.n(case.b)]),
    ),
    "wrong_window": instead(rate_of),
}


def similar_to(sight: Sight, case: Case) -> Pair | None:
    return sight.similar(case.window, case.b)


def trend_of(sight: Sight, case: Case) -> Pair | None:
    return sight.trend(case.b)


def traits_of(sight: Sight, case: Case) -> Pair | None:
    return sight.traits(case.a, case.b)
