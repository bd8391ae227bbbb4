"""What a trace of think mode is worth, on validation half B of MovieLens-100K: nothing is chosen on test.

    .venv/bin/python benchmarks/thinking.py turns --run runs/demo [--users 300]
    .venv/bin/python benchmarks/thinking.py batch --run runs/demo

`turns`: in every tool answer of a trace, the evidence of the student's first candidate and of another one drawn
by chance is exchanged: places in orders, facts, levels, and places in the student's own fast order. A ranking
that follows from the trace puts the other one first of the two then. The same with the fast order alone
exchanged, and with all but that. Beside it: avg_hr of think and fast mode on the same tasks, time, the share of
rankings whose first place is that of `replay` of their own text, and what traces ask.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from record import keep
from starrec.cores import cores
from starrec.data import RankingTask, Targets
from starrec.engines import Workers
from starrec.hashing import text_keys
from starrec.pipeline.tasks import Tasks, reopen
from starrec.ranking import Ranking, avg_hr, ratio_ci
from starrec.runs import current_product
from starrec.student import Star, Thought
from starrec.student.calls import FAST_SIGNAL
from starrec.teacher import rank_with_teacher, rank_with_v1
from starrec.teacher.replay import replay
from starrec.tools import Toolbox

_ROW: Final = re.compile(r"(⟦[^⟦⟧]*⟧)((?:‹[a-z_.]+=(?:\d+|none)›)+)(‹[A-Z]+›)")
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def exchange(toolbox: Toolbox, a: int, b: int) -> Callable[[str], str]:
    """An edit of tool answers: what they say of the candidates in columns a and b, exchanged."""
    names = {toolbox.labels[a]: toolbox.labels[b], toolbox.labels[b]: toolbox.labels[a]}
    mentions = toolbox.mentions(toolbox.task.candidates)
    titles = {mentions[a]: mentions[b], mentions[b]: mentions[a]}
    both = re.compile("|".join(map(re.escape, (*names, *titles))))

    def edit(answer: str) -> str:
        if (rows := _ROW.findall(answer)) and "".join(map("".join, rows)) == answer:
            # Rows stay where they are; what stands between mention and label changes places.
            levels = {label: found for _, found, label in rows}
            return "".join(mention + levels[names.get(label, label)] + label for mention, _, label in rows)
        return both.sub(lambda found: {**names, **titles}[found.group()], answer)

    return edit


def _is_fast_order(answer: str) -> bool:
    return answer.startswith(f"{FAST_SIGNAL} ")


_PARTS: Final[dict[str, Callable[[Callable[[str], str], str], str]]] = {
    "fast_order": lambda exchanged, answer: exchanged(answer) if _is_fast_order(answer) else answer,
    "all but fast_order": lambda exchanged, answer: answer if _is_fast_order(answer) else exchanged(answer),
    "everything": lambda exchanged, answer: exchanged(answer),
}
"""Of a tool's answer, with what exchanges two candidates in it."""


def measure(
    star: Star, tasks: Sequence[RankingTask], targets: Targets
) -> tuple[dict[str, Any], dict[str, float]]:
    """The figures of the row `turns`, and its bars."""
    started = time.perf_counter()
    fast = star.rank_many(tasks)
    thoughts, seconds = [], []
    for task in tasks:
        at = time.perf_counter()
        thoughts.append(star.think(task))
        seconds.append(time.perf_counter() - at)
    turned, replayed_turned, counted = Counter[str](), 0, 0
    for task, thought in zip(tasks, thoughts, strict=True):
        toolbox = star.world.toolbox(task)
        column = {item: at for at, item in enumerate(task.candidates.tolist())}
        drawn = int(text_keys([task.task_id], 0, "exchanged")[0] % np.uint64(len(column) - 1))
        first, other = (column[thought.ranking.items[place]] for place in (0, 1 + drawn))
        if (toolbox.evidence.levels[:, first] == toolbox.evidence.levels[:, other]).all():
            continue
        exchanged = exchange(toolbox, first, other)
        for what, edit in _PARTS.items():
            edited = star.think(task, edit=partial(edit, exchanged))
            places = edited.ranking.items.index
            turned[what] += places(int(task.candidates[other])) < places(int(task.candidates[first]))
        again = replay(edited.text)
        replayed_turned += again.index(toolbox.labels[other]) < again.index(toolbox.labels[first])
        counted += 1
    calls = Counter(name for thought in thoughts for name in _asked(thought))
    fast_hr, think_hr = (
        float(hits(ranked, tasks, targets).mean()) for ranked in (fast, [t.ranking for t in thoughts])
    )
    found = {
        "users": len(tasks),
        "fast_avg_hr": fast_hr,
        "think_avg_hr": think_hr,
        "think_over_fast": think_hr / fast_hr,
        "same_first_as_fast": _share(
            one.items[0] == two.ranking.items[0] for one, two in zip(fast, thoughts, strict=True)
        ),
        "first_of_replay": _share(_ranked(thought)[0] == replay(thought.text)[0] for thought in thoughts),
        "think_ms": dict(zip(("p50", "p95"), (np.percentile(seconds, [50, 95]) * 1000).tolist(), strict=True)),
        "tokens_written_p50": float(np.median([thought.tokens_written for thought in thoughts])),
        "tokens_read_p50": float(np.median([thought.tokens_read for thought in thoughts])),
        "repairs": Counter(repair for thought in thoughts for repair in thought.repairs),
        "calls_a_trace": {name: count / len(tasks) for name, count in calls.most_common()},
        "reflections_a_trace": sum(step.tag == "reflection" for t in thoughts for step in t.steps) / len(tasks),
        "exchanged": counted,
        "replay_turns": replayed_turned / counted,
        "turned_by": {what: turned[what] / counted for what in _PARTS},
        "seconds": time.perf_counter() - started,
    }
    return found, {"trace_turns": turned["everything"] / counted}


