"""`teacher_tuned`: the embedded policy with constants fitted on the labels that the student sees.

A student that beats its teacher has seen labels, and its teacher has not. So the teacher's own constants are
fitted on the same labels, by random coordinate search from where they stand: one constant at a time is drawn
anew and kept where avg_hr on training tasks does not fall. A try is a search with late positions weighed more
or less; half B of validation chooses among them. What ranks test tasks is the policy itself
(`rank_with_teacher`); for the search its rules are written once more over arrays, and a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import SHORT_HISTORY
from starrec.engines import Workers
from starrec.evaluation.controls.lessons import Lessons, Rows
from starrec.evaluation.controls.numbers import Numbers
from starrec.ranking import avg_hr
from starrec.signals import SIGNALS
from starrec.teacher import Analyst, Constants, Fusion
from starrec.teacher.replay import OWNERS

LATE: Final = (0.0, 1.0, 2.0, 4.0)
"""The tries: the weight of a task is its lateness (`Numbers.lateness`) to this power."""
PROPOSALS: Final = 200
"""Constants drawn anew in a search."""

_FIRST: Final[Mapping[Analyst, tuple[str, ...]]] = {
    "user_profile": (),
    "historical_interest": ("ease",),
    "recent_interest": ("item_cf.recent",),
    "interest_divergence": ("transitions",),
}
"""The orders that each analyst's first answers hold ..."""
_FIRST_SHORT: Final[Mapping[Analyst, tuple[str, ...]]] = {
    **_FIRST,
    "user_profile": ("popularity", "category", "semantic"),
}
"""... for short histories ..."""
_AGAIN: Final = ("category", "semantic", "user_cf.whole")
"""... and those of what a reflection asks about the contenders."""


class PolicyArrays:
    """The embedded policy's scores of many tasks, greedy, for any constants."""

    def __init__(self, numbers: Numbers, rows: Rows) -> None:
        """
        Args:
            rows: `(n,)` the row of each task's target.
        """
        known = np.nan_to_num(numbers.scores, nan=0.0)
        self._places = {name: _places(known[:, SIGNALS.index(name)]) for name in OWNERS}
        self._levels = np.maximum(numbers.levels, 0).astype(np.float64)
        self._ties = numbers.ties
        self._short = numbers.lengths <= SHORT_HISTORY
        self._rows = rows
        self._lateness = numbers.lateness
        firsts = [self._places[name] for names in _FIRST.values() for name in names]
        self._disagree = ~self._short & _disagree(firsts)
        self._ahead = {name: _ahead(known[self._disagree, SIGNALS.index(name)]) for name in _AGAIN}

    def avg_hr(self, constants: Constants, late: float = 0.0) -> float:
        """Of the policy's rankings under these constants; `late` as in `LATE`."""
        scores = self.scores(constants)
        own = np.take_along_axis(scores, self._rows[:, None], axis=1)
        tie = np.take_along_axis(self._ties, self._rows[:, None], axis=1)
        before = (scores > own) | ((scores == own) & (self._ties < tie))
        return float(np.average(avg_hr(before.sum(axis=1) + 1), weights=self._lateness**late))

    def scores(self, constants: Constants) -> NDArray[np.float64]:
        """`(n, c)` the score by which the policy ranks at last."""
        again = {**constants.trust, **constants.trust_again}
        fused = self._orders(constants.trust, _FIRST, constants.fusion)
        short = self._short
        if short.any():
            fused[short] = self._orders(constants.trust_short, _FIRST_SHORT, constants.fusion, short)
        asked = self._disagree
        if asked.any():
            contenders = self._contenders(fused[asked], self._ties[asked], constants.contenders)
            fused[asked] = self._orders(again, _FIRST, constants.fusion, asked)
            for name in _AGAIN:
                # Half for a candidate's tie with itself, half to count from 1.
                before = np.einsum("nij,nj->ni", self._ahead[name], contenders).astype(np.float64)
                listed = contenders.astype(np.bool_) & np.isfinite(self._places[name][asked])
                fused[asked] += _points(again, name, np.where(listed, before + 0.5, np.inf), constants.fusion)
        weights = np.array([constants.fusion.level_weights.get(name, 0) for name in SIGNALS], dtype=np.float64)
        return fused + constants.fusion.level_unit * (self._levels @ weights)

    def _orders(
        self,
        trust: Mapping[Analyst, int],
        asked: Mapping[Analyst, tuple[str, ...]],
        fusion: Fusion,
        chosen: NDArray[np.bool_] | slice = slice(None),
    ) -> NDArray[np.float64]:
        fused: NDArray[np.float64] = np.zeros(self._places["ease"][chosen].shape)
        # As the policy adds: analysts in the order in which they are consulted.
        for analyst in trust:
            for name in asked[analyst]:
                fused += _points(trust, name, self._places[name][chosen], fusion)
        return fused

    @staticmethod
    def _contenders(scores: NDArray[np.float64], ties: NDArray[np.uint64], count: int) -> NDArray[np.float32]:
        """`(n, c)` 1 for those that stand first and have any evidence."""
        found = np.zeros(scores.shape, dtype=np.float32)
        np.put_along_axis(found, np.lexsort((ties, -scores), axis=1)[:, :count], 1, axis=1)
        found[scores <= 0] = 0
        return found


