"""What a model is asked in think mode: the latest items of the history, and candidates by label.

Evidence is left to tool calls.
"""

from __future__ import annotations

from starrec.tools.memory import SHOWN, fold
from starrec.tools.toolbox import Toolbox


def think_task(toolbox: Toolbox) -> str:
    """Labelled candidates and the history: its latest items, and what is remembered of those before."""
    mentions = toolbox.mentions(toolbox.task.candidates)
    listed = "".join(name + item for name, item in zip(toolbox.labels, mentions, strict=True))
    memory = ""
    for window in toolbox.old_windows:
        memory = fold(memory, window)
    earlier = f"Earlier: {memory}. " if memory else ""
    return f"{earlier}{_history(toolbox)} Candidates: {listed}"


def _history(toolbox: Toolbox) -> str:
    return f"History: {''.join(toolbox.mentions(toolbox.task.history[-SHOWN:]))}"
