"""What every step is handed: the open run folder, its configuration, and where lines and bars go.

The steps are functions of a session and of what the steps before them gave. They speak only through it, so that
the same pipeline serves a terminal, a test and a program that wants silence.
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
    """Gets a line for every step."""
    progress: Progress | None
    """Shows the bars of long work; None for none."""

    @contextmanager
    def bar(self, name: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """A bar while the context lasts; gives the function that moves it on by a count."""
        if self.progress is None:
            yield lambda count: None
            return
        progress = self.progress
        bar = progress.add_task(name, total=total, completed=done)
        try:
            yield lambda count: progress.advance(bar, count)
        finally:
            progress.remove_task(bar)
