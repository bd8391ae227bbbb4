"""Are the figures that think mode writes those that its tools answered?

Each sentence with a figure in what the model wrote (plan and reflections) is a claim. It is verified if a tool
response of the same trace makes the same claim, contradicted if one makes it with other figures, and
unverifiable otherwise; both of the latter count against the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from starrec.signals import Claim, claims
from starrec.student import Thought
from starrec.trajectories import LinearFormError, parse


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


def check_trace(thought: Thought) -> TraceClaims:
    """The claims of one trace against its own tool responses."""
    known = {claim for text in _texts(thought, written=False) for claim in claims(text) if claim}
    about = {_subject(claim) for claim in known}
    verified = contradicted = unverifiable = 0
    for text in _texts(thought, written=True):
        for claim in claims(text):
            if claim in known:
                verified += 1
            elif claim is not None and _subject(claim) in about:
                contradicted += 1
            else:
                unverifiable += 1
    try:
        parse(thought.text, thought.labels)
        parses = True
    except LinearFormError:
        parses = False
    return TraceClaims(verified, contradicted, unverifiable, parses)


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


def _texts(thought: Thought, *, written: bool) -> Iterable[str]:
    tags = ("plan", "reflection") if written else ("tool_response",)
    return (step.text for step in thought.steps if step.tag in tags)


def _subject(claim: Claim) -> Claim:
    return replace(claim, figures=())
