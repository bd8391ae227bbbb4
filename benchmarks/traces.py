"""What traces are worth, one command a row.

    .venv/bin/python benchmarks/traces.py ROW --run runs/demo

`citations`: facts that the tools stated in the embedded teacher's runs over training tasks, each counted again
from the training sequences without the task's user (`plain_counts`, which shares no code with the evidence).
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plain_counts import Catalogue, PlainCounts, counted
from record import keep
from starrec.data import RankingTask
from starrec.hashing import text_keys
from starrec.pipeline.tasks import reopen
from starrec.signals import Fact, FactNumbers, recount
from starrec.teacher.teach import explore
from starrec.tools import World
from starrec.trajectories import Trajectory

_FIGURES: Final = ("both", "base", "total", "population", "weight")
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def stated(world: World, task: RankingTask, trajectory: Trajectory) -> list[Fact]:
    """The facts of a run, each of which stands in an answer of its tools as it is stated."""
    toolbox, facts = world.toolbox(task), FactNumbers()
    answers = " ".join(message.content for message in trajectory.messages if message.role == "tool")
    for message in trajectory.messages:
        if message.tool_call is not None:
            toolbox.call(message.tool_call.name, message.tool_call.arguments, facts)
    for number, fact in enumerate(facts, start=1):
        assert f"#{number} {world.sentence(fact)}" in answers
    return list(facts)


def sample(facts: list[tuple[RankingTask, Fact]], n: int, seed: int) -> list[tuple[RankingTask, Fact]]:
    """Of each kind as many facts, as far as there are; which ones a hash decides."""
    keys = text_keys([f"{task.task_id} {fact}" for task, fact in facts], seed, "citations")
    place: Counter[str] = Counter()
    ranked = []
    for at in keys.argsort().tolist():
        kind = facts[at][1].kind
        ranked.append((place[kind], at))
        place[kind] += 1
    return [facts[at] for _, at in sorted(ranked)[:n]]


@app.command()
def citations(
    run: Annotated[Path, typer.Option("--run", help="Folder of a run with data.")] = Path("runs/demo"),
    facts: Annotated[int, typer.Option(help="Facts that are counted again.")] = 2000,
    users: Annotated[int, typer.Option(help="Users whose training tasks the teacher is asked.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
) -> None:
    """Facts of the teacher's runs counted again by other code, the user's rows removed (bar: 0 wrong)."""
    started = time.monotonic()
    opened = reopen(run)
    prepared, settings = opened.prepared, opened.config.signals
    assert (settings.history_cap, settings.ease_items, settings.ridge) == (1000, 3000, 500.0)
    tasks, _ = opened.taught
    chosen = dict.fromkeys(task.user for task in tasks)
    keys = dict(zip(chosen, text_keys(map(str, chosen), seed, "citing users").tolist(), strict=True))
    first = set(sorted(chosen, key=keys.__getitem__)[:users])
    asked = [task for task in tasks if task.user in first]
    runs = explore(prepared.world, opened.config.teacher.seed, [(task, [0, 1, 2, 3]) for task in asked])
    of_task = {task.task_id: task for task in asked}
    found = list(
        dict.fromkeys(
            (made.task_id, fact)
            for made in runs
            for fact in stated(prepared.world, of_task[made.task_id], made)
        )
    )
    drawn = sample([(of_task[task_id], fact) for task_id, fact in found], facts, seed)
    catalogue = Catalogue(prepared.dataset)
    wrong: list[dict[str, Any]] = []
    recounted_wrong = 0
    for user in sorted({task.user for task, _ in drawn}):
        counts = PlainCounts(prepared.split.train, prepared.dataset.n_items, user)
        for task, fact in drawn:
            if task.user != user:
                continue
            recounted_wrong += recount(fact, prepared.world.toolbox(task).view) != fact
            right = counted(fact, counts, catalogue, task)
            held = {name: getattr(fact, name) for name in _FIGURES}
            if held != {**dict.fromkeys(_FIGURES, 0), **right}:
                wrong.append({"task": task.task_id, "fact": str(fact), "counted": right})
    content = {
        "runs": len(runs),
        "tasks": len(asked),
        "users": len(first),
        "facts_stated": len(found),
        "facts": len(drawn),
        "kinds": dict(sorted(Counter(fact.kind for _, fact in drawn).items())),
        "wrong": len(wrong),
        "recounted_wrong": recounted_wrong,
        "examples": wrong[:10],
        "seconds": time.monotonic() - started,
    }
    keep("traces_citations", content, {"citations_wrong": len(wrong)})


@app.callback()
def _traces() -> None:
    """A row a command."""


if __name__ == "__main__":
    app()