def tune(
    lessons: Lessons,
    half_b: PolicyArrays,
    seeds: Sequence[int],
    first: int | None = None,
    processes: int | None = None,
) -> tuple[list[Constants], list[tuple[float, float]]]:
    """Constants of each seed, found by the try that half B chooses; and what each try of `LATE` reached there.

    Args:
        first: how many of the training tasks are searched on, the first; None for all.
        processes: searches at a time; None for one a core.
    """
    with Workers(lessons, processes) as workers:
        tried = list(workers.map(_search, [(first, seeds[0], late) for late in LATE]))
        reached = [half_b.avg_hr(constants) for constants in tried]
        best = int(np.argmax(reached))
        others = list(workers.map(_search, [(first, seed, LATE[best]) for seed in seeds[1:]]))
    return [tried[best], *others], list(zip(LATE, reached, strict=True))


def _search(lessons: Lessons, job: tuple[int | None, int, float]) -> Constants:
    first, seed, late = job
    part = slice(first)
    return search(PolicyArrays(lessons.numbers("training")[part], lessons.rows("training")[part]), seed, late)


def search(training: PolicyArrays, seed: int, late: float = 0.0, proposals: int = PROPOSALS) -> Constants:
    """Constants of the policy, fitted; arguments as in `PolicyArrays.avg_hr`.

    Args:
        proposals: constants drawn anew.
    """
    random = np.random.default_rng(seed)
    kept, best = Constants(), training.avg_hr(Constants(), late)
    for _ in range(proposals):
        drawn = _with(kept, *_draw(random))
        if drawn != kept and (reached := training.avg_hr(drawn, late)) >= best:
            kept, best = drawn, reached
    return kept


_TRUSTED: Final = tuple(range(1, 10))
_CHOICES: Final[Mapping[tuple[str, str], Sequence[Any]]] = {
    **{("trust", analyst): _TRUSTED for analyst in Constants().trust if _FIRST[analyst]},
    **{("trust_short", analyst): _TRUSTED for analyst in Constants().trust_short},
    **{("trust_again", analyst): _TRUSTED for analyst in ("user_profile", "historical_interest")},
    ("contenders", ""): tuple(range(2, 13)),
    # Powers of two, so that sums over arrays are exactly the policy's.
    ("rrf", ""): (0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    ("level_unit", ""): (0.0125, 0.025, 0.05, 0.1, 0.2),
    **{("shares", signal): (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0) for signal in (*_AGAIN, "popularity")},
    **{("level_weights", signal): tuple(range(7)) for signal in SIGNALS},
}
"""What may be drawn: a field of `Constants` or `Fusion`, and the key within it, with their values."""


def _draw(random: np.random.Generator) -> tuple[tuple[str, str], Any]:
    names = list(_CHOICES)
    name = names[int(random.integers(len(names)))]
    return name, _CHOICES[name][int(random.integers(len(_CHOICES[name])))]


def _with(constants: Constants, name: tuple[str, str], value: Any) -> Constants:
    where, key = name
    holder: Any = constants if hasattr(constants, where) else constants.fusion
    changed = replace(holder, **{where: {**getattr(holder, where), key: value} if key else value})
    return changed if holder is constants else replace(constants, fusion=changed)


def _points(
    trust: Mapping[Analyst, int], name: str, places: NDArray[np.float64], fusion: Fusion
) -> NDArray[np.float64]:
    weight = trust[OWNERS[name]] * fusion.shares[name]
    points: NDArray[np.float64] = weight / (fusion.rrf + places)
    return points


def _places(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(n, c)` place in a signal's order, from 1, those that score alike at their mean; infinite outside it."""
    above = (known[:, None, :] > known[:, :, None]).sum(axis=2)
    alike = (known[:, None, :] == known[:, :, None]).sum(axis=2)
    return np.where(known > 0, above + (alike + 1) / 2, np.inf)


def _ahead(known: NDArray[np.float64]) -> NDArray[np.float32]:
    """`(n, c, c)` whether the second candidate stands before the first; a half where they score alike."""
    other, own = known[:, None, :], known[:, :, None]
    ahead: NDArray[np.float32] = (other > own) + np.float32(0.5) * (other == own)
    return ahead


def _disagree(places: Sequence[NDArray[np.float64]]) -> NDArray[np.bool_]:
    """`(n,)` whether no candidate stands first, alone or among equals, in all orders that hold any."""
    common = np.ones(places[0].shape, dtype=np.bool_)
    any_order = np.zeros(len(common), dtype=np.bool_)
    for place in places:
        holds = place.min(axis=1) < np.inf
        first = place == place.min(axis=1, keepdims=True)
        common &= first | ~holds[:, None]
        any_order |= holds
    disagree: NDArray[np.bool_] = any_order & (common.sum(axis=1) == 0)
    return disagree
