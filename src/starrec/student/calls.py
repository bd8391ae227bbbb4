"""Tool calls decoded under their schema: whatever the student would rather write, it writes a call.

A call is JSON of a known tool, its arguments within what the tool takes, its candidates some of the task's. At
each step the likeliest token is taken after which the text still is the beginning of such a call. Which tool,
which window, which candidates is the student's choice; that the call can be answered is not left to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import regex

from starrec.tools import TOOLS, ToolSpec
from starrec.trajectories import LABEL

_ASKED: Final = 5
"""Candidates that one call asks about, at most; the teacher asks about three."""


class CallForm:
    """Calls of some tools over one task's candidates."""

    def __init__(self, labels: Sequence[str], tools: Iterable[str] = tuple(TOOLS)) -> None:
        """Args:
        labels: of the task's candidates.
        tools: which may be called.
        """
        one = f'"(?:{"|".join(map(regex.escape, labels))})"'
        some = rf"\[{one}(?:,{one}){{0,{_ASKED - 1}}}\]"
        calls = "|".join(rf'{name}","arguments":{_arguments(TOOLS[name], some)}' for name in tools)
        self._pattern = regex.compile(rf'\{{"name":"(?:{calls})\}}')

    def open(self, text: str) -> bool:
        """Whether a call may begin so, or is this one."""
        asked = LABEL.findall(text)
        return len(set(asked)) == len(asked) and self._pattern.fullmatch(text, partial=True) is not None

    def whole(self, text: str) -> bool:
        """Whether this is a call; none goes on after another's end."""
        return self.open(text) and self._pattern.fullmatch(text) is not None


def _arguments(spec: ToolSpec, some: str) -> str:
    window = '"window":"(?:recent|whole)"' if spec.windows else ""
    candidates = f'"candidates":{some}' if spec.candidates else ""
    either = "|".join(
        filter(None, [f"{window},{candidates}" if window and candidates else "", window, candidates])
    )
    return rf"\{{(?:{either})?\}}"
