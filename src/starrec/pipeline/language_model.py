"""The `distill` step where the student is a pretrained language model: both stages in fast mode, and those on
traces around them where the settings ask for them (`traces`).

It learns from the same runs and practises on the same positions as nano.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from starrec.engines import Workers
from starrec.pipeline.practice import Practice
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import kept_runs
from starrec.pipeline.traces import PARTS, REINFORCED, SUPERVISED, TraceStages, advancing
from starrec.pipeline.training import labelled, ranked_as_in_runs
from starrec.runs import Product
from starrec.student import FastMode, LanguageStar, Progress


def distill_language_model(
    session: Session, prepared: Prepared, tasks: Tasks, taught: dict[str, Any], product: Product
) -> dict[str, Any]:
    """Train the student, complete its product, and give the record of each stage.

    Raises:
        StarrecError: the base cannot be found or read.
        RunError: training diverges, or a checkpoint is corrupt.
        StarrecError: as `TraceStages`.
        DataError: none of the teacher's runs can be learned from.
    """
    # Imports trl, which is needed here alone.
    from starrec.student.lm.bases import load_base
    from starrec.student.lm.clock import LanguageStage
    from starrec.student.lm.listwise import reinforce_language_model, supervise_language_model
    from starrec.student.lm.model import LanguageModel

    config, world = session.config.student, prepared.world
    base = load_base(config)
    model = LanguageModel.of(base, world, config)
    trained = sum(weight.numel() for weight in model.lm.parameters() if weight.requires_grad)
    session.announce(
        f"distill: {base.name}, {base.model.num_parameters():,} parameters, {trained:,} of them trained, "
        f"{'bfloat16' if model.bfloat16 else 'float32'} on {model.device}"
    )
    traces = config.lm.traces
    thinking = TraceStages(session, product, LanguageStar(model, world)) if traces.trained else None
    star = FastMode(model, world) if thinking is None else thinking.star
    validation = labelled(world, *tasks.validation("A"))

    def stage(name: str, advance: Callable[[int], None]) -> LanguageStage:
        shown = advancing(advance)
        return LanguageStage(
            model,
            config,
            validation,
            product.path(f"{name}.checkpoints"),
            f"{product.fingerprint}/{name}/{base.digest}",
            lambda _, done: shown(done),
            lambda line: session.announce(f"distill: {name} {line}"),
        )

    with Workers(world) as workers:
        kept = kept_runs(session, prepared, tasks)
        on_traces = {}
        if thinking is not None and traces.sft.epochs:
            on_traces[SUPERVISED] = thinking.supervise(kept, taught["runs"])
        with session.bar("SFT", PARTS) as advance:
            sft = supervise_language_model(stage("sft", advance), *ranked_as_in_runs(world, tasks, kept))
        product.publish("sft", star.save)
        session.announce(stage_summary("SFT", sft))
        grpo_config = config.grpo.model_copy(update={"batch": config.lm.grpo.batch})
        practised = config.model_copy(update={"grpo": grpo_config})
        # A hundred rows are five times the work of twenty.
        practice = Practice(tasks, workers, practised, tasks.practice, retrieved=False)
        with session.bar("GRPO", PARTS) as advance:
            grpo = reinforce_language_model(stage("grpo", advance), practice)
        session.announce(stage_summary("GRPO", grpo))
        if thinking is not None and traces.grpo.steps:
            on_traces[REINFORCED] = thinking.reinforce(practice)
        product.publish("star", star.save)
    attempts = grpo.step * config.lm.grpo.batch
    group = config.grpo.group if config.grpo.gradient == "sampled" else 1
    seen = min(len(tasks.practice), attempts)
    curves = {"sft": sft.curve, "grpo": grpo.curve}
    curves |= {name: found.pop("curve") for name, found in on_traces.items()}
    stages = {
        "sft": record(sft, tasks=len(kept), runs=taught["runs"], kept=taught["kept"]),
        "grpo": record(grpo, tasks=seen, runs=attempts * group, kept=seen),
        **on_traces,
        "curves": curves,
    }
    current = session.run.current("data")
    product.complete(stages=stages, data=current.fingerprint if current else None)
    for name in ("sft", "grpo"):
        shutil.rmtree(product.path(f"{name}.checkpoints"), ignore_errors=True)
    if thinking is not None:
        thinking.clear()
    return stages


def record(progress: Progress, **counts: object) -> dict[str, object]:
    """What results.json says of a stage of training."""
    return {
        **counts,
        "labels_seen": counts["tasks"],
        "seconds": progress.seconds,
        "validation_evaluations": progress.evaluations,
        "best_validation_avg_hr": progress.best,
        "best_step": progress.best_step,
    }


def stage_summary(name: str, progress: Progress) -> str:
    """What is said of a stage that has ended."""
    return (
        f"distill: {name} {progress.seconds:.0f} s, avg_hr {progress.best:.3f} on validation half A "
        f"(step {progress.best_step})"
    )
