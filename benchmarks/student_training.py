"""What the student's training is made of, each part beside what it could be: validation avg_hr, never test.

    .venv/bin/python benchmarks/student_training.py objectives [--run runs/demo] [--steps 2400]
    .venv/bin/python benchmarks/student_training.py numbers [--run runs/demo] [--without score ...]
    .venv/bin/python benchmarks/student_training.py copying [--run runs/demo]

Nothing is written into the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from transformers import LlamaForCausalLM

from copied_run import copied_run
from record import keep
from starrec.engines import Workers
from starrec.pipeline.practice import Practice
from starrec.pipeline.tasks import Tasks, reopen
from starrec.pipeline.teach import kept_runs
from starrec.pipeline.training import Training, labelled
from starrec.runs import current_product
from starrec.student import (
    Labelled,
    Objective,
    Stage,
    Star,
    StudentConfig,
    build_nano,
    make_samples,
    reinforce,
)
from starrec.student.config import GRPOConfig
from starrec.student.grpo import PLACES
from starrec.student.rows import OF_NUMBER, OF_SIGNAL
from starrec.trajectories import LABEL, Trajectory

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

_Run = Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")]
_Rate = Annotated[float, typer.Option(help="Peak learning rate.")]
_DEMO: Final = Path("runs/demo")
_RATE: Final = GRPOConfig().learning_rate
_SEEDS: Final = (0, 1, 2)
_MIX: Final = (3, 4, 3)
_UNSEEN: Final = 200
"""Runs that are not learned."""
_NUMBER: Final = re.compile(r"[ Ġ]#\d+")
_STRATIFIED: Final = "tasks weighted 3:4:3"


def _stratified(practice: Callable[[int], Labelled], before: Star) -> Callable[[int], Labelled]:
    """Practice in which easy, medium and hard tasks weigh 3:4:3 (STAR, arXiv 2602.09829), whatever their share:
    those whose target star_sft ranks first, among the first five, below."""
    counts = np.zeros(len(_MIX))

    def weighted(step: int) -> Labelled:
        batch = practice(step)
        scores = before.fast.scores(batch.tasks)
        ranks = (scores >= np.take_along_axis(scores, batch.rows[:, None], axis=1)).sum(axis=1)
        stratum = np.digitize(ranks, (2, PLACES + 1))
        counts[:] += np.bincount(stratum, minlength=len(_MIX))
        weight = np.array(_MIX) / sum(_MIX) / np.maximum(counts / counts.sum(), 1e-3)
        return replace(batch, weights=(batch.weights * weight[stratum]).astype(np.float32))

    return weighted


def _silent(progress: object) -> None:
    """Training without a bar."""


def _opened(run: Path) -> tuple[Tasks, Path, list[Labelled]]:
    """The run's tasks, the folder of its student after stage 1, and the halves of validation."""
    student = current_product(run, "distill")
    if student is None:
        raise typer.BadParameter(f"{run} holds no finished student.")
    tasks = reopen(run)
    world = tasks.prepared.world
    world.graph.counts.ease()
    return tasks, student.path("sft"), [labelled(world, *tasks.validation(half)) for half in ("A", "B")]


def _fast_mode_alone(
    star: Star,
    config: StudentConfig,
    halves: Sequence[Labelled],
    practice: Callable[[int], Labelled],
    name: str,
    objective: Objective = "reward",
) -> dict[str, Any]:
    """Stage 2 without replay: half A stops, and what half B has then."""
    half_a, half_b = halves
    with TemporaryDirectory() as scratch:
        stage = Stage(
            star.model,
            star.tokenizer,
            config,
            half_a,
            Path(scratch) / "checkpoint",
            name,
            _silent,
            checkpoint_seconds=float("inf"),
        )
        progress = reinforce(stage, practice, [], objective)
    record = {
        "half_a": progress.best,
        "best_step": progress.best_step,
        "half_b": replace(stage, validation=half_b).evaluate(),
        "seconds": progress.seconds,
    }
    print(name, record, flush=True)
    return record


