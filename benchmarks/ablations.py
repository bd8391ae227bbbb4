"""STAR on nano without one of its parts, trained anew: what each is worth on the test users, one draw each.

    .venv/bin/python benchmarks/ablations.py [--run runs/demo] [--work FOLDER]

    no_cst             fast mode without collaborative signals, in training and when asked; traces keep theirs
    no_reflection      no run shows a reflection
    no_outcome_filter  one run of every taught task teaches, whether or not it put the target first
    no_sft             stage 2 from new weights; runs are replayed in it as ever
    no_grpo            stage 1 alone (`star_sft`)

Everything else is the run's: tokenizer, tasks, steps, seed; its own student is the whole. Stopped, this goes
on with the parts that are missing; nothing is written into the run, and nothing is chosen by what is printed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from copied_run import copied_run
from record import keep
from starrec.engines import Workers
from starrec.pipeline.practice import Practice
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks, reopen
from starrec.pipeline.teach import kept_runs, unfiltered_runs
from starrec.pipeline.training import Training, labelled, ranked_as_in_runs
from starrec.ranking import avg_hr, ratio_ci
from starrec.runs import Product
from starrec.student import (
    FAMILIES,
    READ,
    FastTasks,
    Labelled,
    Stage,
    Star,
    build_nano,
    reinforce,
    supervise,
    withhold,
)
from starrec.tools import World
from starrec.trajectories import Trajectory
from thinking import first_tasks, hits

_CST: Final = np.array(
    [any(signal in FAMILIES[name] for name in ("item_cf", "user_cf", "sequence", "ease")) for signal in READ]
)
"""Signals of the interaction graph."""
_BATCH: Final = 256


class Ablation(NamedTuple):
    """What is left out."""

    cst: bool = False
    reflection: bool = False
    outcome_filter: bool = False
    sft: bool = False
    grpo: bool = False


ABLATIONS: Final = {
    "no_cst": Ablation(cst=True),
    "no_reflection": Ablation(reflection=True),
    "no_outcome_filter": Ablation(outcome_filter=True),
    "no_sft": Ablation(sft=True),
    "no_grpo": Ablation(grpo=True),
}


class Trainer(NamedTuple):
    """What all ablations share."""

    session: Session
    workers: Workers[World]
    product: Product
    tasks: Tasks

    def train(self, name: str, ablation: Ablation) -> Star:
        """A student without this part."""
        world, config = self.tasks.prepared.world, self.tasks.config.student
        sft = Star.load(self.product.path("sft"), world)
        if ablation.grpo:
            return sft
        model = build_nano(sft.tokenizer, config.nano, config.seed)
        model.reader.standardise_as(sft.model.reader)
        star = Star(model, sft.tokenizer, world)
        training = Training.of(self.session, self.tasks, self.workers, star, self.product)
        kept, drawn = self._runs(ablation)
        hidden = _CST if ablation.cst else np.zeros(len(READ), dtype=np.bool_)
        if not ablation.sft:
            ranked, rows = ranked_as_in_runs(world, self.tasks, kept)
            stage = self._stage(star, f"{name}-sft", hidden)
            supervise(stage, _without(ranked, hidden), rows, training.samples(kept))
            star.trained()
            print(f"{name}: stage 1 done", flush=True)
        practice = Practice(self.tasks, self.workers, config, self.tasks.practice)
        stage = self._stage(star, f"{name}-grpo", hidden)
        every_run = self.tasks.config.data.negatives + 1
        practised = training.practised(drawn, every_run if ablation.outcome_filter else None)
        reinforce(stage, lambda step: _labelled_without(practice(step), hidden), practised)
        star.trained()
        return star

    def _runs(self, ablation: Ablation) -> tuple[list[Trajectory], list[Trajectory]]:
        """What stage 1 learns from, and what stage 2 replays."""
        drawn = unfiltered_runs(self.session, self.tasks.prepared, self.tasks)
        if ablation.outcome_filter:
            return drawn, drawn
        kept = kept_runs(self.session, self.tasks.prepared, self.tasks)
        if ablation.reflection:
            kept, drawn = ([_unreflected(run) for run in runs] for runs in (kept, drawn))
        return kept, drawn

    def _stage(self, star: Star, name: str, hidden: NDArray[np.bool_]) -> Stage:
        half_a = _labelled_without(labelled(star.world, *self.tasks.validation("A")), hidden)
        checkpoint = self.product.path(f"{name}.checkpoint")
        return Stage(
            star.model,
            star.tokenizer,
            self.tasks.config.student,
            half_a,
            checkpoint,
            name,
            lambda progress: None,
        )


def _without(tasks: FastTasks, hidden: NDArray[np.bool_]) -> FastTasks:
    return replace(tasks, numbers=withhold(tasks.numbers, np.tile(hidden, (len(tasks), 1))))


def _labelled_without(tasks: Labelled, hidden: NDArray[np.bool_]) -> Labelled:
    return replace(tasks, tasks=_without(tasks.tasks, hidden))


def _unreflected(run: Trajectory) -> Trajectory:
    """The run without what its reflector wrote."""
    left = (message for message in run.messages if message.agent != "reflector" or message.role == "tool")
    return replace(run, messages=tuple(left))


@torch.inference_mode()
def fast_hits(star: Star, tasks: Labelled) -> NDArray[np.float64]:
    """`(n,)` of fast mode, ties against the target."""
    ranks = []
    for at in range(0, len(tasks), _BATCH):
        part = tasks[np.arange(at, min(at + _BATCH, len(tasks)))]
        scores = star.model.candidate_scores(
            torch.from_numpy(part.tasks.numbers), torch.from_numpy(part.tasks.present)
        )
        ranks.append(part.ranks(scores.numpy()))
    return avg_hr(np.concatenate(ranks))


def main(
    run: Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")] = Path("runs/demo"),
    work: Annotated[Path | None, typer.Option(help="Where what is done is kept until all is.")] = None,
    users: Annotated[int, typer.Option(help="Test users, one draw of candidates each.")] = 943,
) -> None:
    """Train each ablation and compare it with the whole."""
    opened = reopen(run)
    world = opened.prepared.world
    world.graph.counts.ease()
    found, targets = opened.test
    asked = first_tasks(found, users)
    shown = labelled(world, asked, targets)
    measured: dict[str, dict[str, NDArray[np.float64]]] = {}
    with copied_run(run, opened) as (session, workers, student):
        folder = (work or Path(gettempdir()) / "starrec-ablations") / student.fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(session, workers, student, opened)
        for name, ablation in {"whole": None, **ABLATIONS}.items():
            done = folder / f"{name}-{users}.npz"
            if not done.exists():
                star = (
                    Star.load(student.path("star"), world)
                    if ablation is None
                    else trainer.train(name, ablation)
                )
                hidden = ablation is not None and ablation.cst
                fast = fast_hits(star, _labelled_without(shown, _CST) if hidden else shown)
                modes = {"star": fast}
                if not hidden:
                    thoughts = star.think_many(asked)
                    modes["star_think"] = hits((thought.ranking for thought in thoughts), asked, targets)
                np.savez(done, **modes)  # type: ignore[arg-type]
            with np.load(done) as kept:
                measured[name] = dict(kept)
            print(name, {mode: round(float(of.mean()), 4) for mode, of in measured[name].items()}, flush=True)
    owners = [task.user_id for task in asked]
    rows: dict[str, Any] = {}
    for name, modes in measured.items():
        rows[name] = {}
        for mode, of in modes.items():
            compared = ratio_ci(of, measured["whole"][mode], owners, seed=0)
            rows[name][mode] = {
                "avg_hr": float(of.mean()),
                "over_whole": [compared.ratio, compared.lo, compared.hi],
            }
    keep("ablations", {"users": len(asked), "seed": opened.config.student.seed, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
