"""What is remembered of a long history: old interactions summarised window by window, recent ones left raw.

A prompt shows the latest items as they are (`SHOWN`). What came before is cut into windows, and each
window is folded into what is remembered so far (the sliding-window summariser of STAR, section 3.1), so the
text stays short however long the history is. `fold` does it by rule; a language model may do it in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SHOWN: Final = 16
"""Latest items of the history that a prompt shows as they are; tools look at more."""
WINDOW: Final = 100
"""Old interactions that are summarised at a time."""
PHASES: Final = 6
"""Tastes in a row that are remembered; of more, those in the middle go first."""
_THEN: Final = ", then "


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of old interactions, oldest first."""

    mentions: Sequence[str]
    tastes: Mapping[str, int]
    """How many of the items belong to each category, most first."""


def tastes(memory: str) -> list[str]:
    """What `fold` remembers, oldest first."""
    return memory.split(_THEN) if memory else []


def fold(memory: str, window: Window) -> str:
    """The memory with the window's strongest taste at its end; a taste that goes on is said once.

    The oldest taste always stays: what someone began with is the first thing that a summary of summaries
    would lose.
    """
    if not window.tastes:
        return memory
    phases = tastes(memory)
    taste = next(iter(window.tastes))
    if phases[-1:] != [taste]:
        phases.append(taste)
    if len(phases) > PHASES:
        del phases[1]
        # What stood around it may be one taste.
        if phases[0] == phases[1]:
            del phases[1]
    return _THEN.join(phases)
