"""The outcome filter: which runs teach, and which tasks are worth the student's practice.

K sampled runs a task explore; those that put the true next item first are kept (relaxable to the top k), one
a task. That selection is where knowledge beyond the teacher enters supervised training. How many of a task's
runs succeeded also says how hard it is, and reinforcement wants easy, medium and hard tasks at about 3:4:3
(STAR, arXiv 2602.09829). Targets are met here and nowhere before: agents, tools and messages hold none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import comb
from typing import Final, Literal, TypeAlias, get_args

from starrec.data.tasks import RankingTask, Targets
from starrec.hashing import text_keys
from starrec.trajectories.schema import Trajectory

Difficulty: TypeAlias = Literal["easy", "medium", "hard"]

MIX: Final[Mapping[Difficulty, int]] = {"easy": 3, "medium": 4, "hard": 3}
"""The paper's proportions of easy, medium and hard tasks."""


def target_columns(tasks: Iterable[RankingTask], targets: Targets) -> dict[str, int]:
    """Where each task's target stands among its candidates, 0-based, by task id.

    Raises:
        KeyError: a task has no target.
        ValueError: a target is not among its task's candidates.
    """
    return {task.task_id: task.candidates.tolist().index(targets[task.task_id]) for task in tasks}


def judge(trajectories: Iterable[Trajectory], columns: Mapping[str, int]) -> list[Trajectory]:
    """The trajectories with their outcome: the 1-based rank of the target, which stands in
    `columns[task_id]`."""
    return [replace(t, outcome=t.ranking.index(t.labels[columns[t.task_id]]) + 1) for t in trajectories]


def keep(trajectories: Iterable[Trajectory], top_k: int = 1) -> list[Trajectory]:
    """The runs whose target came among the first top_k; `ValueError` for one that was not judged."""
    return [trajectory for trajectory in trajectories if _succeeded(trajectory, top_k)]


def pass_at(trajectories: Iterable[Trajectory], k: int) -> float:
    """The chance that at least one of k runs of a task puts its target first, in [0, 1]; 0 without runs.

    Estimated without bias from a task's n runs, c of them successful, as 1 - C(n-c, k) / C(n, k) (Chen et
    al., arXiv 2107.03374, equation 1), and averaged over tasks: with k = 1 the share of successful runs, with
    k = n whether any run succeeded. A task with fewer than k runs counts with all it has.
    """
    rates = [
        1 - comb(len(runs) - sum(runs), min(k, len(runs))) / comb(len(runs), min(k, len(runs)))
        for runs in _successes(trajectories).values()
    ]
    return sum(rates) / len(rates) if rates else 0.0


def one_per_task(trajectories: Iterable[Trajectory], seed: int) -> list[Trajectory]:
    """Of each task's runs one, chosen by a seeded hash of the run: the shortest would be one without
    reflection. Tasks in the order in which they first appear."""
    runs: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        runs.setdefault(trajectory.task_id, []).append(trajectory)
    return [_first_by_hash(of_task, seed) for of_task in runs.values()]


def difficulties(trajectories: Iterable[Trajectory]) -> dict[str, Difficulty]:
    """Each task's difficulty: easy if all its runs put the target first, medium if some did, hard if none."""
    return {
        task_id: "easy" if all(runs) else "medium" if any(runs) else "hard"
        for task_id, runs in _successes(trajectories).items()
    }


def stratify(
    difficulty: Mapping[str, Difficulty], n: int, seed: int, mix: Mapping[Difficulty, int] = MIX
) -> list[str]:
    """At most n task ids, shuffled, in the proportions of mix as far as there are enough of each.

    What a stratum lacks comes from the others, in their proportions. Which tasks of a stratum are drawn
    depends on (seed, task id) only, not on the order in which they are given.
    """
    ids = list(difficulty)
    keys = dict(zip(ids, text_keys(ids, seed, "stratify").tolist(), strict=True))
    strata = {
        name: sorted((i for i in ids if difficulty[i] == name), key=keys.__getitem__)
        for name in get_args(Difficulty)
    }
    quotas = _quotas({name: len(strata[name]) for name in strata}, n, mix)
    drawn = [task_id for name in strata for task_id in strata[name][: quotas[name]]]
    return sorted(drawn, key=keys.__getitem__)


def _quotas(
    available: Mapping[Difficulty, int], n: int, mix: Mapping[Difficulty, int]
) -> dict[Difficulty, int]:
    # One place at a time to the stratum that is furthest below its share of what is given out.
    quotas: dict[Difficulty, int] = dict.fromkeys(available, 0)
    for _ in range(min(n, sum(available[name] for name in available if mix[name]))):
        open_ = [name for name in available if quotas[name] < available[name] and mix[name]]
        neediest = min(open_, key=lambda name: (quotas[name] + 1) / mix[name])
        quotas[neediest] += 1
    return quotas


def _succeeded(trajectory: Trajectory, top_k: int) -> bool:
    if trajectory.outcome is None:
        raise ValueError(
            f"trajectory {trajectory.task_id} run {trajectory.run} has no outcome; `judge` it first"
        )
    return trajectory.outcome <= top_k


def _successes(trajectories: Iterable[Trajectory]) -> dict[str, list[bool]]:
    runs: dict[str, list[bool]] = {}
    for trajectory in trajectories:
        runs.setdefault(trajectory.task_id, []).append(_succeeded(trajectory, 1))
    return runs


def _first_by_hash(runs: Sequence[Trajectory], seed: int) -> Trajectory:
    keys = text_keys([f"{t.task_id}/{t.run}" for t in runs], seed, "one run per task")
    return runs[int(keys.argmin())]
