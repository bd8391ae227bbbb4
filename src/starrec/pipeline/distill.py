"""The `distill` step: one compact model learns from the kept runs (SFT), then from its own attempts (GRPO).

The student after each stage is saved, so that the gain of GRPO can be measured. A third stage, GRPO over whole
traces of think mode, is there for whom think mode is worth its time (`[student.exploration]`).
"""

from __future__ import annotations

from typing import Any, Final, Literal

from starrec.engines import Workers
from starrec.errors import DataError, RunError
from starrec.pipeline.fingerprints import distill_inputs
from starrec.pipeline.language_model import distill_language_model, record, stage_summary
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import kept_runs, unfiltered_runs
from starrec.pipeline.training import Training
from starrec.runs import Product
from starrec.student import Star, build_nano, build_tokenizer
from starrec.trajectories import linear

_TOKENIZER_RUNS: Final = 2000
"""Trajectories from which the tokenizer learns phrases."""


def distill(session: Session, prepared: Prepared, tasks: Tasks, taught: dict[str, Any]) -> dict[str, Any]:
    """Train the student; a record of each stage, with that of teaching (`taught`) among them.

    Raises:
        RunError: the teacher's runs are not complete, or a checkpoint is corrupt.
        DataError: there are no validation users, or none of the teacher's runs can be learned from.
    """
    config = session.config.student
    product = student_product(session, prepared)
    session.run.use(product)
    if product.done:
        session.announce("distill: done before")
        return {"teach": taught, **product.facts["stages"]}
    _require_validation(tasks)
    session.begins("distill")
    if config.base != "nano":
        return {"teach": taught, **distill_language_model(session, prepared, tasks, taught, product)}
    with Workers(prepared.world) as workers:
        kept = kept_runs(session, prepared, tasks)
        tokenizer = build_tokenizer(map(linear, kept[:_TOKENIZER_RUNS]))
        model = build_nano(tokenizer, config.nano, config.seed)
        parameters = sum(weight.numel() for weight in model.parameters())
        session.announce(f"distill: nano student, {parameters:,} parameters, {len(tokenizer):,} tokens")
        star = Star(model, tokenizer, prepared.world)
        training = Training.of(session, tasks, workers, star, product)
        sft = training.supervise("sft", kept, "SFT")
        product.publish("sft", star.save)
        session.announce(stage_summary("SFT", sft))
        n_kept = len(kept)
        del kept  # hundreds of megabytes
        practised = training.practised(unfiltered_runs(session, prepared, tasks))
        positions = tasks.practice
        grpo = training.reinforce("grpo", positions, practised, "GRPO")
        session.announce(stage_summary("GRPO", grpo))
        explored = None
        if config.exploration.steps:
            product.publish("grpo", star.save)
            explored = training.explore("exploration", positions, practised, "GRPO of traces")
            session.announce(stage_summary("GRPO of traces", explored))
        product.publish("star", star.save)
    attempts = config.grpo.steps * config.grpo.batch
    group = config.grpo.group if config.grpo.gradient == "sampled" else 1
    seen = min(len(positions), attempts) + len(practised)
    curves = {"sft": sft.curve, "grpo": grpo.curve}
    stages: dict[str, Any] = {
        "sft": record(sft, tasks=n_kept, runs=taught["runs"], kept=taught["kept"]),
        "grpo": record(
            grpo,
            tasks=seen,
            runs=attempts * group,
            kept=seen,
        ),
        "curves": curves,
    }
    if explored is not None:
        tried = config.exploration.steps * config.exploration.tasks
        seen = min(len(positions), tried)
        runs = tried * config.exploration.group
        stages["exploration"] = record(explored, tasks=seen, runs=runs, kept=seen)
        curves["exploration"] = explored.curve
    current = session.run.current("data")
    product.complete(stages=stages, data=current.fingerprint if current else None)
    for name in ("sft", "grpo", "exploration"):
        product.path(f"{name}.checkpoint").unlink(missing_ok=True)
    return {"teach": taught, **stages}


def _require_validation(tasks: Tasks) -> None:
    uses: dict[Literal["A", "B"], str] = {"A": "decides which weights are kept", "B": "chooses between systems"}
    for half, use in uses.items():
        if not tasks.validation(half)[0]:
            raise DataError(
                f"There is no user in validation half {half}, which {use}. Users with a validation item are "
                "halved by hash: add some, in a split of your own by marking interactions as validation "
                "(`--split-column`) or with `--validation-interactions`."
            )


def student_product(session: Session, prepared: Prepared) -> Product:
    """The product that holds, or will hold, the student of this configuration.

    Raises:
        RunError: the teacher's runs are not complete.
    """
    taught = session.run.current("teach")
    if taught is None:
        raise RunError("The teacher's runs are not complete. Run `starrec teach` for this run.")
    return session.run.product("distill", distill_inputs(session.config, prepared.dataset, taught.fingerprint))
