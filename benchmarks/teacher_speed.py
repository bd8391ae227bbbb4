"""Runs of the embedded policy per second, evidence included, one greedy run a task, on all cores.

.venv/bin/python benchmarks/teacher_speed.py [--run runs/demo] [--repeats 5] [--profile]

--profile prints where the time of one task goes, by function, instead.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from starrec.config import load_toml
from starrec.data import RankingTask, evaluation_tasks
from starrec.engines import Workers
from starrec.pipeline import Pipeline, RunConfig
from starrec.teacher import rank_with_teacher
from starrec.tools import World


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--run", type=Path, default=Path("runs/demo"))
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--profile", action="store_true")
    given = arguments.parse_args()
    config = load_toml(given.run / "config.toml", RunConfig)
    with Pipeline.open(given.run, config) as pipeline:
        prepared = pipeline.signals()
    tasks, _ = evaluation_tasks(
        prepared.dataset, prepared.sequences, prepared.split, "validation", seed=1, draws=3
    )
    if given.profile:
        profile(prepared.world, tasks[:1000])
        return
    for processes in (1, None):
        with Workers(prepared.world, processes) as workers:
            rank_with_teacher(workers, tasks[:256], 0)  # workers are up, caches are filled
            rates = []
            for _ in range(given.repeats):
                started = time.perf_counter()
                rank_with_teacher(workers, tasks, 0)
                rates.append(len(tasks) / (time.perf_counter() - started))
            print(
                f"{workers.processes} processes: median {statistics.median(rates):.0f} runs/s "
                f"(min {min(rates):.0f}, max {max(rates):.0f}; {len(tasks)} tasks, {given.repeats} repeats)"
            )


def profile(world: World, tasks: Sequence[RankingTask]) -> None:
    """Print the functions in which a task's time goes, those that take most of it themselves first."""
    with Workers(world, 1) as alone:
        rank_with_teacher(alone, tasks[:64], 0)  # caches are filled
        profiler = cProfile.Profile()
        profiler.runcall(rank_with_teacher, alone, tasks, 0)
    stats = pstats.Stats(profiler)
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])  # type: ignore[attr-defined]
    total = sum(row[2] for _, row in rows)
    print(f"{1e6 * total / len(tasks):,.0f} us a task under the profiler, which slows many small calls most")
    print(f"{'own us':>9}{'all us':>9}{'calls':>9}  function")
    for (file, line, name), (_, calls, own, cumulative, _) in rows[:25]:
        where = "" if file.startswith("~") else f"{Path(file).name}:{line} "
        each = (1e6 * own / len(tasks), 1e6 * cumulative / len(tasks), calls / len(tasks))
        print("".join(f"{value:9.1f}" for value in each) + f"  {where}{name}")


if __name__ == "__main__":
    main()
