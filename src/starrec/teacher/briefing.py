"""Input of one agent, within the model's context window.

A JSON object: the role, the task in words, what is remembered, and what the role needs of the others' work.
What grows with the rounds goes first when room is short: old answers of tools, what was cited for old findings,
old findings, checks, the middle of the memory. The task itself is never cut; neither is the oldest taste of the
memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json, to_jsonable_python

from starrec.llm.tokens import BYTES, estimate
from starrec.teacher.agents import Brief
from starrec.tools import TOOLS


def role_inputs(role: str, brief: Brief, inputs: Mapping[str, object]) -> dict[str, Any]:
    """The task as the role gets it, with inputs of its own."""
    text: dict[str, Any] = {"agent": role, "task": brief.text}
    if brief.memory:
        text["memory"] = brief.memory
    text |= to_jsonable_python(inputs)
    if brief.explore:
        text["run"] = brief.run
    return text


def tool_descriptions(tools: Sequence[str]) -> list[dict[str, object]]:
    """The tools in words, for a model that cannot call them."""
    return [
        {
            "tool": name,
            "answers": TOOLS[name].description,
            "arguments": list(TOOLS[name].parameters["properties"]),  # type: ignore[call-overload]
        }
        for name in tools
    ]


def as_json(text: Mapping[str, Any]) -> str:
    return to_json(text).decode()


def fitted(text: Mapping[str, Any], room: int) -> dict[str, Any]:
    """The same in at most `room` tokens by estimate, or as near to it as can be without touching the task."""
    kept = dict(text)
    for shorter in (_without_old_answers, _without_old_cites, _without_old_findings, _without_last_checks):
        while estimate(as_json(kept)) > room:
            if (less := shorter(kept)) is None:
                break
            kept = less
    excess = estimate(as_json(kept)) - room
    if excess > 0 and kept.get("memory"):
        kept["memory"] = shortened(kept["memory"], estimate(kept["memory"]) - excess)
    return kept


def shortened(text: str, tokens: int) -> str:
    """The text in at most so many tokens: its beginning and its end, `…` between them."""
    if estimate(text) <= tokens:
        return text
    data = text.encode()
    half = max(tokens * BYTES - 3, 2) // 2
    return data[:half].decode(errors="ignore") + "…" + data[-half:].decode(errors="ignore")


def _without_old_answers(text: Mapping[str, Any]) -> dict[str, Any] | None:
    answers = text.get("answers", [])
    return {**text, "answers": answers[1:]} if answers else None


def _without_old_cites(text: Mapping[str, Any]) -> dict[str, Any] | None:
    findings = text.get("findings", [])
    for at, finding in enumerate(findings):
        if finding["cites"]:
            less = [*findings]
            less[at] = {**finding, "cites": {}}
            return {**text, "findings": less}
    return None


def _without_old_findings(text: Mapping[str, Any]) -> dict[str, Any] | None:
    # The latest of each analyst is what counts; one stays in any case.
    findings = text.get("findings", [])
    return {**text, "findings": findings[1:]} if len(findings) > 1 else None


def _without_last_checks(text: Mapping[str, Any]) -> dict[str, Any] | None:
    checks = text.get("checks", [])
    return {**text, "checks": checks[:-1]} if checks else None
