"""GRPO over whole traces of think mode (stage 3), beside the student that it begins with.

    .venv/bin/python benchmarks/exploration.py nano --run runs/demo [--steps 60] [--test]

Settings are chosen on validation half B; `--test` looks at the 943 test users once, with what was chosen. Shown
of the student before and after: avg_hr of fast and of think mode; and of traces that nothing constrains
(greedy), the share that parse and the share of citations that hold. Nothing is written into the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from copied_run import copied_run
from record import keep
from starrec.data import RankingTask, Targets
from starrec.pipeline.tasks import reopen
from starrec.pipeline.teach import unfiltered_runs
from starrec.pipeline.training import Training
from starrec.ranking import ratio_ci
from starrec.student import Star, sample_rollouts
from starrec.trajectories import target_columns
from thinking import first_tasks, hits

_TOGETHER: Final = 64
app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def nano(
    run: Annotated[Path, typer.Option("--run", help="A finished run, such as the demo.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1)] = 60,
    tasks: Annotated[int, typer.Option(min=1, help="Tasks a step.")] = 16,
    group: Annotated[int, typer.Option(min=2, help="Traces of each task.")] = 8,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-4,
    temperature: Annotated[float, typer.Option(help="Of sampling.")] = 1.0,
    citations: Annotated[float, typer.Option(help="Weight of citations in the reward.")] = 0.5,
    users: Annotated[int, typer.Option(help="Users that are looked at, one draw each.")] = 943,
    test: Annotated[bool, typer.Option("--test", help="Look at test and keep the result.")] = False,
) -> None:
    """Train the run's student in stage 3."""
    opened = reopen(run)
    world = opened.prepared.world
    world.graph.counts.ease()
    settings = {
        "steps": steps,
        "tasks": tasks,
        "group": group,
        "learning_rate": rate,
        "temperature": temperature,
        "citations": citations,
    }
    exploration = opened.config.student.exploration.model_copy(update=settings)
    config = opened.config.student.model_copy(update={"exploration": exploration})
    found, targets = opened.test if test else opened.validation("B")
    looked = first_tasks(found, users)
    with copied_run(run, opened) as (session, workers, student):
        star = Star.load(student.path("star"), world)
        before = _measure(star, looked, targets)
        print({name: value for name, value in before.items() if name != "hits"}, flush=True)
        training = Training.of(session, opened, workers, star, student, config)
        samples = training.practised(unfiltered_runs(session, opened.prepared, opened))
        progress = training.explore("exploration", opened.practice, samples, "GRPO of traces")
        for point in progress.curve:
            print({name: round(value, 4) for name, value in point.items()}, flush=True)
        after = _measure(star, looked, targets)
    compared = {
        "think_after_over_before": (after["hits"]["star_think"], before["hits"]["star_think"]),
        "star_after_over_before": (after["hits"]["star"], before["hits"]["star"]),
        "think_over_star": (after["hits"]["star_think"], after["hits"]["star"]),
    }
    owners = [task.user_id for task in looked]
    ratios = {name: ratio_ci(a, b, owners, seed=0) for name, (a, b) in compared.items()}
    content: dict[str, Any] = {
        "settings": settings,
        "users": len(looked),
        "split": "test" if test else "validation half B",
        "before": {name: value for name, value in before.items() if name != "hits"},
        "after": {name: value for name, value in after.items() if name != "hits"},
        "ratios": {name: [found.ratio, found.lo, found.hi] for name, found in ratios.items()},
        "best_step": progress.best_step,
        "curve": progress.curve,
        "seconds": progress.seconds,
    }
    if not test:
        for name in ("before", "after", "ratios", "best_step", "seconds"):
            print(name, content[name])
        return
    bars = {
        "grpo_think_low": ratios["think_after_over_before"].lo,
        "think_over_star": ratios["think_over_star"].ratio,
        "free_citations": after["citations_hold"],
        "free_parse": after["parse"],
    }
    keep("exploration_nano", content, bars)


def _measure(star: Star, tasks: Sequence[RankingTask], targets: Targets) -> dict[str, Any]:
    """avg_hr of both modes, and what unconstrained traces are."""
    fast = star.rank_many(tasks)
    thoughts = list(star.think_many(tasks))
    found = {
        "star": hits(fast, tasks, targets),
        "star_think": hits([thought.ranking for thought in thoughts], tasks, targets),
    }
    columns = target_columns(tasks, targets)
    free = [
        rollout
        for at in range(0, len(tasks), _TOGETHER)
        for (rollout,) in sample_rollouts(
            star,
            tasks[at : at + _TOGETHER],
            [columns[task.task_id] for task in tasks[at : at + _TOGETHER]],
            group=1,
            temperature=0,
            seed=0,
        )
    ]
    verdicts = [
        citation.verdict for rollout in free for of_text in rollout.cited for citation in of_text.citations
    ]
    uncited = sum(len(of_text.uncited) for rollout in free for of_text in rollout.cited)
    asked = [step.text for thought in thoughts for step in thought.steps if step.tag == "tool_call"]
    return {
        "hits": found,
        **{name: float(of.mean()) for name, of in found.items()},
        "parse": float(np.mean([rollout.thought is not None for rollout in free])),
        "citations_hold": verdicts.count("holds") / max(1, len(verdicts) + uncited),
        "citations_a_trace": len(verdicts) / len(free),
        "fast_orders_a_trace": sum("fast_order" in call for call in asked) / len(thoughts),
        "calls_a_trace": len(asked) / len(thoughts),
    }


@app.callback()
def _rows() -> None:
    """A row a command."""


if __name__ == "__main__":
    app()
