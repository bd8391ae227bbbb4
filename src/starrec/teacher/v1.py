"""`teacher_v1`: the embedded policy of commit 728a73c, the reference that earlier results compare with.

Greedy, from evidence alone: no trajectory, no text. Analysts' orders are fused by reciprocal rank (Cormack,
Clarke and Büttcher, SIGIR 2009), weighted by trust; where analysts put different candidates first, or the
leader's evidence rests on few people, User-CF over the whole history is asked about the contenders and counts
as one more order. The constants and the evidence (ten signals, EASE of 3,000 items) are those of that commit
and stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.engines import Engine
from starrec.hashing import Keys, combine
from starrec.ranking import Ranking
from starrec.signals import MIN_SUPPORT, SIGNALS, Evidence, Fact
from starrec.tools import Toolbox, World

_BATCH: Final = 64
_RRF: Final = 2.0
_SHORT: Final = 5
_THIN: Final = 5
_SHOWN: Final = 3
"""Candidates that a tool speaks of when asked about none in particular."""
_TRUST: Final = {"historical": 7, "divergence": 6, "recent": 5, "profile": 1}
_TRUST_SHORT: Final = {"recent": 5, "divergence": 3, "profile": 2}
_SIGNALS: Final[Mapping[str, tuple[str, ...]]] = {
    "historical": ("ease",),
    "divergence": ("transitions",),
    "recent": ("item_cf.recent", "user_cf.recent"),
    "profile": (),
}
_SIGNALS_SHORT: Final[Mapping[str, tuple[str, ...]]] = {**_SIGNALS, "profile": ("popularity",)}
_ASKED_AGAIN: Final = "user_cf.whole"


def rank_v1(toolbox: Toolbox) -> Ranking:
    """The ranking of `teacher_v1` for a task."""
    evidence, ties = toolbox.evidence, combine(toolbox.task.candidates, 5)
    short = len(toolbox.task.history) <= _SHORT
    trust = _TRUST_SHORT if short else _TRUST
    signals = _SIGNALS_SHORT if short else _SIGNALS
    orders = {name: _order(evidence, ties, signals[name]) for name in trust}
    fused = np.zeros(len(ties))
    for name, order in orders.items():
        _add(fused, order, trust[name])
    firsts = dict.fromkeys(order[0] for order in orders.values() if order)
    best = [at for at in np.lexsort((ties, -fused)).tolist()[:3] if fused[at] > 0]
    if best and (len(firsts) > 1 or _thin(best[0], evidence, ties, trust, signals)):
        contenders = list(dict.fromkeys([*firsts, *best]))[:3]
        again = [at for at in _order(evidence, ties, [_ASKED_AGAIN]) if at in contenders]
        _add(fused, again, trust["recent"])
    best_first = np.lexsort((ties, -fused))
    return Ranking(tuple(map(int, toolbox.task.candidates[best_first])))


def rank_with_v1(engine: Engine[World], tasks: Sequence[RankingTask]) -> list[Ranking]:
    """The rankings of `teacher_v1`, in the order of tasks."""
    batches = (list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH))
    return [ranking for batch in engine.map(_rank_batch, batches) for ranking in batch]


def _rank_batch(world: World, tasks: Sequence[RankingTask]) -> list[Ranking]:
    return [rank_v1(world.toolbox(task)) for task in tasks]


def _order(evidence: Evidence, ties: Keys, signals: Iterable[str]) -> list[int]:
    total = np.zeros(len(ties))
    for signal in signals:
        known = np.nan_to_num(evidence.scores[SIGNALS.index(signal)], nan=0.0)
        above = (known[None, :] > known[:, None]).sum(axis=1)
        equal = (known[None, :] == known[:, None]).sum(axis=1)
        total += np.where(known > 0, 1 / (_RRF + above + (equal + 1) / 2), 0.0)
    return [at for at in np.lexsort((ties, -total)).tolist() if total[at] > 0]


def _add(fused: NDArray[np.float64], order: list[int], trust: int) -> None:
    for rank, at in enumerate(order, start=1):
        fused[at] += trust / (_RRF + rank)


def _thin(
    leader: int,
    evidence: Evidence,
    ties: Keys,
    trust: Mapping[str, int],
    signals: Mapping[str, tuple[str, ...]],
) -> bool:
    """Whether the sentence that the most trusted analyst has for the leader rests on few people."""
    for name in sorted(trust, key=lambda name: -trust[name]):
        for signal in signals[name]:
            scores = evidence.scores[SIGNALS.index(signal)]
            shown = np.lexsort((ties, -scores))[:_SHOWN].tolist()
            if leader in shown and scores[leader] > 0:
                fact = evidence.fact(signal, leader)
                return (0 if fact is None else _support(fact)) < _THIN
    return True


def _support(fact: Fact) -> float:
    """People of the sentence's first figure as that commit read it back from the text."""
    if fact.both < MIN_SUPPORT:
        return MIN_SUPPORT
    if fact.kind in ("item_cf", "transition") and fact.base > 10:
        return round(100 * fact.both / fact.base) * fact.base / 100
    return float(fact.both)
