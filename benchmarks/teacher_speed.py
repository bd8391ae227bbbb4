"""Runs of the embedded policy per second, evidence included, one greedy run a task, on all cores.

.venv/bin/python benchmarks/teacher_speed.py [--run runs/demo] [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from starrec.config import load_toml
from starrec.data import evaluation_tasks
from starrec.engines import Workers
from starrec.pipeline import Pipeline, RunConfig
from starrec.teacher import rank_with_teacher


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--run", type=Path, default=Path("runs/demo"))
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    config = load_toml(given.run / "config.toml", RunConfig)
    with Pipeline.open(given.run, config) as pipeline:
        prepared = pipeline.signals()
    tasks, _ = evaluation_tasks(
        prepared.dataset, prepared.sequences, prepared.split, "validation", seed=1, draws=3
    )
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


if __name__ == "__main__":
    main()
