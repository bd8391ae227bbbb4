"""What every step receives: the open run folder, its configuration, and where lines and progress bars go.

A step is a function of a session and of the results of the steps before it. All its output to a person goes
through the session, so the same pipeline serves a terminal, a test and a program that wants no output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
    begins: Callable[[str], None] = lambda step: None
    """Called with the name of a long step that begins, unless it was done before."""

    def bar(self, name: str, total: int, done: int = 0) -> AbstractContextManager[Callable[[int], None]]:
        """Show a bar while the context lasts; yields the function that advances it by a count."""
        return progress_bar(self.progress, name, total, done)


@contextmanager
def progress_bar(
    progress: Progress | None, name: str, total: int, done: int = 0
) -> Iterator[Callable[[int], None]]:
    """As `Session.bar`, where there is no session; None shows nothing."""
    if progress is None:
        yield lambda count: None
        return
    bar = progress.add_task(name, total=total, completed=done)
    try:
        yield lambda count: progress.advance(bar, count)
    finally:
        progress.remove_task(bar)
