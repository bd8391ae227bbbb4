"""What the terminal and the report say about results, in the same words.

A sentence such as "the student beats its teacher" is a claim: it is made only where the 95% interval carries
it, and never without the teacher's kind, because beating a set of rules is another thing than beating a large
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starrec.evaluation.peers import PEERS
from starrec.evaluation.signal_shift import COMPARED_WITH

STUDENT: Final = "star"
TEACHER: Final = "teacher"
EVIDENCE: Final = "evidence"
"""The key of `latency_ms` for gathering all signals of a task. No signal is timed alone."""
STRONG_SHIFT: Final = 0.2
"""Shifts of a signal from here on are said in words: more than chance moves samples of some hundred tasks."""

SYSTEM_NOTES: Final[Mapping[str, str]] = {
    "star": "student, fast: one pass over the candidates",
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
    "mlp_evidence": "MLP over all numbers of the evidence",
    "mlp_levels": "MLP over what the student reads",
    "teacher_tuned": "embedded policy, constants fitted on labels",
    "star_labels": "student's model on targets alone, no traces",
    "star_imitate": "student on unfiltered traces, no labels",
    "star_ce": "star_sft, then cross-entropy for GRPO",
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
    """`star over teacher: x1.045 [1.012, 1.079], p 0.001 (headline), 99 tasks of 33 users (teacher: kind)`."""
    a, b = comparison["a"], comparison["b"]
    lo, hi = comparison["ci95"]
    figures = f"x{decimal(comparison['ratio'])} [{decimal(lo)}, {decimal(hi)}]"
    tasks = f"{comparison['n_tasks']:,} tasks of {comparison['n_users']:,} users"
    against = f" (teacher: {kind})" if TEACHER in (a, b) else ""
    return f"{a} over {b}: {figures}, p {p_value(comparison)}, {tasks}{against}"


def by_seed(system: Mapping[str, Any]) -> str:
    """avg_hr of each training seed, `0.714 0.716 0.713`; a dash where there was one training."""
    return " ".join(map(decimal, system["by_seed"].values())) if system["n_seeds"] > 1 else "–"


def several_seeds(evaluation: Mapping[str, Any]) -> bool:
    """Whether a system was trained more than once."""
    return any(system["n_seeds"] > 1 for system in evaluation["systems"].values())


def p_value(comparison: Mapping[str, Any]) -> str:
    """`0.001 (headline)`, or `0.012 (corrected)` of a comparison that was not declared as the headline."""
    if comparison["headline"]:
        return f"{_small(comparison['p'])} (headline)"
    return f"{_small(comparison['p_corrected'])} (corrected)"


def _small(p: float) -> str:
    return f"{p:.2g}" if p >= 0.0005 else "under 0.0005"


_CITING: Final[Mapping[str, str]] = {
    "star_think": "by construction: decoding is constrained to the facts of the trace's tools",
    "star_think_ungrounded": "the same student, decoding unconstrained",
    "teacher": "the teacher",
}
"""How a system comes to its citations."""
_UNCONSTRAINED: Final = "as it learned to cite: its decoding is constrained to the form of a trace alone"
"""Of a language model's think mode, beside which no unconstrained one stands."""


def citing_notes(faithfulness: Mapping[str, Any]) -> Mapping[str, str]:
    """How each system comes to its citations, by its name."""
    return _CITING if "star_think_ungrounded" in faithfulness else {**_CITING, "star_think": _UNCONSTRAINED}


def citation_lines(results: Mapping[str, Any]) -> list[str]:
    """`star_think_ungrounded (the same student, decoding unconstrained): 81 of 90 citations hold, …` for each
    system whose traces were held against the graph."""
    found = results.get("faithfulness", {})
    notes = citing_notes(found)
    return [
        f"{name} ({notes.get(name, name)}): {counts['holds']:,} of {counts['citations']:,} "
        f"citations hold, {counts['uncited_numerals']:,} figures without one; "
        f"{counts['reflections_with_cited_figure']:,} of {counts['reflections']:,} reflections cite a figure; "
        f"{counts['traces']:,} traces"
        for name, counts in found.items()
        if "citations" in counts
    ]


