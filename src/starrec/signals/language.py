"""Facts as language: a sentence for people and agents, and a compact form for fast mode.

Templates are deterministic and each figure in a sentence can be checked against the graph (`recounting`). Small
bases are said as counts ("3 of the 7 people"), larger ones as rates with their base. No sentence names a user,
and what rests on fewer people than `support` is said as "fewer than 3": a figure of one or two people could
point at somebody who is known to have taken the one item and so give away the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starrec.data import escape
from starrec.signals.facts import PEOPLE, Fact

SMALL: Final = 10
"""Bases up to this are said as counts, larger ones as rates."""
MIN_SUPPORT: Final = 3
"""People behind a figure that anyone but the run's own operator may hear."""
FOLLOW_WINDOW: Final = 3
"""A transition counts when the second item is among the next three: adjacent pairs alone are noise where many
interactions share their second (avg_hr of the tool alone on validation: 0.62 for 1, 0.69 for 3)."""
AROUND_WINDOW: Final = 20
"""Places on either side of an item in which another one is around it."""
TREND_DAYS: Final = 14
"""Whole days before the task's own day that a trend looks at."""


def sentence(fact: Fact, mentions: Sequence[str], *, support: int = MIN_SUPPORT) -> str:
    """The fact as one English sentence; items are mentions (`⟦id|title⟧`).

    Figures are rounded half to even from the exact fraction, so that a program gets the same ones.

    Args:
        mentions: of each item, in index order.
        support: what fewer people did is said as "fewer than"; 0 for the operator, who may see all.
    """
    b = mentions[fact.subject] if fact.subject >= 0 else ""
    a = mentions[fact.anchor] if fact.anchor >= 0 else ""
    thin = fact.kind in PEOPLE and fact.both < support
    # "Fewer than 3 of the 2 people" would say how few there are.
    base = f" {fact.base:,}" if fact.base >= support else ""
    if thin and not base and a:
        return f"Fewer than {support} people took both {a} and {b}."
    count = f"Fewer than {support} of the{base}" if thin else _count(fact)
    lift = "" if thin else f", {_tenths(fact)} times what its popularity predicts"
    match fact.kind:
        case "item_cf":
            return f"{count} {_people(fact)} who took {a} also took {b}{lift}."
        case "transition":
            return f"{count} {_people(fact)} who took {a} took {b} within their next {FOLLOW_WINDOW}."
        case "following":
            when = "right after it" if fact.reach == 1 else f"within their next {fact.reach}"
            return f"{count} {_people(fact)} who took {a} took {b} {when}."
        case "around":
            when = f"within {fact.reach} before or after it"
            return f"{count} {_people(fact)} who took {a} took {b} {when}."
        case "contrary":
            only = count if thin else f"Only {_exact(fact)}"
            expected = _rounded(fact.base * fact.total, fact.population)
            took = f"{_people(fact)} who took {a} also took {b}"
            return f"{only} {took}, where its popularity predicts {expected:,}."
        case "user_cf":
            count = count if thin else _exact(fact)
            people = "people" if thin else _people(fact)
            return f"{count} {people} with the most similar {fact.window} history took {b}{lift}."
        case "popularity":
            if thin:
                return f"Fewer than {support} people took {b}."
            return f"{fact.both:,} of {fact.base:,} {_people(fact)} took {b}."
        case "trend":
            count = count if thin else f"{fact.both:,} of the {fact.base:,}"
            usual = "" if thin else f", {_tenths(fact)} times its usual share"
            return f"{count} choices in the {TREND_DAYS} days before were {b}{usual}."
        case "ease":
            adds = f"adds {_thousandths(fact)} to" if fact.weight >= 0 else f"takes {_thousandths(fact)} from"
            few = fact.both < support
            who = f"fewer than {support} people" if few else f"the {fact.both:,} {_noun('person', fact.both)}"
            return (
                f"Beyond the rest of the history, {a} {adds} what a linear model expects of {b}, from {who} "
                "who took both."
            )
        case "semantic":
            if fact.base == 0:
                return f"{b} and {a} read alike: similarity {fact.weight} of 100."
            return f"{b} shares {fact.both} of {fact.base} categories and title words with {a}."
        case "category":
            verb = "shares" if fact.both <= 1 else "share"
            return f"{_of_last(fact)} {verb} a category with {b}."
        case "taste":
            return f"{_of_last(fact)} {'is' if fact.both <= 1 else 'are'} {_escape_topic(fact.topic)}."
        case "breadth":
            verb = "spans" if fact.base == 1 else "span"
            items = f"The last {fact.base} {_noun('item', fact.base)}"
            return f"{items} {verb} {fact.both} {_noun('category', fact.both)}."
        case "recency":
            return (
                f"The last {fact.base} {_noun('item', fact.base)} {'was' if fact.base == 1 else 'were'} taken "
                f"within {fact.both} {_noun('day', fact.both)}."
            )
        case "rating":
            return (
                f"{fact.both} of the {fact.base} rated {_noun('item', fact.base)} got more than their own mean "
                "rating."
            )


def compact(signal: str, level: int) -> str:
    """A signal's level as one compact token, such as `‹item_cf.recent=9›`; level -1 is `none`."""
    return f"‹{signal}={level if level >= 0 else 'none'}›"


def labels(n: int) -> tuple[str, ...]:
    """How n candidates are called, in task order: `‹A›` to `‹Z›`, then `‹AA›`, `‹AB›`, …"""
    named = []
    for index in range(n):
        name = ""
        while index >= 0:
            name = chr(ord("A") + index % 26) + name
            index = index // 26 - 1
        named.append(f"‹{name}›")
    return tuple(named)


def _count(fact: Fact) -> str:
    if fact.base <= SMALL:
        return f"{fact.both} of the {fact.base}"
    return f"{_rounded(100 * fact.both, fact.base)}% of the {fact.base:,}"


def _exact(fact: Fact) -> str:
    return f"{fact.both:,} of the {fact.base:,}"


def _of_last(fact: Fact) -> str:
    return f"{fact.both or 'None'} of the last {fact.base} {_noun('item', fact.base)}"


def _people(fact: Fact) -> str:
    return _noun("person", fact.base)


_PLURALS: Final = {"person": "people", "category": "categories", "item": "items", "day": "days"}


def _noun(noun: str, count: int) -> str:
    return noun if count == 1 else _PLURALS[noun]


def _tenths(fact: Fact) -> str:
    """The lift, to one decimal."""
    tenths = _rounded(10 * fact.both * fact.population, fact.base * fact.total)
    return f"{tenths // 10:,}.{tenths % 10}"


def _thousandths(fact: Fact) -> str:
    return f"{abs(fact.weight) // 1000}.{abs(fact.weight) % 1000:03}"


def _rounded(numerator: int, denominator: int) -> int:
    """The quotient as the nearest integer, halves to even; 0 for a denominator of 0."""
    if denominator == 0:
        return 0
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2))


def _escape_topic(topic: str) -> str:
    # Categories stand outside mentions, where a full stop before a space would end the sentence.
    return re.sub(r"\.(?=\s)", "&#46;", escape(topic))
