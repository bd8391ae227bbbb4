"""Tool calls decoded under their schema: whatever the student would rather write, it writes a call.

A call is JSON of a known tool, its arguments within what the tool takes, its candidates some of the task's. At
each step the likeliest token is taken after which the text still is the beginning of such a call. Which tool,
which window, which candidates is the student's choice; that the call can be answered is not left to it.

The student has one tool that the teacher has not: its own fast mode, which answers with the order in which it
would rank the candidates without thinking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import regex
from numpy.typing import NDArray

from starrec.hashing import Keys
from starrec.tools import TOOLS, ToolSpec, order_text
from starrec.trajectories import LABEL, Message, ToolCall, Trajectory

FAST_ORDER: Final = ToolSpec("fast_order", "The student's own ranking in fast mode.", False, False)
STUDENT_TOOLS: Final[Mapping[str, ToolSpec]] = {**TOOLS, FAST_ORDER.name: FAST_ORDER}
"""What the student may call in think mode."""
FAST_SIGNAL: Final = "star"
"""What the order of `fast_order` is called."""


class CallForm:
    """Calls of some tools over one task's candidates."""

    def __init__(self, labels: Sequence[str], tools: Iterable[str] = tuple(STUDENT_TOOLS)) -> None:
        """Args:
        labels: of the task's candidates.
        tools: which may be called.
        """
        one = f'"(?:{"|".join(map(regex.escape, labels))})"'
        some = rf"\[{one}(?:,{one}){{0,{len(labels) - 1}}}\]"
        calls = "|".join(rf'{name}","arguments":{_arguments(STUDENT_TOOLS[name], some)}' for name in tools)
        self._pattern = regex.compile(rf'\{{"name":"(?:{calls})\}}')

    def open(self, text: str) -> bool:
        """Whether a call may begin so, or is this one."""
        asked = LABEL.findall(text)
        return len(set(asked)) == len(asked) and self._pattern.fullmatch(text, partial=True) is not None

    def whole(self, text: str) -> bool:
        """Whether this is a call; none goes on after another's end."""
        return self.open(text) and self._pattern.fullmatch(text) is not None


def fast_order(scores: NDArray[np.float32], labels: Sequence[str], ties: Keys) -> str:
    """The answer of `fast_order`: `star ‹C›‹A›‹B›.`

    Args:
        scores: `(c,)` of fast mode.
        labels: of the candidates.
        ties: `(c,)` as in `tools.order_text`.
    """
    # An order lists what is above 0.
    above = 1.0 + scores.astype(np.float64) - float(scores.min())
    return order_text(FAST_SIGNAL, above, labels, ties)


def with_fast_order(trajectory: Trajectory, answer: str) -> Trajectory:
    """The run as it would have been, had `fast_order` been asked before its last call of `compare`; before the
    ranking where it never looked at that.

    Args:
        answer: of `fast_order`.
    """
    messages = trajectory.messages
    compared = [at for at, message in enumerate(messages) if _compares(message)]
    at = compared[-1] if compared else len(messages) - 1
    round = messages[at].round
    asked = Message("assistant", "ranker", round, tool_call=ToolCall(FAST_ORDER.name))
    answered = Message("tool", "ranker", round, answer)
    return replace(trajectory, messages=(*messages[:at], asked, answered, *messages[at:]))


def _compares(message: Message) -> bool:
    return message.tool_call is not None and message.tool_call.name == "compare"


def _arguments(spec: ToolSpec, some: str) -> str:
    window = '"window":"(?:recent|whole)"' if spec.windows else ""
    candidates = f'"candidates":{some}' if spec.candidates else ""
    either = "|".join(
        filter(None, [f"{window},{candidates}" if window and candidates else "", window, candidates])
    )
    return rf"\{{(?:{either})?\}}"
