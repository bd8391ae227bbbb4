"""The AgentSociety challenge's own simulator over `StarAgent`: 50 valid rankings, and its score beside ours.

    .venv/bin/pip install nltk pandas openai langchain-openai sentence-transformers
    .venv/bin/pip install --no-deps websocietysimulator==1.0.0a30
    .venv/bin/python benchmarks/agentsociety_loop.py
    .venv/bin/python benchmarks/agentsociety_loop.py --folder DATA --tasks TASKS --truths GROUNDTRUTH --run RUN

Without a folder it writes the small copy of the layout that the tests use and trains the smallest run on it.
The package's pins (transformers, openai, lmdb) exclude this project's versions; without its pins it runs.
The evaluator of its other track fetches two models and is left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from starrec.agentsociety import StarAgent
from starrec.data import DataConfig
from starrec.pipeline import Pipeline, RunConfig
from starrec.ranking.metrics import summary
from starrec.student import GRPOConfig, NanoConfig, SFTConfig, StudentConfig
from starrec.teacher import TeacherConfig


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--folder", type=Path, help="user.json, item.json, review.json")
    arguments.add_argument("--tasks", type=Path, help="task_N.json")
    arguments.add_argument("--truths", type=Path, help="groundtruth_N.json")
    arguments.add_argument("--run", type=Path, help="a finished run over them")
    arguments.add_argument("--mode", nargs="+", default=["fast", "teacher"])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if given.folder is None:
            given.folder, given.tasks, given.truths, given.run = _small(Path(scratch))
        for mode in given.mode:
            _simulate(given, mode)


def _simulate(given: argparse.Namespace, mode: str) -> None:
    import websocietysimulator.simulator as package

    package.SimulationEvaluator = lambda device: None
    simulator = package.Simulator(data_dir=str(given.folder))
    simulator.set_task_and_groundtruth(str(given.tasks), str(given.truths))
    agent = StarAgent.of(given.run, mode=mode)
    simulator.set_agent(agent)
    outputs = simulator.run_simulation(enable_threading=True, max_workers=4)
    results, errors = simulator.evaluate()
    assert not errors, errors
    ranks = []
    for output, truth in zip(outputs, simulator.groundtruth_data, strict=True):
        assert sorted(output["output"]) == sorted(output["task"]["candidate_list"]), output
        ranks.append(output["output"].index(truth["ground truth"]) + 1)
    theirs, ours = results["metrics"], summary(ranks)
    print(f"{mode}: {len(ranks)} valid rankings of {len(outputs)} tasks; {agent.summary()}")
    for name, key in (
        ("top_1_hit_rate", "hr@1"),
        ("top_3_hit_rate", "hr@3"),
        ("top_5_hit_rate", "hr@5"),
        ("average_hit_rate", "avg_hr"),
    ):
        print(f"  {key}: theirs {theirs[name]:.4f}, ours {ours[key]:.4f}")
        assert np.isclose(theirs[name], ours[key], rtol=0, atol=1e-12)


def _small(folder: Path) -> tuple[Path, Path, Path, Path]:
    """The tests' small copy of the layout, and the smallest run on it."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests import challenge

    reviews = challenge.reviews_of()
    data, tasks, truths = folder / "data", folder / "tasks", folder / "groundtruth"
    challenge.write_data(data, reviews)
    challenge.write_tasks(tasks, challenge.tasks_of(reviews), truths)
    for path in tasks.iterdir():  # the package reads no task without a place
        challenge.edit(path, loc=[-1, -1])
    student = StudentConfig(
        nano=NanoConfig(width=32, intermediate=32, heads=2),
        sft=SFTConfig(steps=4, fast_batch=8, think_batch=2),
        grpo=GRPOConfig(steps=4, batch=8, group=8, tasks_per_user=1),
    )
    source = DataConfig(source="agentsociety", folder=data, tasks=tasks, draws=1)
    config = RunConfig(data=source, teacher=TeacherConfig(tasks_per_user=1, runs=2), student=student)
    with Pipeline.open(folder / "run", config, announce=print) as pipeline:
        pipeline.distill()
    return data, tasks, truths, folder / "run"


if __name__ == "__main__":
    main()
