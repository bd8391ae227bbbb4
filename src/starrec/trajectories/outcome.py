"""The outcome filter: which runs teach.

K sampled runs a task explore; those that put the true next item first are kept (relaxable to the top k), one
a task. That selection is where knowledge beyond the teacher enters supervised training. Targets are met here
and nowhere before: agents, tools and messages hold none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import comb

from starrec.data.tasks import RankingTask, Targets
from starrec.hashing import text_keys
from starrec.trajectories.schema import Trajectory


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


def keep(trajectories: Iterable[Trajectory], top_k: int = 1) -> Iterator[Trajectory]:
    """The runs whose target came among the first top_k, as they come; `ValueError` for one that was not
    judged."""
    return (trajectory for trajectory in trajectories if passes(trajectory, top_k))


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
    # No more than one of each is held: a task may have many runs.
    chosen: dict[str, tuple[int, Trajectory]] = {}
    for trajectory in trajectories:
        key = int(text_keys([f"{trajectory.task_id}/{trajectory.run}"], seed, "one run per task")[0])
        best = chosen.get(trajectory.task_id)
        if best is None or key < best[0]:
            chosen[trajectory.task_id] = key, trajectory
    return [trajectory for _, trajectory in chosen.values()]


def passes(trajectory: Trajectory, top_k: int) -> bool:
    """Whether a run's target came among the first top_k: the outcome filter; `ValueError` for one that was not
    judged."""
    if trajectory.outcome is None:
        raise ValueError(
            f"trajectory {trajectory.task_id} run {trajectory.run} has no outcome; `judge` it first"
        )
    return trajectory.outcome <= top_k


def _successes(trajectories: Iterable[Trajectory]) -> dict[str, list[bool]]:
    runs: dict[str, list[bool]] = {}
    for trajectory in trajectories:
        runs.setdefault(trajectory.task_id, []).append(passes(trajectory, 1))
    return runs
