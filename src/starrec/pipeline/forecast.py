"""How long a whole run takes, said before its long steps and corrected by how long they really took.

What a step takes is proportional to what there is to do in it: runs, optimizer steps, test tasks. The seconds
of each are those of the demo on two idle cores (`benchmarks/demo.py`); a machine that turns out slower or
faster moves what is said of the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from starrec.pipeline.config import RunConfig

RUN_SECONDS: Final = 28 / 22_632
"""Of one run of the embedded teacher."""
SFT_SECONDS: Final = 60 / 400
GRPO_SECONDS: Final = 195 / 2_400
"""Of one optimizer step of each stage."""
TASK_SECONDS: Final = 177 / 2_829
"""Of evaluating one test task, with its share of scenarios, controls and think mode."""


def expected_seconds(config: RunConfig, taught: int, tested: int) -> dict[str, float]:
    """Seconds of each long step, in their order.

    Args:
        taught: tasks that the teacher reasons over. A language model's time is not known beforehand
            (`starrec teach --dry-run` measures it), so it is left out.
        tested: test tasks.
    """
    student = config.student
    teach = taught * config.teacher.runs * RUN_SECONDS if config.teacher.model.embedded else 0.0
    distill = student.sft.steps * SFT_SECONDS + student.grpo.steps * GRPO_SECONDS
    return {"teach": teach, "distill": distill, "evaluate": tested * TASK_SECONDS}


class Forecast:
    """Says before each step how long the rest takes."""

    def __init__(
        self,
        expected: Mapping[str, float],
        announce: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        expected: seconds of each step, in their order, as of `expected_seconds`.
        """
        self._expected, self._announce, self._clock = expected, announce, clock
        self._current, self._since = "", 0.0
        self._spent = self._planned = 0.0

    def begin(self, step: str) -> None:
        """To be called when a step begins that was not done before; the one before it has ended."""
        now = self._clock()
        if self._current:
            self._spent += now - self._since
            self._planned += self._expected[self._current]
        self._current, self._since = step, now
        pace = self._spent / self._planned if self._planned else 1.0
        steps = list(self._expected)
        left = {name: self._expected[name] * pace for name in steps[steps.index(step) :]}
        parts = ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in left.items() if seconds)
        measured = "at this run's pace" if self._planned else "by the pace of two idle cores"
        self._announce(f"run: about {_minutes(sum(left.values()))} left, {measured} ({parts})")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
