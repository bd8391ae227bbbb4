"""Gathering: the scores of all signals for the candidates of a task.

One walk over postings (`sweep`) gives what the graph says, EASE (`forgetting`) and the catalogue (`semantics`)
the rest. Facts are looked up only when `Evidence` is asked for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from starrec.signals import kernels, similar_users, sweep
from starrec.signals.evidence import DECAY, NEIGHBOURS, RECENT, SLOW_DECAY, TASTE_WINDOW, WHOLE, Evidence
from starrec.signals.levels import SCORED
from starrec.signals.task_view import TaskView

BETA: Final = 0.4
"""Power of a candidate's popularity by which a walk's probability is divided (RP3beta)."""
_CHUNK: Final = 32
"""Tasks that a thread takes at once."""

_ROW: Final = {name: row for row, name in enumerate(SCORED)}
_SWEPT: Final = np.array(
    [
        _ROW[name]
        for name in (
            "item_cf.recent", "item_cf.whole", "user_cf.recent", "user_cf.whole", "transitions", "following.1",
            "following.30", "around.20", "walk.recent",
        )
    ]
)  # fmt: skip
"""Rows of the sweep's scores."""
_ITEM_CF: Final = np.array([_ROW["item_cf.recent"], _ROW["item_cf.whole"]])
_PEOPLE: Final = np.array([_ROW["people.recent"], _ROW["people.whole"]])
_FACTORS: Final = np.array([_ROW["factors.product"], _ROW["factors.cosine"]])
DECAYS: Final = np.power(DECAY, np.arange(WHOLE), dtype=np.float64)
"""`(WHOLE,)` weight of an item by its age."""
SLOW_DECAYS: Final = np.power(SLOW_DECAY, np.arange(WHOLE), dtype=np.float64)


def gather(view: TaskView) -> Evidence:
    """Everything the signals say about the candidates after the history.

    Scores, with age 0 for the latest item: Item-CF recent Σ_h 0.8^age · cosine(h, c), whole mean_h
    cosine(h, c), cosine = n(h, c) / sqrt(n(h) n(c)); User-CF the share of the neighbours' similarity held
    by those who took c; transitions Σ_h 0.8^age · n(h then c) / sqrt(n(h)) over the recent window;
    ease Σ_h 0.95^age · B[h, c] of EASE; popularity n(c) / n; trend the choices of c in
    the 14 days before, in multiples of an average item's; category the mean share of recent items per
    category of c; semantic the 0.8^age-weighted mean similarity to the recent items; following.w
    Σ_h 0.8^age · F_w(h, c) / sqrt(n(h) n(c)), F_w the people who took c within their next w after h; around.20
    the same with those who took the two at most 20 places apart; walk.recent Σ_h 0.8^age · P(h, c) / n(c)^0.4,
    P(h, c) = Σ_u 1 / (n(h) · items of u) over the people u who took both: a random walk from the history to a
    person and on to an item (P3alpha with α = 1, Cooper et al., WWW 2014; RP3beta, Paudel et al., TiiS 2017);
    factors.product and factors.cosine Σ_h 0.8^age · <v_h, v_c> and · cosine(v_h, v_c) over the recent window,
    v the vectors of `factors`.

    How much these rest on: people.recent and people.whole n(h, c) of the item h whose term in Item-CF is the
    greatest; history the items of the whole history.
    """
    graph, candidates = view.graph, view.candidates
    history = view.history[-WHOLE:]
    recent = history[-RECENT:]
    scores = np.full((len(SCORED), len(candidates)), np.nan)
    lengths, left_out = graph.counts.lengths, graph.user
    asked = np.concatenate([history, candidates])
    start, end, users, places = graph.postings(asked)
    numbers, met, whole, nearness, totals, sizes = similar_users.neighbourhoods(
        start[: len(history)], end[: len(history)], users, len(recent), lengths, graph.user_ties, left_out,
        NEIGHBOURS,
    )  # fmt: skip
    taken, pairs, took, scores[_SWEPT] = sweep.sweep(
        start, end, users, places, len(history), numbers, met, whole, nearness, totals, len(recent), DECAYS,
        lengths, left_out, BETA, graph.pair_table.counts, graph.pair_table.rows[asked],
    )  # fmt: skip
    popular = taken[len(history) :]
    people = kernels.strongest_pairs(pairs, taken[: len(history)], popular, DECAYS, len(recent))
    scores[_PEOPLE] = np.where(np.isnan(scores[_ITEM_CF]), np.nan, people)
    scores[_ROW["history"]] = len(view.history)
    weights = graph.ease(history, candidates)
    scores[_ROW["ease"]] = kernels.decayed_sums(weights, SLOW_DECAYS)
    scores[_FACTORS] = graph.factors(recent, candidates, DECAYS[: len(recent)][::-1])
    if graph.n_users:
        scores[_ROW["popularity"]] = popular / graph.n_users
    choices, all_choices = np.zeros(len(candidates), dtype=np.int64), 0
    if view.day is not None and graph.counts.about.clock:
        choices, all_choices = graph.recent_choices(candidates, view.day)
    if all_choices:
        scores[_ROW["trend"]] = choices * graph.n_items / all_choices
    category = view.semantics.category
    scores[_ROW["category"]] = kernels.category_shares(category, history[-TASTE_WINDOW:], candidates)
    alike = view.semantics.similarities(recent, candidates)
    scores[_ROW["semantic"]] = kernels.decayed_means(alike, DECAYS)
    return Evidence(
        view, scores, history, taken[: len(history)], popular, pairs, took, sizes, weights, choices,
        all_choices, alike,
    )  # fmt: skip


def gather_many(views: Sequence[TaskView], threads: int = 1) -> list[Evidence]:
    """The evidence of each of these tasks, in order.

    Args:
        threads: that share the work; the kernels release the interpreter lock.
    """
    if threads < 2 or len(views) <= _CHUNK:
        return [gather(view) for view in views]
    chunks = [views[at : at + _CHUNK] for at in range(0, len(views), _CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        return [found for part in pool.map(lambda chunk: list(map(gather, chunk)), chunks) for found in part]
