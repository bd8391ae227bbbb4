"""A fact counted again, alone, in the graph as its task may see it.

Gathering counts the facts of all candidates at once; this counts one of them by itself, so that a fact of a
stored trace can be verified without trusting what wrote it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.signals.evidence import NEIGHBOURS, RECENT, TASTE_WINDOW, WHOLE
from starrec.signals.facts import Fact
from starrec.signals.graph import Graph
from starrec.signals.task_view import TaskView

_OF_TWO: Final = ("item_cf", "transition", "following", "around", "contrary", "ease")


def recount(fact: Fact, view: TaskView) -> Fact | None:
    """The same fact with the figures that the graph gives now; None where it has no basis.

    Args:
        fact: its kind, window, anchor, subject, topic and reach say what is counted.
        view: of the task for which it was said.
    """
    graph = view.graph
    people = graph.n_users
    if fact.kind in _OF_TWO:
        a, b = _one(fact.anchor), _one(fact.subject)
        counted = _pairs(fact, graph, a, b)
        weight = 0
        if fact.kind == "ease":
            found = float(graph.ease(a, b)[0, 0])
            if np.isnan(found):
                return None
            weight = round(1000 * found)
        return replace(
            fact, both=int(counted[0, 0]), base=int(graph.popularity(a)[0]), total=int(graph.popularity(b)[0]),
            population=people, weight=weight,
        )  # fmt: skip
    lately = view.history[-WHOLE:][-TASTE_WINDOW:]
    match fact.kind:
        case "popularity":
            taken = int(graph.popularity(_one(fact.subject))[0])
            return replace(fact, both=taken, base=people, total=taken, population=people)
        case "user_cf":
            window = view.history[-WHOLE:][-RECENT:] if fact.window == "recent" else view.history[-WHOLE:]
            users, _ = graph.neighbours(window, NEIGHBOURS)
            took, _ = graph.taken_by(_one(fact.subject), users, np.ones(len(users)))
            total = int(graph.popularity(_one(fact.subject))[0])
            return replace(fact, both=int(took[0]), base=len(users), total=total, population=people)
        case "trend":
            if view.day is None or not graph.counts.about.clock:
                return None
            (choices,), total = graph.recent_choices(_one(fact.subject), view.day)
            taken = int(graph.popularity(_one(fact.subject))[0])
            return replace(fact, both=int(choices), base=total, total=taken, population=graph.n_interactions)
        case "category":
            shared = view.semantics.shared_categories(lately, fact.subject)
            return replace(fact, both=shared, base=len(lately))
        case "semantic":
            return _semantic(fact, view)
        case "taste":
            if fact.topic not in view.semantics.topics:
                return None
            topic = view.semantics.topics.index(fact.topic)
            return replace(fact, both=int(view.semantics.category[lately, topic].sum()), base=len(lately))
        case "breadth":
            spread = int((view.semantics.category[lately].sum(axis=0) > 0).sum())
            return replace(fact, both=spread, base=len(lately))
        case "recency":
            if view.days is None or not len(view.days):
                return None
            days = view.days[-RECENT:]
            return replace(fact, both=int(days.max() - days.min()) + 1, base=len(days))
        case _:
            return _ratings(fact, view)


def _pairs(fact: Fact, graph: Graph, a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int32]:
    match fact.kind:
        case "transition":
            return graph.followed(a, b)
        case "following":
            return graph.followed(a, b, fact.reach)
        case "around":
            return graph.around(a, b)
        case _:
            return graph.cooccurrence(a, b)


def _semantic(fact: Fact, view: TaskView) -> Fact | None:
    if view.semantics.embeddings is not None:
        alike = view.semantics.similarities(_one(fact.anchor), _one(fact.subject))
        return replace(fact, weight=round(100 * float(alike[0, 0])))
    shared, union = view.semantics.traits(fact.anchor, fact.subject)
    return replace(fact, both=shared, base=union)


def _ratings(fact: Fact, view: TaskView) -> Fact | None:
    if view.ratings is None or np.isnan(view.ratings).all():
        return None
    given = view.ratings[~np.isnan(view.ratings)].astype(np.float64)
    return replace(fact, both=int((given > given.mean()).sum()), base=len(given))


def _one(item: int) -> NDArray[np.int32]:
    return np.array([item], dtype=np.int32)
