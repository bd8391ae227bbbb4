"""The bars of the embedded policy and of its traces, one command a row.

    .venv/bin/python benchmarks/policy.py ROW [options]

Each row prints what it measured and keeps it as `benchmarks/results/policy_ROW.json`. Amazon Games is read from
`STARREC_DATA` (see `benchmarks/signals.py`).
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from record import keep
from signals import DatasetName, load, tasks_of
from starrec.data import RankingTask, validation_half
from starrec.engines import Workers
from starrec.hashing import combine
from starrec.pipeline.tasks import reopen
from starrec.ranking import avg_hr, mean_ci, ratio_ci
from starrec.signals import FactNumbers, Graph
from starrec.teacher import EmbeddedPolicy
from starrec.teacher import run as play
from starrec.teacher.replay import replay as replayed
from starrec.teacher.v1 import rank_v1
from starrec.tools import Toolbox, World
from starrec.trajectories import linear

_BATCH: Final = 32
_LABEL: Final = re.compile("‹[A-Z]+›")

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
_Run = Annotated[Path, typer.Option("--run", help="Folder of a run with data.")]


def _batches(tasks: Sequence[RankingTask]) -> list[list[RankingTask]]:
    return [list(tasks[at : at + _BATCH]) for at in range(0, len(tasks), _BATCH)]


@app.command()
def replay(run: _Run = Path("runs/demo"), runs: Annotated[int, typer.Option(help="Runs a task.")] = 4) -> None:
    """Explored runs over all taught tasks: rankings that differ from that of the run's own text (bar: 0)."""
    opened = reopen(run)
    tasks, _ = opened.taught
    with Workers(opened.prepared.world) as workers:
        found = list(workers.map(_replays, [(batch, runs) for batch in _batches(tasks)]))
    keep(
        "policy_replay",
        {"tasks": len(tasks), "runs": sum(count for count, _ in found)},
        {"replay_differs": sum(differs for _, differs in found)},
    )


def _replays(world: World, batch: tuple[list[RankingTask], int]) -> tuple[int, int]:
    tasks, runs = batch

    async def all_runs() -> int:
        differs = 0
        for task in tasks:
            toolbox = world.toolbox(task)
            for number in range(runs):
                found = (await play(EmbeddedPolicy(), toolbox, number=number, explore=True)).trajectory
                differs += replayed(linear(found).partition("<recommend>")[0]) != found.ranking
        return differs

    return len(tasks) * runs, asyncio.run(all_runs())


class _Edited(Toolbox):
    """Tools of which one answer comes back with two places of its first order exchanged, or one dropped."""

    def __init__(self, world: World, task: RankingTask, draw: int) -> None:
        super().__init__(world, task)
        self._left, self._drop = draw % 5, draw % 2 == 0
        self._draw = draw // 10
        self.edited = False

    def call(self, name: str, arguments: Any, facts: FactNumbers) -> str:
        text = super().call(name, arguments, facts)
        self._left -= 1
        return self._edit(text) if self._left == -1 else text

    def _edit(self, text: str) -> str:
        places = list(_LABEL.finditer(text.partition(".")[0] if not text.startswith("⟦") else text))
        if len(places) < 2:
            self._left = 0  # the next answer then
            return text
        self.edited = True
        if self._drop:
            gone = places[self._draw % len(places)]
            return text[: gone.start()] + text[gone.end() :]
        first, second = places[self._draw % (len(places) - 1)], places[-1]
        return (
            text[: first.start()] + second.group() + text[first.end() : second.start()] + first.group()
            + text[second.end() :]
        )  # fmt: skip


