"""What every step receives: the open run folder, its configuration, and where lines and progress bars go.

A step is a function of a session and of the results of the steps before it. All its output to a person goes
through the session, so the same pipeline serves a terminal, a test and a program that wants no output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import Progress

from starrec.pipeline.config import RunConfig
from starrec.runs import Run


@dataclass(frozen=True)
class Session:
    """One process at work on one run."""

    run: Run
    config: RunConfig
    announce: Callable[[str], None]
    """Called with a line for every step."""
    progress: Progress | None
    """Shows the bars of long work; None for no bars."""

    @contextmanager
    def bar(self, name: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Show a bar while the context lasts; yields the function that advances it by a count."""
        if self.progress is None:
            yield lambda count: None
            return
        progress = self.progress
        bar = progress.add_task(name, total=total, completed=done)
        try:
            yield lambda count: progress.advance(bar, count)
        finally:
            progress.remove_task(bar)