def _print_halves(found: dict[str, list[dict[str, Any]]]) -> None:
    for name, of in found.items():
        print(f"{name:<40} half A {_mean(of, 'half_a'):.4f}  half B {_mean(of, 'half_b'):.4f}")


@app.command()
def objectives(
    run: _Run = _DEMO,
    steps: Annotated[int, typer.Option(min=1)] = 2400,
    rate: _Rate = _RATE,
) -> None:
    """Fast mode alone after `star_sft`, by what stage 2 minimises; half A stops, half B is compared."""
    tasks, sft, halves = _opened(run)
    world = tasks.prepared.world
    both = "the same and half the cross-entropy"
    tried: dict[str, tuple[Objective, dict[str, Any]]] = {
        "expected reward, closed form": ("reward", {"gradient": "exact", "likelihood": 0.0}),
        both: ("reward", {"gradient": "exact", "likelihood": 0.5}),
        f"{both}, {_STRATIFIED}": ("reward", {"gradient": "exact", "likelihood": 0.5}),
        "sampled rankings (GRPO)": ("reward", {"gradient": "sampled", "likelihood": 0.0}),
        "cross-entropy of the target": ("cross_entropy", {}),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in tried}
    with Workers(world) as workers:
        for seed in _SEEDS:
            for name, (objective, settings) in tried.items():
                star = Star.load(sft, world)
                config = tasks.config.student
                grpo = config.grpo.model_copy(update={"steps": steps, "learning_rate": rate, **settings})
                config = config.model_copy(update={"grpo": grpo, "seed": seed})
                practice: Callable[[int], Labelled] = Practice(tasks, workers, config, tasks.practice)
                if name.endswith(_STRATIFIED):
                    practice = _stratified(practice, Star.load(sft, world))
                title = f"{name} {seed}"
                found[name].append(_fast_mode_alone(star, config, halves, practice, title, objective))
    _print_halves(found)
    keep("student_objectives", {"steps": steps, "learning_rate": rate, "seeds": _SEEDS, "validation": found})


@app.command()
def numbers(
    run: _Run = _DEMO,
    without: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(OF_SIGNAL)}; again for another. All.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = 2400,
    rate: _Rate = _RATE,
) -> None:
    """Fast mode alone from new weights, on rows that lack one of the numbers which they say of each signal;
    half A stops, half B is compared."""
    tasks, sft, halves = _opened(run)
    world = tasks.prepared.world
    first = Star.load(sft, world)
    found: dict[str, list[dict[str, Any]]] = {"all": [], **{f"no {what}": [] for what in without or OF_SIGNAL}}
    with Workers(world) as workers:
        for seed in _SEEDS:
            for name, of in found.items():
                config = tasks.config.student
                grpo = config.grpo.model_copy(update={"steps": steps, "learning_rate": rate})
                config = config.model_copy(update={"grpo": grpo, "seed": seed})
                star = Star(build_nano(first.tokenizer, config.nano, seed), first.tokenizer, world)
                star.model.reader.standardise_as(first.model.reader)
                what = name.removeprefix("no ")
                practice = Practice(tasks, workers, config, tasks.practice)
                of.append(
                    _fast_mode_alone(
                        star,
                        config,
                        [_lacking(what, half) for half in halves],
                        partial(_practised_lacking, what, practice),
                        f"{name} {seed}",
                    )
                )
    _print_halves(found)
    name = "student_numbers" + ("" if rate == _RATE else f"_rate_{rate:g}")
    keep(name, {"steps": steps, "learning_rate": rate, "seeds": _SEEDS, "validation": found})


def _lacking(what: str, tasks: Labelled) -> Labelled:
    """The tasks without this number of each signal; as they are where `what` is none of them."""
    if what not in OF_NUMBER:
        return tasks
    left = tasks.tasks.numbers.copy()
    left[:, :, OF_NUMBER[what]] = 0
    return replace(tasks, tasks=replace(tasks.tasks, numbers=left))


