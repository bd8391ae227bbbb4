"""Facts for the person who is recommended to: why an item, in a few words and without a figure.

The same facts as in `language`, whose sentences have the counts. How strong a word may be follows from the
counts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starrec.signals.facts import Fact

_MOST: Final = 0.5
"""Share from which people are "most people"."""
_MANY: Final = 0.2
_FAR_MORE: Final = 2.0
"""Lift from which people took an item "far more often" than others."""


def short_reason(fact: Fact, mentions: Sequence[str]) -> str:
    """The fact as a reason; items are mentions (`⟦id|title⟧`).

    Args:
        mentions: of each item, in index order.

    Raises:
        ValueError: the fact is none about a candidate, or speaks against it.
    """
    b = mentions[fact.subject] if fact.subject >= 0 else ""
    a = mentions[fact.anchor] if fact.anchor >= 0 else ""
    match fact.kind:
        case "item_cf" | "around":
            if fact.rate >= _MANY:
                return f"{_share(fact)} who took {a} also took {b}."
            if fact.kind == "item_cf" and fact.lift > 1:
                return f"People who took {a} take {b} {_more_often(fact)} than others do."
            return f"People who took {a} also took {b}."
        case "transition" | "following":
            if fact.rate >= _MANY:
                return f"{_share(fact)} who took {a} went on to {b}."
            return f"People who took {a} went on to {b}."
        case "user_cf":
            lately = "lately chose" if fact.window == "recent" else "chose"
            if fact.rate >= _MOST:
                return f"Most of the people who {lately} what you did took {b}."
            return f"People who {lately} what you did took {b}."
        case "ease":
            return f"{a} speaks for {b} beyond the rest of your history."
        case "popularity":
            return f"{_share(fact)} took {b}." if fact.rate >= _MANY else f"Some people took {b}."
        case "trend":
            if fact.lift > 1:
                return f"{b} is taken {_more_often(fact)} than usual these days."
            return f"{b} is taken these days."
        case "semantic":
            return f"{b} is like {a} in kind and name."
        case "category":
            if fact.rate >= _MOST:
                return f"{b} is of a kind with most of what you took last."
            return f"{b} is of a kind with some of what you took last."
        case _:
            raise ValueError(f"a fact of kind {fact.kind} is no reason for an item")


def _share(fact: Fact) -> str:
    return "Most people" if fact.rate >= _MOST else "Many people"


def _more_often(fact: Fact) -> str:
    return "far more often" if fact.lift >= _FAR_MORE else "more often"
