"""What the terminal and the report say about results, in the same words.

A sentence such as "the student beats its teacher" is a claim: it is made only where the 95% interval carries
it, and never without the teacher's kind, because beating a set of rules is another thing than beating a large
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starrec.evaluation.peers import PEERS

STUDENT: Final = "star"
TEACHER: Final = "teacher"
EVIDENCE: Final = "evidence"
"""The key of `latency_ms` for gathering all ten signals of a task. No signal is timed alone."""

SYSTEM_NOTES: Final[Mapping[str, str]] = {
    "star": "student, fast: one batched prefill",
    "star_think": "student, thinking aloud",
    "star_sft": "student before GRPO, fast",
    "teacher": "MARS, seven agents",
    "teacher_no_reflection": "MARS, no work sent back",
    "teacher_v1": "MARS, embedded policy of 728a73c",
    "item_cf": "Item-CF alone",
    "user_cf": "User-CF alone",
    "transitions": "what followed the last item",
    "ease": "linear item model (EASE) alone",
    "popularity": "most taken first",
    "random": "chance",
    **{peer.name: peer.about for peer in PEERS.values()},
}
"""A few words on each system, by its name in results.json."""


def is_student(system: str) -> bool:
    """Whether a system is the student in any mode or stage."""
    return system == STUDENT or system.startswith(f"{STUDENT}_")


def teacher_kind(results: Mapping[str, Any]) -> str:
    """What the teacher of these results is."""
    return str(results.get("teacher_kind", "kind not recorded"))


def chance(evaluation: Mapping[str, Any]) -> float:
    """Expected avg_hr of a random order: the mean of 1, 3 and 5 over the number of candidates."""
    return 3 / (int(evaluation["negatives"]) + 1)


def comparison_line(comparison: Mapping[str, Any], kind: str) -> str:
    """`star over teacher: x1.045 [1.012, 1.079], 2,829 tasks of 943 users (teacher: kind)`."""
    a, b = comparison["a"], comparison["b"]
    lo, hi = comparison["ci95"]
    figures = f"x{decimal(comparison['ratio'])} [{decimal(lo)}, {decimal(hi)}]"
    tasks = f"{comparison['n_tasks']:,} tasks of {comparison['n_users']:,} users"
    against = f" (teacher: {kind})" if TEACHER in (a, b) else ""
    return f"{a} over {b}: {figures}, {tasks}{against}"


CITING_NOTES: Final[Mapping[str, str]] = {
    "star_think": "by construction: decoding is constrained to the facts of the trace's tools",
    "star_think_ungrounded": "the same student, decoding unconstrained",
    "teacher": "the teacher",
}
"""How a system comes to its citations."""


def citation_lines(results: Mapping[str, Any]) -> list[str]:
    """`star_think_ungrounded (the same student, decoding unconstrained): 81 of 90 citations hold, …` for each
    system whose traces were held against the graph."""
    return [
        f"{name} ({CITING_NOTES.get(name, name)}): {counts['holds']:,} of {counts['citations']:,} "
        f"citations hold, {counts['uncited_numerals']:,} figures without one; "
        f"{counts['reflections_with_cited_figure']:,} of {counts['reflections']:,} reflections cite a figure; "
        f"{counts['traces']:,} traces"
        for name, counts in results.get("faithfulness", {}).items()
        if "citations" in counts
    ]


def evidence_line(results: Mapping[str, Any]) -> str | None:
    """`evidence of a task (all ten signals at once): p50 2.1 ms, p99 5.0 ms`, if it was timed."""
    timed = results.get("latency_ms", {}).get(EVIDENCE)
    if timed is None:
        return None
    figures = ", ".join(f"{level} {duration(timed[level])}" for level in ("p50", "p99"))
    return f"evidence of a task (all ten signals at once): {figures}"


def unconverged_line(results: Mapping[str, Any]) -> str | None:
    """Which peers had not stopped improving when their training ended, if there are any."""
    names = [name for name, peer in results.get("peers", {}).items() if peer["converged"] is False]
    if not names:
        return None
    return f"{', '.join(names)} had not stopped improving when training ended, and may rank better than shown"


def student_over_teacher(results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The headline comparison, if it was made and has a ratio."""
    for comparison in results["comparisons"]:
        if (comparison["a"], comparison["b"]) == (STUDENT, TEACHER) and comparison["ratio"] is not None:
            return dict(comparison)
    return None


def verdict(comparison: Mapping[str, Any]) -> str:
    """What a comparison of student and teacher shows, no more than its interval carries."""
    lo, hi = comparison["ci95"]
    if lo is not None and lo > 1:
        return "The student ranks better than its teacher."
    if hi is not None and hi < 1:
        return "The student ranks worse than its teacher."
    return "Student and teacher cannot be told apart: the interval includes no difference."


def percent_gain(ratio: float | None) -> str:
    """A ratio as a signed percentage, `+4.5%`; a dash where there is none."""
    return "–" if ratio is None else f"{(ratio - 1) * 100:+.1f}%".replace("-", "−")


def decimal(value: float | None) -> str:
    """Three digits after the point; a dash for what does not exist."""
    return "–" if value is None else f"{value:.3f}"


def duration(milliseconds: float | None) -> str:
    """Milliseconds in the unit a person would use: `0.84 ms`, `17 ms`, `1.3 s`."""
    if milliseconds is None:
        return "–"
    value, unit = (milliseconds, "ms") if milliseconds < 999.5 else (milliseconds / 1000, "s")
    digits = 2 if value < 0.995 else 1 if value < 9.95 else 0
    return f"{value:.{digits}f} {unit}"