def _practised_lacking(what: str, practice: Callable[[int], Labelled], step: int) -> Labelled:
    return _lacking(what, practice(step))


@torch.inference_mode()
def _copied(star: Star, runs: Sequence[Trajectory]) -> dict[str, float]:
    """Of the labels, and of the numbers of facts, that agents wrote in these runs, the share that the student
    would have written next."""
    right: dict[str, list[bool]] = {"labels": [], "numbers": []}
    words = star.tokenizer.convert_ids_to_tokens(list(range(len(star.tokenizer))))
    kinds = {at: "labels" for at, word in enumerate(words) if LABEL.fullmatch(word)}
    kinds |= {at: "numbers" for at, word in enumerate(words) if _NUMBER.fullmatch(word)}
    for sample in make_samples(star.tokenizer, runs, star.model.context):
        likeliest = star.model.lm(torch.from_numpy(sample.ids)[None]).logits[0, :-1].argmax(dim=1).numpy()
        for at in np.flatnonzero(sample.learn[1:]).tolist():
            if (kind := kinds.get(int(sample.ids[at + 1]))) is not None:
                right[kind].append(likeliest[at] == sample.ids[at + 1])
    return {kind: float(np.mean(of)) for kind, of in right.items()}


@app.command()
def copying(
    run: _Run = _DEMO,
    seeds: Annotated[int, typer.Option(min=1, max=len(_SEEDS), help="Training seeds, from 0.")] = len(_SEEDS),
) -> None:
    """Stage 1 with and without the heads that start as look-back and copy heads (`nano`): the loss of the text
    of traces at its end, which copies every figure from an answer; the labels and numbers of facts that are
    copied as agents did, in runs that were not learned; and fast mode on half B."""
    tasks = reopen(run)
    world = tasks.prepared.world
    world.graph.counts.ease()
    half_b = labelled(world, *tasks.validation("B"))
    found: dict[str, list[dict[str, Any]]] = {"set": [], "random": []}
    with TemporaryDirectory() as scratch, copied_run(run, tasks) as (session, workers, student):
        tokenizer = Star.load(student.path("star"), world).tokenizer
        kept = kept_runs(session, tasks.prepared, tasks)
        kept, unseen = kept[_UNSEEN:], kept[:_UNSEEN]
        for seed in _SEEDS[:seeds]:
            for name, of in found.items():
                config = tasks.config.student.model_copy(update={"seed": seed})
                model = build_nano(tokenizer, config.nano, seed)
                if name == "random":
                    model.lm.load_state_dict(LlamaForCausalLM(model.lm.config).state_dict())
                star = Star(model, tokenizer, world)
                training = Training.of(session, tasks, workers, star, student, config)
                progress = training.supervise(f"copying-{name}-{seed}", kept, name)
                stage = Stage(model, tokenizer, config, half_b, Path(scratch) / "checkpoint", name, _silent)
                last = progress.curve[-1]
                of.append(
                    {
                        "text_loss": last["think"],
                        "after_trace_loss": last["think_ranking"],
                        "fast_half_b": stage.evaluate(),
                        **_copied(star, unseen),
                        "seconds": progress.seconds,
                    }
                )
                print(name, seed, of[-1], flush=True)
    for name, of in found.items():
        print(
            f"{name:<8} text loss {_mean(of, 'text_loss'):.3f}  labels {_mean(of, 'labels'):.3f}  numbers "
            f"{_mean(of, 'numbers'):.3f}  fast mode, half B {_mean(of, 'fast_half_b'):.4f}"
        )
    keep(
        "student_copying",
        {
            "seeds": _SEEDS[:seeds],
            "unseen_runs": _UNSEEN,
            "steps": tasks.config.student.sft.steps,
            "heads": found,
        },
    )


def _mean(of: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([each[name] for each in of]))


if __name__ == "__main__":
    app()
