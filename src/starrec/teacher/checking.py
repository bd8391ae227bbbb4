"""Checks of findings for the Reflector: which of their citations do not hold.

A citation holds if its fact was said in this run and is about the candidate that it is cited for. What does not
hold goes to the Reflector, and so does a first choice for which nothing is cited: it may send exactly those
back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starrec.signals import FactNumbers
from starrec.signals.citations import CITATION
from starrec.teacher.agents import Check, Finding
from starrec.tools import Toolbox

UNCITED = "no fact is cited for this first choice"


def unverified(findings: Sequence[Finding], facts: FactNumbers, toolbox: Toolbox) -> list[Check]:
    """What of the findings' citations cannot stand.

    Args:
        facts: those that tools said in the run so far.
    """
    return [check for finding in findings for check in _of(finding, facts, toolbox)]


def problem(label: str, cite: str, facts: FactNumbers, toolbox: Toolbox) -> str:
    """What is wrong with a fact cited for a candidate; empty where nothing is."""
    number = CITATION.fullmatch(cite.strip())
    fact = facts.get(int(number.group(1))) if number else None
    if fact is None:
        return f"{cite!r} is no fact that a tool said; facts go from #1 to #{len(facts)}"
    if label not in toolbox.labels:
        return f"{label!r} is no candidate"
    if fact.subject != int(toolbox.task.candidates[toolbox.labels.index(label)]):
        return f"{cite} is not about {label}"
    return ""


def _of(finding: Finding, facts: FactNumbers, toolbox: Toolbox) -> Iterator[Check]:
    for label, cites in finding.cites.items():
        for cite in cites:
            if reason := problem(label, cite, facts, toolbox):
                yield Check(finding.analyst, label, cite, reason)
    if finding.order and not finding.cites.get(finding.order[0]):
        yield Check(finding.analyst, finding.order[0], "", UNCITED)
