"""Is what think mode writes true of the graph that its task may see?

Each claim about the graph in what the model wrote (plan and reflections) is checked against the counts of that
graph, without the task's own user, whatever its wording. Claims that are false, and claims that nobody can
check, both count against the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from starrec.signals import TaskView
from starrec.signals.checker import Checker
from starrec.trajectories import LinearFormError, parse

if TYPE_CHECKING:
    from starrec.student import Thought


@dataclass(frozen=True, slots=True)
class TraceClaims:
    """Counts for one trace."""

    verified: int
    contradicted: int
    unverifiable: int
    parses: bool
    """Whether the trace is a trajectory in linear form, its ranking a permutation."""

    @property
    def total(self) -> int:
        return self.verified + self.contradicted + self.unverifiable


def check_trace(thought: Thought, view: TaskView, checker: Checker) -> TraceClaims:
    """The claims that the model made in one trace, against what its task may see."""
    verdicts = Counter(
        checked.verdict
        for step in thought.steps
        if step.tag in ("plan", "reflection")
        for checked in checker.check(step.text, view)
    )
    try:
        parse(thought.text, thought.labels)
        parses = True
    except LinearFormError:
        parses = False
    return TraceClaims(verdicts["verified"], verdicts["contradicted"], verdicts["unverifiable"], parses)


def faithfulness(traces: Sequence[TraceClaims]) -> dict[str, float]:
    """Totals over traces, as results.json holds them."""
    return {
        "traces": len(traces),
        "parsed": sum(trace.parses for trace in traces),
        "claims": sum(trace.total for trace in traces),
        "verified": sum(trace.verified for trace in traces),
        "contradicted": sum(trace.contradicted for trace in traces),
        "unverifiable": sum(trace.unverifiable for trace in traces),
        "traces_without_claims": sum(trace.total == 0 for trace in traces),
        "median_claims": median(trace.total for trace in traces) if traces else 0,
    }
