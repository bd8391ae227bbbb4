"""Checks of findings for the Reflector: which of their claims are not true of the graph.

Each sentence that an analyst cites is held against the evidence checker, for what the task may see. A sentence
that a tool said of the very candidate, word for word, was made from the fact that it states, so it is not read
again. What is false and what nobody can verify goes to the Reflector, and so does a first choice for which
nothing is cited: it may send exactly those back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starrec.teacher.agents import Check, Finding
from starrec.tools import Toolbox
from starrec.trajectories import Message

UNCITED = "no evidence is cited for this first choice"


def unverified(findings: Sequence[Finding], messages: Sequence[Message], toolbox: Toolbox) -> list[Check]:
    """What of the findings' claims cannot stand.

    Args:
        messages: the messages of the run; those of tools are what may be cited as it is.
    """
    answers = [message.content for message in messages if message.role == "tool"]
    return [check for finding in findings for check in _of(finding, answers, toolbox)]


def _of(finding: Finding, answers: Sequence[str], toolbox: Toolbox) -> Iterator[Check]:
    for label, cite in finding.cites.items():
        if any(f"{label} {cite}" in answer for answer in answers):
            continue
        for checked in toolbox.check(cite):
            if checked.verdict != "verified":
                start, end = checked.span
                yield Check(finding.analyst, label, cite[start:end], checked.verdict, checked.reason)
    if finding.order and not finding.cites.get(finding.order[0]):
        yield Check(finding.analyst, finding.order[0], "", "unverifiable", UNCITED)
