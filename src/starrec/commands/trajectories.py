"""`starrec trajectories`: look at what the teacher thought, count it, and hand it to other trainers.

What a command needs is imported when it runs.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from starrec.commands.options import DEMO
from starrec.errors import DataError, StarrecError
from starrec.terminal import output, text

if TYPE_CHECKING:
    from starrec.trajectories import Statistics, Store, Trajectory

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

FolderOption = Annotated[
    Path, typer.Option("--run", metavar="FOLDER", help="Run folder whose trajectories are meant.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead.", show_default=False)]

_AGAIN: Final = "Run `starrec teach` first, or name another folder with --run."


class Format(StrEnum):
    """What one line of an export is."""

    chat = "chat"
    linear = "linear"


@app.callback()
def trajectories() -> None:
    """Look at the teacher's runs, count them, and export them for other trainers.

    \b
    Examples:
      starrec trajectories stats --run runs/mine
      starrec trajectories show train/5/12/0
      starrec trajectories export sft.jsonl --run runs/mine
    """


@app.command()
def show(
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="Such as train/5/12/0; see `stats`.")],
    number: Annotated[
        int | None,
        typer.Option(
            "--number", "-n", min=0, metavar="N", help="Only this run over the task.", show_default=False
        ),
    ] = None,
    run: FolderOption = DEMO,
    raw: Annotated[
        bool, typer.Option("--raw", help="The linear form, as it is learned.", show_default=False)
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what the agents did over one task: who asked what, what came back, and what decided.

    What decided is computed: answers are taken out of the trace, and its text ranks again.

    \b
    Examples:
      starrec trajectories show train/5/12/0
      starrec trajectories show train/5/12/0 --number 2 --run runs/mine
      starrec trajectories show train/5/12/0 --number 2 --raw
      starrec trajectories show train/5/12/0 --json
    """
    from starrec.trajectories import open_asked

    with open_asked(run) as store:
        runs = store.of(task_id)
        if not runs:
            raise StarrecError(_unknown(store, task_id))
    chosen = [found for found in runs if number is None or found.run == number]
    if not chosen:
        there = ", ".join(str(found.run) for found in runs)
        raise StarrecError(f"Task {task_id} has no run {number}; it has {there}.")
    if as_json:
        print(json.dumps([_record(found) for found in chosen], ensure_ascii=False, indent=1))
        return
    for found in chosen:
        _print(found, raw=raw)


@app.command()
def stats(run: FolderOption = DEMO, as_json: JsonOption = False) -> None:
    """Count tasks, runs, successes, reflections, tool calls, failures, and what each agent took.

    pass@K is the chance that one of K runs over a task puts its target first.

    \b
    Examples:
      starrec trajectories stats
      starrec trajectories stats --run runs/mine --json
    """
    from starrec.trajectories import open_asked, statistics

    with open_asked(run) as store:
        found = statistics(store, store.failed().values())
        example = next(iter(store), None)
    if not found["runs"] and not found["failures"]:
        raise DataError(f"No run of the teacher has ended yet in {run}. {_AGAIN}")
    if as_json:
        content = {**found, "example_task_id": example.task_id if example else None}
        print(json.dumps(content, ensure_ascii=False, indent=1))
        return
    _print_statistics(found, example)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the JSON Lines go; replaced whole.")],
    run: FolderOption = DEMO,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept/--all",
            help="The runs that teach (through the outcome filter, one a task), or every run.",
        ),
    ] = True,
    form: Annotated[Format, typer.Option("--format", help="What a line is.")] = Format.chat,
) -> None:
    """Write trajectories as JSON Lines that other trainers read.

    chat: {"messages": […]} as OpenAI's chat API writes them. Train on messages of the role `assistant` only
    (plans, tool calls, reflections, rankings). The task (`user`) and what tools answered (`tool`) are context
    and carry no loss.

    linear: {"text": …, "written": [[from, to], …]}: the one chain of text that starrec's student learns, and
    the characters of it that the assistant writes.

    \b
    Examples:
      starrec trajectories export sft.jsonl
      starrec trajectories export all.jsonl --all --run runs/mine
      starrec trajectories export chain.jsonl --format linear
    """
    from starrec.runs import write_atomic
    from starrec.trajectories import open_asked

    if file.is_dir():
        raise StarrecError(f"{file} is a folder. Name a file in it, such as {file / 'trajectories.jsonl'}.")
    written = 0

    def lines(runs: Iterable[Trajectory]) -> Iterator[str]:
        nonlocal written
        for found in runs:
            written += 1
            yield json.dumps(_chat(found) if form is Format.chat else _linear(found), ensure_ascii=False) + "\n"

    def write(path: Path) -> None:
        with open_asked(run) as store, path.open("w", encoding="utf-8") as target:
            target.writelines(lines(_kept(run, store) if kept else store))
        if not written:
            raise DataError(
                f"There is nothing to export: no run in {run} passed the filter. Give --all. {_AGAIN}"
            )

    write_atomic(file, write)
    output().print(text(f"{written:,} trajectories in {file}"))


