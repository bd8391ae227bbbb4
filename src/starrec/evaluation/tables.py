"""Results for the terminal.

Everything that came from data goes into `Text` objects, never into strings with console markup: a title such
as `[bold]` or `[link=…]` is shown as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from starrec.data import plain, printable
from starrec.evaluation.wording import (
    STUDENT,
    TEACHER,
    by_seed,
    citation_lines,
    comparison_line,
    decimal,
    duration,
    evidence_line,
    scenario_notes,
    several_seeds,
    student_over_teacher,
    teacher_kind,
    unconverged_line,
    verdict,
)
from starrec.teacher import Entry

_METRICS = (("HR@1", "hr@1"), ("HR@3", "hr@3"), ("HR@5", "hr@5"), ("NDCG@10", "ndcg@10"), ("MRR", "mrr"))


def print_results(console: Console, results: Mapping[str, Any]) -> None:
    """The table of systems, the time of their evidence, each comparison in a line, accuracy by scenario, whose
    citations hold, and the verdict on the comparison with the teacher."""
    console.print(systems_table(results))
    if (evidence := evidence_line(results)) is not None:
        console.print(Text(evidence))
    if (unconverged := unconverged_line(results)) is not None:
        console.print(Text(unconverged))
    for line in comparison_lines(results):
        console.print(line, soft_wrap=True)
    if len(results["evaluations"]) > 1:
        console.print(scenarios_table(results))
    for note in scenario_notes(results):
        console.print(Text(note))
    for citing in citation_lines(results):
        console.print(Text(citing))
    if (comparison := student_over_teacher(results)) is not None:
        console.print(Text(verdict(comparison), style="bold"))


def systems_table(results: Mapping[str, Any]) -> Table:
    """Accuracy with its 95% interval and latency of each system of the first evaluation, best first."""
    evaluation = results["evaluations"][0]
    latency = results.get("latency_ms", {})
    table = Table(
        title=Text(
            f"{evaluation['dataset']}, {evaluation['split']}, {evaluation['scenario']}: the true next item "
            f"among {evaluation['negatives'] + 1} candidates"
        ),
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("system")
    columns = ["avg_hr", "95% interval", *(label for label, _ in _METRICS), "tasks"]
    columns += ["by seed"] if several_seeds(evaluation) else []
    columns += ["p50", "p99"] if latency else []
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, system in evaluation["systems"].items():
        lo, hi = system["avg_hr_ci95"]
        cells = [decimal(system["avg_hr"]), f"{decimal(lo)}–{decimal(hi)}"]
        cells += [decimal(system[metric]) for _, metric in _METRICS]
        cells.append(f"{system['n_tasks']:,}")
        if several_seeds(evaluation):
            cells.append(by_seed(system))
        if latency:
            cells += [duration(latency.get(name, {}).get(level)) for level in ("p50", "p99")]
        style = "bold" if name == STUDENT else "bold blue" if name == TEACHER else ""
        table.add_row(Text(name), *map(Text, cells), style=style)
    return table


def scenarios_table(results: Mapping[str, Any]) -> Table:
    """avg_hr of each system by evaluation, in the order of the first."""
    evaluations = results["evaluations"]
    table = Table(title="avg_hr by scenario", title_justify="left", box=None, pad_edge=False)
    table.add_column("system")
    for each in evaluations:
        name = each["scenario"] if each["split"] == "test" else f"{each['split']}, {each['scenario']}"
        table.add_column(Text(name), justify="right")
    for name in evaluations[0]["systems"]:
        cells = [decimal(each["systems"].get(name, {}).get("avg_hr")) for each in evaluations]
        table.add_row(Text(name), *map(Text, cells))
    counts = [max(system["n_tasks"] for system in each["systems"].values()) for each in evaluations]
    table.add_row("tasks", *(f"{count:,}" for count in counts), style="dim")
    return table


def comparison_lines(results: Mapping[str, Any]) -> list[Text]:
    """One line for each comparison, such as `star over teacher: x1.045 [1.012, 1.079], p … (teacher: …)`."""
    return [
        Text(
            comparison_line(comparison, teacher_kind(results)),
            style="bold" if (comparison["a"], comparison["b"]) == (STUDENT, TEACHER) else "",
        )
        for comparison in results["comparisons"]
    ]


def trace_table(entries: Iterable[Entry], *, most: int | None = None, most_lines: int | None = None) -> Table:
    """A trace for people: who in one column, what they said and what came back in the other.

    Args:
        most: entries that are shown, the first and the last ones; None for all.
        most_lines: lines of an entry that are shown; None for all.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    all_ = list(entries)
    hidden = 0 if most is None else max(0, len(all_) - most)
    first = len(all_) - hidden - (most or 0) // 2 if hidden else len(all_)
    for at, entry in enumerate(all_):
        if first <= at < first + hidden:
            if at == first:
                table.add_row("", Text(f"… {hidden} more steps", style="dim"))
            continue
        lines: list[RenderableType] = [Padding(_shown(line), (0, 0, 0, 2)) for line in entry.lines[:most_lines]]
        if more := len(entry.lines) - len(lines):
            lines.append(Padding(Text(f"… {more} more", style="dim"), (0, 0, 0, 2)))
        table.add_row(Text(entry.who, style="bold"), Group(_shown(entry.text), *lines))
    return table


def _shown(message: str) -> Text:
    return Text(printable(plain(message)))


_STEPS: Final = 16
"""Of a worked example's trace: a student that has learned little repeats itself a hundred times."""


def _entry(entry: Mapping[str, Any]) -> Entry:
    return Entry(**entry)


def worked_example(example: Mapping[str, Any], *, shown_history: int = 12, shown_ranking: int = 10) -> Panel:
    """One example: history, the reasoning for people, the ranking and the true item. A long trace is cut: the
    report has all of it.

    Args:
        example: as in results.json's worked_examples; texts as they stand in messages.
        shown_history: how many of the latest items are listed.
        shown_ranking: how many of the first items are listed; the true item always is.
    """
    history = list(example["history"])
    older = len(history) - shown_history
    lines: list[RenderableType] = [Text("History", style="bold")]
    if older > 0:
        lines.append(Text(f"  … {older} older", style="dim"))
    lines += [Text(f"  {title}") for title in history[-shown_history:]]
    lines += [Text(), trace_table(map(_entry, example["readable"]), most=_STEPS, most_lines=2)]
    lines += [Text(), Text("Ranking", style="bold")]
    for place, title in enumerate(example["ranking"], start=1):
        true = place == example["rank"]
        if true or place <= shown_ranking:
            lines.append(
                Text(
                    f"  {place:>2}  {title}" + ("   ← true item" if true else ""),
                    style="green" if true else "",
                )
            )
    return Panel(
        Group(*lines),
        title=Text(f"User {example['user_id']}: true item {example['target']}, ranked {example['rank']}"),
        title_align="left",
    )
