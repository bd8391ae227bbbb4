"""Does a trace cite what its tools stated, and is that so in the graph?

The tools of the trace's task are called again, in the order of the trace's calls, so its facts have the numbers
under which it cites them, whatever the trace holds as answers. Each citation of its plan and reflections is
held against these facts (`signals.citations`), and each fact that is cited is counted again in the graph as the
task may see it (`signals.recounting`).

Constrained decoding only lets a student cite as its tools stated it, so its citations hold by construction;
what a student knows of citing is what it does without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starrec.data import RankingTask
from starrec.signals import Cited, Fact, FactNumbers, recount
from starrec.tools import CUT, REFUSED, Toolbox, ToolError, World, think_task
from starrec.trajectories import LinearFormError, Trajectory, elements, parse, parse_call

OwnTools: TypeAlias = Mapping[str, Callable[[Toolbox], str]]
"""Tools that a caller has beside those of `tools`, by name; they state no facts."""


@dataclass(frozen=True, slots=True)
class TraceCitations:
    """The citations of one trace."""

    parses: bool
    """Whether the trace is a trajectory in linear form, its ranking a permutation."""
    altered: int
    """Answers of tools that are not what the tools answer."""
    verdicts: Mapping[str, int]
    """Citations by verdict (`signals.citations.Verdict`)."""
    uncited: int
    """Figures that stand without a citation."""
    recounted: int
    """Distinct facts that are cited."""
    recounted_wrong: int
    """Those of which the graph says otherwise."""
    reflections: int
    with_figure: int
    """Reflections that cite a fact rightly, beside one of its figures."""


def check_trace(
    steps: Sequence[tuple[str, str]], world: World, task: RankingTask, own_tools: OwnTools | None = None
) -> TraceCitations:
    """Hold the citations of one trace against its task.

    Args:
        steps: the elements after the task, in order: tag, and what stands between the tags.
        own_tools: of whoever wrote the trace.
    """
    toolbox = world.toolbox(task)
    facts = FactNumbers()
    subjects = dict(zip(toolbox.labels, task.candidates.tolist(), strict=True))
    call = ""
    altered = 0
    written: list[tuple[str, Cited]] = []
    for tag, text in steps:
        if tag == "tool_call":
            call = text
        elif tag == "tool_response":
            # A refusal is not asked again: an agent's calls are also refused for tools that are not its own.
            altered += not (
                text.startswith(REFUSED) or _shows(text, _answer(call, toolbox, facts, own_tools or {}))
            )
        elif tag in ("plan", "reflection"):
            written.append((tag, world.cited(text, facts, subjects)))
    citations = [citation for _, cited in written for citation in cited.citations]
    stated = {fact for citation in citations if (fact := facts.get(citation.number)) is not None}
    reflections = [cited for tag, cited in written if tag == "reflection"]
    return TraceCitations(
        parses=_parses(steps, toolbox),
        altered=altered,
        verdicts=Counter(citation.verdict for citation in citations),
        uncited=sum(len(cited.uncited) for _, cited in written),
        recounted=len(stated),
        recounted_wrong=sum(_wrong(fact, toolbox) for fact in stated),
        reflections=len(reflections),
        with_figure=sum(cited.with_figure for cited in reflections),
    )


def _shows(text: str, answer: str | None) -> bool:
    """Whether a text is an answer, or its beginning, marked as such."""
    mark = CUT.strip()
    if answer is None:
        return False
    return text == answer or (text.endswith(mark) and answer.startswith(text.removesuffix(mark).rstrip()))


def steps_of(trajectory: Trajectory) -> list[tuple[str, str]]:
    """The elements of a trajectory after its task, as `check_trace` takes them.

    Raises:
        TrajectoryError: as `Trajectory.check`.
    """
    return [(tag, text) for tag, text, _ in elements(trajectory)[1:]]


def faithfulness(traces: Iterable[TraceCitations]) -> dict[str, int]:
    """Totals over traces, as results.json holds them."""
    all_of = list(traces)
    verdicts: Counter[str] = Counter()
    for trace in all_of:
        verdicts.update(trace.verdicts)
    return {
        "traces": len(all_of),
        "parsed": sum(trace.parses for trace in all_of),
        "altered": sum(trace.altered for trace in all_of),
        "citations": verdicts.total(),
        **{name: verdicts[name] for name in ("holds", "unknown", "misused", "wrong_figure")},
        "uncited_numerals": sum(trace.uncited for trace in all_of),
        "recounted": sum(trace.recounted for trace in all_of),
        "recounted_wrong": sum(trace.recounted_wrong for trace in all_of),
        "reflections": sum(trace.reflections for trace in all_of),
        "reflections_with_cited_figure": sum(trace.with_figure for trace in all_of),
    }


def _answer(text: str, toolbox: Toolbox, facts: FactNumbers, own_tools: OwnTools) -> str | None:
    """The answer to a call; None where it has none."""
    try:
        call = parse_call(text)
        if call.name in own_tools:
            return own_tools[call.name](toolbox)
        return toolbox.call(call.name, call.arguments, facts)
    except (LinearFormError, ToolError):
        return None


def _wrong(fact: Fact, toolbox: Toolbox) -> bool:
    return recount(fact, toolbox.view) != fact


def _parses(steps: Sequence[tuple[str, str]], toolbox: Toolbox) -> bool:
    text = "".join(f"<{tag}>{content}</{tag}>" for tag, content in [("task", think_task(toolbox)), *steps])
    try:
        parse(text, toolbox.labels)
    except LinearFormError:
        return False
    return True
