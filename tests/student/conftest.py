"""A student that has learned a few of the teacher's runs, by the real first stage."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.student import (
    GRPOConfig,
    Labelled,
    NanoConfig,
    SFTConfig,
    Stage,
    Star,
    StudentConfig,
    build_nano,
    gather_tasks,
    make_samples,
    supervise,
)

LEARNED = 6


@pytest.fixture(scope="session")
def labelled(world, lessons):
    """The learned tasks in fast form, with the row that the teacher's run put first."""
    tasks, _, runs = lessons
    columns = np.array([run.labels.index(run.ranking[0]) for run in runs[:LEARNED]])
    found = gather_tasks(world, tasks[:LEARNED])
    return Labelled(found, found.rows_of(columns), np.ones(LEARNED, dtype=np.float32))


@pytest.fixture(scope="session")
def stage(tokenizer, labelled):
    """A stage of training by model, checkpoint and what is called with its progress."""
    config = StudentConfig(
        evaluate_every=50,
        nano=NanoConfig(width=64, intermediate=64, heads=2, context=1024),
        sft=SFTConfig(steps=150, learning_rate=8e-3, fast_batch=6, think_batch=3),
        grpo=GRPOConfig(steps=8, learning_rate=2e-3, batch=4, group=8, replay_every=4),
    )

    def stage(model, checkpoint, report=lambda progress: None, **options):
        return Stage(model, tokenizer, config, labelled, checkpoint, "the inputs", report, **options)

    return stage


@pytest.fixture(scope="session")
def samples(tokenizer, lessons):
    """Of the learned runs, as if what each put first were its target."""
    return make_samples(tokenizer, [replace(run, outcome=1) for run in lessons[2][:LEARNED]], 1024)


@pytest.fixture(scope="session")
def taught(stage, tokenizer, world, labelled, lessons, samples, tmp_path_factory):
    """The trained student, and how its training went."""
    model = build_nano(tokenizer, NanoConfig(width=64, intermediate=64, heads=2, context=1024), 1)
    columns = np.array([[run.labels.index(label) for label in run.ranking] for run in lessons[2][:LEARNED]])
    checkpoint = tmp_path_factory.mktemp("sft") / "checkpoint"
    progress = supervise(stage(model, checkpoint), labelled.tasks, labelled.tasks.rows_of(columns), samples)
    return Star(model, tokenizer, world), progress