def scenario_notes(results: Mapping[str, Any]) -> list[str]:
    """What has to be known of the scenarios: which are not measurable, whom they could not ask, and what the
    data's times do not allow to claim; a sentence each."""
    shown = {evaluation["scenario"] for evaluation in results["evaluations"]}
    notes = [
        f"{name}: {counts['tasks']:,} tasks of {counts['needed']:,} needed; "
        + ("its figures are for orientation only." if name in shown else "not measurable.")
        for name, counts in results.get("not_measurable", {}).items()
    ]
    notes += [
        f"{name}: no task for {counts['users_without_a_task']:,} users with a test item."
        for name, counts in results.get("scenarios", {}).items()
        if counts["users_without_a_task"]
    ]
    clock = results.get("clock_note", {}).get("note")
    return notes if clock is None else [*notes, clock]


def evidence_line(results: Mapping[str, Any]) -> str | None:
    """`evidence of a task (all signals at once): p50 2.1 ms, p99 5.0 ms`, if it was timed."""
    timed = results.get("latency_ms", {}).get(EVIDENCE)
    if timed is None:
        return None
    figures = ", ".join(f"{level} {duration(timed[level])}" for level in ("p50", "p99"))
    return f"evidence of a task (all signals at once): {figures}"


def unconverged_line(results: Mapping[str, Any]) -> str | None:
    """Which peers had not stopped improving when their training ended, if there are any."""
    names = [name for name, peer in results.get("peers", {}).items() if peer["converged"] is False]
    if not names:
        return None
    return f"{', '.join(names)} had not stopped improving when training ended, and may rank better than shown"


