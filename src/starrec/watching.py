"""Teaching as one sees it in a terminal: what it would take, and how it goes while it does.

The teacher knows no terminal. It reports the runs that have ended, and everything shown follows from these.
What agents wrote, titles above all, is shown as it is: no markup is read in it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from starrec.terminal import output, text

if TYPE_CHECKING:
    from rich.progress import Progress

    from starrec.teacher import Ended, Estimate, Range
    from starrec.trajectories import Spent

_FRAMES_PER_SECOND: Final = 4
_SHOWN: Final = 400
"""Characters of a reflection."""


class View:
    """What is shown of the runs that have ended so far; a rich renderable."""

    def __init__(self, total: int, settled: int, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            total: runs that there are to be.
            settled: those that had ended before this command.
            clock: seconds.
        """
        self._total = total
        self._settled = settled
        self._clock = clock
        self._started = clock()
        self._ended = 0
        self._first = 0
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._agents: dict[str, Spent] = {}
        self._reflection = ""

    def add(self, ended: Sequence[Ended]) -> None:
        from starrec.data import plain
        from starrec.trajectories import Failure, Spent

        for run in ended:
            self._ended += 1
            for agent, spent in run.cost.agents.items():
                self._agents[agent] = self._agents.get(agent, Spent()) + spent
                self._answers[agent] += 1
            if isinstance(run, Failure):
                self._failures[run.reason] += 1
                continue
            self._first += run.outcome == 1
            reflections = [m.content for m in run.messages if m.role == "assistant" and m.agent == "reflector"]
            self._reflection = plain(reflections[-1]) if reflections else self._reflection

    def __rich__(self) -> RenderableType:
        seconds = max(self._clock() - self._started, 1e-9)
        rate = self._ended / seconds
        left = self._total - self._settled - self._ended
        judged = self._ended - self._failures.total()
        lines = [
            f"teaching: {self._settled + self._ended:,} of {self._total:,} runs, {rate:,.1f} runs/s"
            + (f", about {_duration(left / rate)} left" if self._ended else "")
        ]
        if judged:
            lines.append(f"target first: {self._first / judged:.3f} of {judged:,} runs (pass@1)")
        if self._failures:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self._failures.most_common())
            lines.append(f"failed: {reasons}")
        parts: list[RenderableType] = [text(line) for line in lines]
        if self._agents:
            parts.append(self._by_agent())
        if self._reflection:
            last = text(f"last reflection: {self._reflection}", "dim")
            last.truncate(_SHOWN, overflow="ellipsis")
            parts.append(last)
        return Group(*parts)

    def _by_agent(self) -> Table:
        asked = any(spent.requests for spent in self._agents.values())
        table = Table(box=None, pad_edge=False)
        table.add_column("agent")
        table.add_column("ms a run", justify="right")
        for name in ("requests", "prompt tokens", "answer tokens") if asked else ():
            table.add_column(name, justify="right")
        for agent, spent in self._agents.items():
            figures = [f"{1000 * spent.seconds / self._answers[agent]:,.1f}"]
            if asked:
                counted = (spent.requests, spent.prompt_tokens, spent.completion_tokens)
                figures += [f"{count:,}" for count in counted]
            table.add_row(text(agent), *figures)
        return table


@contextmanager
def watching(
    total: int, settled: int, progress: Progress | None
) -> Iterator[Callable[[Sequence[Ended]], None]]:
    """A live view while the context lasts, on a terminal; elsewhere the bar, and the view once at the end.

    Args:
        progress: the bars, whose console is used.
    """
    from rich.console import Console
    from rich.live import Live

    view = View(total, settled)
    console = progress.console if progress is not None else Console(stderr=True)
    if console.is_terminal:
        with Live(view, console=console, refresh_per_second=_FRAMES_PER_SECOND):
            yield view.add
        return
    bar = progress.add_task("teaching", total=total, completed=settled) if progress is not None else None

    def report(ended: Sequence[Ended]) -> None:
        view.add(ended)
        if progress is not None and bar is not None:
            progress.advance(bar, len(ended))

    try:
        yield report
    finally:
        if progress is not None and bar is not None:
            progress.remove_task(bar)
        console.print(view, soft_wrap=True)


def show_estimate(estimate: Estimate) -> None:
    """An estimate, each figure with its range."""
    console = output()

    def line(name: str, shown: str) -> None:
        console.print(Text.assemble((f"{name}: ", "dim"), text(shown)))

    if not estimate.runs:
        console.print("Nothing is left to do.")
        return
    line("runs left", f"{estimate.runs:,} (estimated from {estimate.sampled:,} runs by the embedded policy)")
    if estimate.requests.expected:
        line("calls", _counted(estimate.requests))
        line("prompt tokens", _counted(estimate.prompt_tokens))
        line("answer tokens", _counted(estimate.completion_tokens))
        usd = estimate.usd
        money = f"{usd.expected:,.2f} ({usd.low:,.2f} to {usd.high:,.2f})" if usd else "price not known"
        line("US dollars", money)
    else:
        line("calls, tokens, US dollars", "none: no language model is asked")
    low, expected, high = map(_duration, estimate.seconds)
    line("time", f"{expected} ({low} to {high})")
    line("", "An estimate, with the bounds between which it is thought to lie; nothing was spent.")


def _counted(amount: Range) -> str:
    return f"{amount.expected:,.0f} ({amount.low:,.0f} to {amount.high:,.0f})"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