def _unknown(store: Store, task_id: str) -> str:
    for failure in store.failed().values():
        if failure.task_id == task_id:
            why = f"Run {failure.run} ({failure.reason}): {failure.message}"
            return f"No run over task {task_id} ended in a ranking. {why}"
    known = sorted({key[0] for key in store.done()})
    close = difflib.get_close_matches(task_id, known, n=1) or known[:1]
    hint = f" There is {close[0]}, for example." if close else ""
    return (
        f"No run over a task {task_id!r} is stored in {store.path}.{hint} `starrec trajectories stats` counts "
        "them."
    )


def _kept(run: Path, store: Store) -> list[Trajectory]:
    from starrec.config import load_recorded
    from starrec.pipeline import RunConfig
    from starrec.trajectories import keep, one_per_task

    path = run / "config.toml"
    student = (load_recorded(path, RunConfig)[0] if path.exists() else RunConfig()).student
    return one_per_task(keep(store, student.sft.top_k), student.seed)


def _chat(found: Trajectory) -> dict[str, Any]:
    return {"messages": found.openai_messages()}


def _linear(found: Trajectory) -> dict[str, Any]:
    from starrec.trajectories import segments

    spans: list[list[int]] = []
    at = 0
    parts = segments(found)
    for part in parts:
        if part.written:
            spans.append([at, at + len(part.text)])
        at += len(part.text)
    return {"text": "".join(part.text for part in parts), "written": spans}


def _record(found: Trajectory) -> dict[str, Any]:
    from dataclasses import asdict

    return {**found.to_record(), "cost": asdict(found.cost)}


def _print(found: Trajectory, *, raw: bool) -> None:
    from starrec.data import plain
    from starrec.evaluation import trace_table
    from starrec.teacher import readable
    from starrec.teacher.replay import candidates_of
    from starrec.trajectories import elements, linear

    console = output()
    placed = "not judged"
    if found.outcome:
        target = candidates_of(found.messages[0].content).get(found.ranking[found.outcome - 1], "")
        placed = f"the target, {plain(target)}, came {_ordinal(found.outcome)}"
    console.print(text(f"{found.task_id}, run {found.run}", "bold").append(text(f"  {placed}", "dim")))
    console.print(text(linear(found)) if raw else trace_table(readable(elements(found))), soft_wrap=raw)
    spent = found.cost.total
    tokens = spent.prompt_tokens + spent.completion_tokens
    asked = f", {spent.requests:,} requests, {tokens:,} tokens, {spent.usd:.4f} USD" if spent.requests else ""
    console.print(text(f"{found.teacher}; {spent.seconds:.3f} s{asked}", "dim"))
    console.print()


def _print_statistics(found: Statistics, example: Trajectory | None) -> None:
    from rich.table import Table

    console = output()
    console.print(text(f"{found['runs']:,} runs over {found['tasks']:,} tasks"))
    for name, value in found.items():
        if name.startswith("pass@"):
            console.print(text(f"{name}: ", "dim").append(text(f"{value:.3f}")))
    calls = found["tool_calls"]
    if calls["by_tool"]:
        by_tool = ", ".join(f"{tool} {count:,}" for tool, count in calls["by_tool"].items())
        console.print(text("tool calls: ", "dim").append(text(f"{calls['mean']:.1f} a run ({by_tool})")))
    failed = ", ".join(f"{count:,} {reason}" for reason, count in found["failures"].items()) or "none"
    console.print(text("failed: ", "dim").append(text(failed)))
    if repairs := found["repairs"]["by_kind"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in repairs.items())
        repaired = f"in {found['repairs']['runs']:,} runs ({kinds})"
        console.print(text("answers repaired: ", "dim").append(text(repaired)))
    console.print()
    table = Table(box=None, pad_edge=False)
    for column in ("reflections", "runs", "share", "target first"):
        table.add_column(column, justify="right")
    for count, row in found["reflections"].items():
        table.add_row(count, f"{row['runs']:,}", f"{row['share']:.3f}", f"{row['pass@1']:.3f}")
    console.print(table)
    console.print()
    table = Table(box=None, pad_edge=False)
    table.add_column("agent")
    for column in ("seconds", "ms a run", "requests", "prompt tokens", "answer tokens", "cached", "USD"):
        table.add_column(column, justify="right")
    cost = found["cost"]
    for agent, spent in cost["agents"].items():
        counted = (spent[name] for name in ("requests", "prompt_tokens", "completion_tokens", "cached_tokens"))
        table.add_row(
            text(agent),
            f"{spent['seconds']:,.1f}",
            f"{1000 * spent['seconds'] / cost['runs']:,.1f}",
            *(f"{count:,}" for count in counted),
            f"{spent['usd']:,.4f}",
        )
    console.print(table)
    if example is not None:
        console.print()
        console.print(text(f"one of them: starrec trajectories show {example.task_id}", "dim"))


def _ordinal(place: int) -> str:
    tens = {1: "st", 2: "nd", 3: "rd"} if place % 100 not in (11, 12, 13) else {}
    return f"{place}{tens.get(place % 10, 'th')}"
