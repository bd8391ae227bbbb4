"""What the student may call: the teacher's tools, and one of its own.

The student has one tool that the teacher has not: its own fast mode, which answers with the order in which it
would rank the candidates without thinking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.hashing import Keys
from starrec.tools import TOOLS, ToolSpec, order_text
from starrec.trajectories import Message, ToolCall, Trajectory

FAST_ORDER: Final = ToolSpec("fast_order", "The student's own ranking in fast mode.", False, False)
STUDENT_TOOLS: Final[Mapping[str, ToolSpec]] = {**TOOLS, FAST_ORDER.name: FAST_ORDER}
"""What the student may call in think mode."""
FAST_SIGNAL: Final = "star"
"""What the order of `fast_order` is called."""


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