@app.command()
def edited(run: _Run = Path("runs/demo"), traces: Annotated[int, typer.Option(help="Traces.")] = 1000) -> None:
    """One answer of a tool edited: traces whose replay differs from the policy run on it (bar: 0)."""
    opened = reopen(run)
    tasks, _ = opened.taught
    tasks = tasks[:: max(1, len(tasks) // traces)][:traces]
    with Workers(opened.prepared.world) as workers:
        found = [row for rows in workers.map(_edits, _batches(tasks)) for row in rows]
    keep(
        "policy_edited",
        {
            "traces": len(found),
            "edited": sum(row[0] for row in found),
            "rankings_changed_by_it": sum(row[1] for row in found),
            "first_places_changed_by_it": sum(row[2] for row in found),
        },
        {"replay_edited_differs": sum(row[3] for row in found)},
    )


def _edits(world: World, tasks: list[RankingTask]) -> list[tuple[bool, bool, bool, bool]]:
    async def one(task: RankingTask) -> tuple[bool, bool, bool, bool]:
        draw = int(combine([len(task.history), *task.candidates[:3].tolist()]).sum() % 1_000_003)
        tools = _Edited(world, task, draw)
        found = (await play(EmbeddedPolicy(), tools)).trajectory
        plain = (await play(EmbeddedPolicy(), world.toolbox(task))).trajectory
        differs = replayed(linear(found).partition("<recommend>")[0]) != found.ranking
        return tools.edited, found.ranking != plain.ranking, found.ranking[0] != plain.ranking[0], differs

    async def all_tasks() -> list[tuple[bool, bool, bool, bool]]:
        return [await one(task) for task in tasks]

    return asyncio.run(all_tasks())


@app.command()
def frozen(run: _Run = Path("runs/demo")) -> None:
    """`teacher_v1` beside the rankings of commit 728a73c on all MovieLens-100K test tasks (bar: 0 differ)."""
    opened = reopen(run)
    tasks, _ = opened.test
    with np.load(Path(__file__).parent / "reference" / "teacher_728a73c.npz") as stored:
        before = dict(zip(stored["task_ids"].tolist(), stored["rankings"].tolist(), strict=True))
    with Workers(opened.prepared.world) as workers:
        now = [items for rows in workers.map(_frozen, _batches(tasks)) for items in rows]
    changed = sum(before.get(task.task_id) != items for task, items in zip(tasks, now, strict=True))
    bars = {"teacher_rankings_changed": changed, "teacher_v1_changed": changed}
    keep("policy_frozen", {"tasks": len(tasks), "before": len(before)}, bars)


def _frozen(world: World, tasks: list[RankingTask]) -> list[list[int]]:
    return [list(map(int, rank_v1(world.toolbox(task)).items)) for task in tasks]


def _world(name: DatasetName) -> tuple[World, Any, Any]:
    dataset, split = load(name)
    world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
    world.graph.counts.ease()  # once here, not once in every worker
    return world, dataset, split


def _ranked(
    name: DatasetName, which: str, half: str | None = None
) -> tuple[list[RankingTask], np.ndarray, np.ndarray]:
    """Tasks, and `(n, 3)` ranks of their targets by v1, v2 and v2 without reflection; `(n,)` whether the
    reflection changed the first place."""
    world, dataset, split = _world(name)
    tasks, targets = tasks_of(dataset, split, which)  # type: ignore[arg-type]
    if half is not None:
        sides = validation_half([task.user_id for task in tasks], 0)
        tasks = [task for task, side in zip(tasks, sides, strict=True) if side == half]
    batches = [[(task, targets[task.task_id]) for task in batch] for batch in _batches(tasks)]
    with Workers(world) as workers:
        rows = np.array([row for part in workers.map(_versions, batches) for row in part])
    return tasks, rows[:, :3], rows[:, 3].astype(bool)


def _versions(world: World, batch: list[tuple[RankingTask, int]]) -> list[tuple[int, int, int, bool]]:
    async def all_tasks() -> list[tuple[int, int, int, bool]]:
        rows = []
        for task, target in batch:
            toolbox = world.toolbox(task)
            v2 = (await play(EmbeddedPolicy(), toolbox)).ranking
            alone = (await play(EmbeddedPolicy(), toolbox, reflections=1)).ranking
            ranks = (rank_v1(toolbox).rank_of(target), v2.rank_of(target), alone.rank_of(target))
            rows.append((*ranks, v2.items[0] != alone.items[0]))
        return rows

    return asyncio.run(all_tasks())


@app.command()
def versions() -> None:
    """`teacher_v2` over `teacher_v1` on test, MovieLens-100K and Amazon Games, users resampled (bar: the lower
    end of either interval at least 1)."""
    rows: dict[str, Any] = {}
    for name in ("movielens", "games"):
        tasks, ranks, _ = _ranked(name, "test")  # type: ignore[arg-type]
        users = [task.user_id for task in tasks]
        v1, v2, alone = (avg_hr(ranks[:, column]) for column in range(3))
        found = ratio_ci(v2, v1, users, seed=0)
        rows[name] = {
            "tasks": len(tasks),
            "users": len(set(users)),
            "teacher_v1": float(v1.mean()),
            "teacher_v2": float(v2.mean()),
            "teacher_v2_no_reflection": float(alone.mean()),
            "ratio": found.ratio,
            "ratio_ci95": [found.lo, found.hi],
        }
    keep("policy_versions", rows, {"teacher_v2_low": min(row["ratio_ci95"][0] for row in rows.values())})


@app.command()
def reflection(run: _Run = Path("runs/demo")) -> None:
    """What the reflection of v2 changes: greedy on validation half B, and in the sampled runs that teach."""
    rows: dict[str, Any] = {}
    for name in ("movielens", "games"):
        tasks, ranks, changed = _ranked(name, "validation", "B")  # type: ignore[arg-type]
        users = [task.user_id for task in tasks]
        moved = np.sign(ranks[:, 2] - ranks[:, 1]).astype(np.float64)
        low, high = mean_ci(moved, users, seed=0)
        rows[name] = {
            "tasks": len(tasks),
            "first_places_changed": float(changed.mean()),
            "raised": float((moved > 0).mean()),
            "lowered": float((moved < 0).mean()),
            "raised_minus_lowered": float(moved.mean()),
            "raised_minus_lowered_ci95": [low, high],
            "avg_hr": float(avg_hr(ranks[:, 1]).mean()),
            "avg_hr_without": float(avg_hr(ranks[:, 2]).mean()),
        }
    opened = reopen(run)
    tasks, targets = opened.taught
    batches = [[(task, targets[task.task_id]) for task in batch] for batch in _batches(tasks)]
    with Workers(opened.prepared.world) as workers:
        sampled = np.array([row for part in workers.map(_sampled, batches) for row in part])
    kept = sampled[sampled[:, 0] == 1]
    rows["sampled_runs"] = {
        "runs": len(sampled),
        "first_changed_before_the_filter": float(sampled[:, 1].mean()),
        "kept": len(kept),
        "first_changed_after_the_filter": float(kept[:, 1].mean()),
    }
    keep("policy_reflection", rows)


def _sampled(world: World, batch: list[tuple[RankingTask, int]]) -> list[tuple[int, int]]:
    async def all_runs() -> list[tuple[int, int]]:
        rows = []
        for task, target in batch:
            toolbox = world.toolbox(task)
            for number in range(4):
                how: dict[str, Any] = {"number": number, "explore": True}
                found = (await play(EmbeddedPolicy(), toolbox, **how)).ranking
                alone = (await play(EmbeddedPolicy(), toolbox, reflections=1, **how)).ranking
                rows.append((int(found.items[0] == target), int(found.items[0] != alone.items[0])))
        return rows

    return asyncio.run(all_runs())


_RATE: Final = """
import sys, time
sys.path.insert(0, sys.argv[1] + "/src")
from pathlib import Path
from starrec.data import evaluation_tasks
from starrec.engines import Workers
from starrec.teacher import rank_with_teacher
from starrec.data import leave_one_out, load_movielens_100k
from starrec.signals import Graph
from starrec.tools import World
if __name__ == "__main__":
    dataset = load_movielens_100k(Path.home() / ".cache" / "starrec")
    sequences = dataset.sequences(3)
    split = leave_one_out(sequences)
    world = World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))
    tasks, _ = evaluation_tasks(dataset, sequences, split, "validation", seed=1, draws=1)
    with Workers(world, 1) as workers:
        rank_with_teacher(workers, tasks[:256], 0)
        started = time.perf_counter()
        rank_with_teacher(workers, tasks, 0)
        print(len(tasks) / (time.perf_counter() - started))
"""


@app.command()
def speed(
    before: Annotated[str, typer.Option(help="The commit to compare with.")],
    repeats: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Greedy runs a second in one process beside those of an earlier commit, one after the other, in turns."""
    rates: dict[str, list[float]] = {"before": [], "now": []}
    here = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "worktree", "add", "--detach", folder, before], cwd=here, check=True)
        script = Path(folder) / "rate.py"
        script.write_text(_RATE)
        try:
            for _ in range(repeats):
                for name, checkout in (("before", folder), ("now", str(here))):
                    rates[name].append(_rate(script, checkout))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=here, check=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    keep(
        "policy_speed",
        {"before": before, "runs_per_second": medians, "all": rates},
        {"policy_speed_ratio": medians["now"] / medians["before"]},
    )


def _rate(script: Path, checkout: str) -> float:
    environment = {**os.environ, "PYTHONPATH": f"{checkout}/src", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, str(script), checkout], env=environment, check=True, capture_output=True, text=True
    )
    return float(ended.stdout.split()[-1])


if __name__ == "__main__":
    app()