def student_over_teacher(results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The headline comparison, if it was made and has a ratio."""
    return _compared(results, STUDENT, TEACHER)


def verdict(comparison: Mapping[str, Any]) -> str:
    """What a comparison of student and teacher shows, no more than its interval carries."""
    return (
        "The student ranks better than its teacher.",
        "Student and teacher cannot be told apart: the interval includes no difference.",
        "The student ranks worse than its teacher.",
    )[_side(comparison)]


_CONTROLS: Final[Mapping[str, tuple[str, str, str]]] = {
    "star_labels": (
        "Trajectories raise accuracy: trained on the labels alone, the same model ranks worse.",
        "Trajectories add reasons and not accuracy: trained on the labels alone, the same model ranks as well.",
        "Trajectories cost accuracy: trained on the labels alone, the same model ranks better.",
    ),
    "star_ce": (
        "GRPO adds to what cross-entropy on the same labels gives.",
        "GRPO adds nothing that cross-entropy on the same labels would not give.",
        "Cross-entropy on the same labels gives more than GRPO.",
    ),
    "star_imitate": (
        "The outcome filter pays: imitating all runs ranks worse.",
        "The outcome filter changes nothing that can be told: imitating all runs ranks as well.",
        "The outcome filter costs accuracy: imitating all runs ranks better.",
    ),
    "mlp_evidence": (
        "The student reads the evidence better than a small MLP that is given every number of it.",
        "A small MLP that is given every number of the evidence ranks as well as the student.",
        "A small MLP that is given every number of the evidence ranks better than the student.",
    ),
    "mlp_levels": (
        "The student makes more of its own input than a small MLP does.",
        "A small MLP makes as much of the student's own input: the language model adds nothing to it.",
        "A small MLP makes more of the student's own input than the student does.",
    ),
    "teacher_tuned": (
        "The student ranks better than its teacher's rules with their constants fitted on the same labels.",
        "Its teacher's rules, with their constants fitted on the same labels, rank as well as the student.",
        "Its teacher's rules, with their constants fitted on the same labels, rank better than the student.",
    ),
}
"""What it means where the student is better than a control, cannot be told apart from it, or is worse."""


def lessons(results: Mapping[str, Any]) -> list[str]:
    """What controls, peers and clocks say about the headline, one sentence each with its figures."""
    found = []
    for name, meanings in _CONTROLS.items():
        if (compared := _compared(results, STUDENT, name)) is not None:
            found.append(f"{meanings[_side(compared)]} {_figures(compared)}")
    evaluation = results["evaluations"][0]
    if (peer := best_peer(results)) is not None and (compared := _compared(results, STUDENT, peer)) is not None:
        better = ("ranks better than", "cannot be told apart from", "ranks worse than")[_side(compared)]
        late = results["peers"][peer].get("converged") is False
        unfinished = ", which had not stopped improving" if late else ""
        found.append(f"The student {better} the best peer, {peer}{unfinished}. {_figures(compared)}")
    latency = results.get("latency_ms", {})
    if STUDENT in latency and TEACHER in latency:
        own, other = latency[STUDENT]["p50"], latency[TEACHER]["p50"]
        pace = "slower" if own > other else "quicker"
        found.append(
            f"The student is {pace} than its teacher: {duration(own)} a request against {duration(other)}."
        )
    broken = [name for name, facts in results.get("controls", {}).items() if facts.get("broken")]
    found += [f"{name} does not reach its reference and counts as broken." for name in broken]
    if missing := [name for name in ("mlp_evidence",) if name not in evaluation["systems"]]:
        found.append(f"Not measured in this run: {', '.join(missing)}.")
    return found


def best_peer(results: Mapping[str, Any]) -> str | None:
    """The peer with the highest avg_hr in the first evaluation."""
    systems = results["evaluations"][0]["systems"]
    peers = [name for name in results.get("peers", {}) if name in systems]
    return max(peers, key=lambda name: float(systems[name]["avg_hr"]), default=None)


def leading_systems(results: Mapping[str, Any]) -> list[str]:
    """Student, teacher, the best control and the best peer, as far as they were measured."""
    systems = results["evaluations"][0]["systems"]
    controls = [name for name in results.get("controls", {}) if name in systems]
    control = max(controls, key=lambda name: float(systems[name]["avg_hr"]), default=None)
    tool = results.get("best_tool", {}).get("name")
    named = (STUDENT, TEACHER, control, best_peer(results), tool)
    return [name for name in dict.fromkeys(named) if name in systems]


def _compared(results: Mapping[str, Any], a: str, b: str) -> Mapping[str, Any] | None:
    for comparison in results["comparisons"]:
        if (comparison["a"], comparison["b"]) == (a, b) and comparison["ratio"] is not None:
            return dict(comparison)
    return None


def _side(comparison: Mapping[str, Any]) -> int:
    """0 where the interval is above no difference, 1 where it holds it, 2 where it is below."""
    lo, hi = comparison["ci95"]
    return 0 if lo is not None and lo > 1 else 2 if hi is not None and hi < 1 else 1


def _figures(comparison: Mapping[str, Any]) -> str:
    lo, hi = comparison["ci95"]
    pair = f"{comparison['a']} over {comparison['b']}"
    return f"({pair}: x{decimal(comparison['ratio'])} [{decimal(lo)}, {decimal(hi)}])"


def shift_notes(distributions: Mapping[str, Any]) -> list[str]:
    """Which signals are distributed otherwise than in training (`signal_distributions` of results.json), a
    sentence each; one sentence where none is strongly."""
    notes, most = [], (0.0, "")
    for kind, trained in COMPARED_WITH.items():
        for signal, of in distributions["signals"].items():
            most = max(most, (of[kind]["shift"], f"{signal} ({kind})"))
            if of[kind]["shift"] >= STRONG_SHIFT:
                notes.append(f"{signal}, {kind}: {_shifted(of[kind], of[trained])}")
    if notes:
        return notes
    return [f"No signal is shifted strongly from training; most is {most[1]}, by {most[0]:.2f}."]


def _shifted(asked: Mapping[str, Any], trained: Mapping[str, Any]) -> str:
    """`unknown for 100% of the candidates, for 0% in training (shift 1.00).`, or the two medians."""
    size = f"(shift {asked['shift']:.2f})."
    if None in (asked["quantiles"], trained["quantiles"]) or (
        abs(asked["unknown"] - trained["unknown"]) > asked["shift"] / 2
    ):
        shares = [f"{each['unknown']:.0%}" for each in (asked, trained)]
        return f"unknown for {shares[0]} of the candidates, for {shares[1]} in training {size}"
    medians = [f"{each['quantiles'][1]:.2g}" for each in (asked, trained)]
    return f"median {medians[0]}, in training {medians[1]} {size}"


def score_range(distribution: Mapping[str, Any]) -> str:
    """`0.01 · 0.12 · 0.5, 3% unknown`: the quantiles of a signal's scores, and the share of unknown ones where
    it is not 0%."""
    shown = " · ".join(f"{value:.2g}" for value in distribution["quantiles"] or ())
    unknown = f"{distribution['unknown']:.0%} unknown" if distribution["unknown"] >= 0.005 else ""
    return ", ".join(part for part in (shown, unknown) if part)


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


def plain_value(value: object) -> str:
    """A figure of results.json for a cell; `–` for None."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)