def first_tasks(tasks: Sequence[RankingTask], users: int) -> list[RankingTask]:
    """A task of each of the first users by hash."""
    of_user: dict[str, RankingTask] = {}
    for task in tasks:
        of_user.setdefault(task.user_id, task)
    keys = dict(zip(of_user, text_keys(of_user, 0, "traces").tolist(), strict=True))
    return [of_user[user] for user in sorted(of_user, key=keys.__getitem__)[:users]]


def _asked(thought: Thought) -> list[str]:
    return [step.text.split('"')[3] for step in thought.steps if step.tag == "tool_call"]


def _ranked(thought: Thought) -> list[str]:
    return re.findall("‹[A-Z]+›", thought.steps[-1].text)


def _share(found: Any) -> float:
    return float(np.mean(list(found)))


def hits(rankings: Iterable[Ranking], tasks: Sequence[RankingTask], targets: Targets) -> NDArray[np.float64]:
    """avg_hr of each ranking, `(n,)`."""
    ranks = [ranking.rank_of(targets[task.task_id]) for ranking, task in zip(rankings, tasks, strict=True)]
    return avg_hr(np.array(ranks))


@app.command()
def turns(
    run: Annotated[Path, typer.Option("--run", help="Folder of a run with a student.")] = Path("runs/demo"),
    users: Annotated[int, typer.Option(help="Users of validation half B.")] = 300,
) -> None:
    """Exchanged evidence of two candidates: their order turns (bar: .90)."""
    opened, star = _open(run)
    tasks, targets = opened.validation("B")
    keep("traces_turns", *measure(star, first_tasks(tasks, users), targets))


@app.command()
def think(
    run: Annotated[Path, typer.Option("--run", help="Folder of a run with a student.")] = Path("runs/demo"),
    users: Annotated[int, typer.Option(help="Test users, one draw of candidates each.")] = 943,
) -> None:
    """Think mode over fast mode (bar: 1.00) and over the frozen teacher (bar: 1.02) on test, the same tasks."""
    opened, star = _open(run)
    tasks, targets = opened.test
    tasks = first_tasks(tasks, users)
    with Workers(star.world) as workers:
        teachers = {
            "teacher": rank_with_teacher(workers, tasks, opened.config.teacher.seed),
            "teacher_v1": rank_with_v1(workers, tasks),
        }
    found = {
        "star": star.rank_many(tasks),
        "star_think": [thought.ranking for thought in star.think_many(tasks)],
        **teachers,
    }
    reached = {name: hits(rankings, tasks, targets) for name, rankings in found.items()}
    people = [task.user_id for task in tasks]
    over = {
        name: ratio_ci(reached["star_think"], reached[name], people, seed=0) for name in ("star", *teachers)
    }
    keep(
        "traces_think",
        {
            "users": len(tasks),
            **{name: float(own.mean()) for name, own in reached.items()},
            "over": {name: [of.ratio, of.lo, of.hi] for name, of in over.items()},
        },
        {"think_over_star": over["star"].ratio, "think_over_teacher": over["teacher_v1"].ratio},
    )


@app.command()
def batch(
    run: Annotated[Path, typer.Option("--run", help="Folder of a run with a student.")] = Path("runs/demo"),
    single: Annotated[int, typer.Option(help="Traces written one after the other, a round.")] = 64,
    together: Annotated[int, typer.Option(help="Traces written side by side in one process, a round.")] = 512,
) -> None:
    """Traces a second of all test tasks, 64 side by side in a process for each core, over one after the other
    (bar: 6); 5 interleaved rounds. The processes start anew each time, and that counts."""
    opened, star = _open(run)
    every = opened.test[0]
    tasks = first_tasks(every, together)
    rounds: dict[str, list[float]] = {"one_per_s": [], "one_core_per_s": [], "per_s": []}
    alone = [star.think(task).text for task in tasks[:single]]
    for _ in range(5):
        started = time.perf_counter()
        for task in tasks[:single]:
            star.think(task)
        rounds["one_per_s"].append(single / (time.perf_counter() - started))
        for name, asked, processes in (("one_core_per_s", tasks, 1), ("per_s", every, cores())):
            started = time.perf_counter()
            thoughts = list(star.think_many(asked, processes=processes))
            rounds[name].append(len(asked) / (time.perf_counter() - started))
    written = {thought.text for thought in thoughts}
    same = _share(text in written for text in alone)
    one, one_core, many = (float(np.median(found)) for found in rounds.values())
    keep(
        "traces_batch",
        {**rounds, "cores": cores(), "one_core_ratio": one_core / one, "same_traces": same},
        {"think_batch_ratio": many / one},
    )


def _open(run: Path) -> tuple[Tasks, Star]:
    student = current_product(run, "distill")
    if student is None:
        raise SystemExit(f"{run} holds no finished student.")
    opened = reopen(run)
    return opened, Star.load(student.path("star"), opened.prepared.world)


@app.callback()
def _traces() -> None:
    """A row a command."""


if __name__ == "__main__":
    app()
