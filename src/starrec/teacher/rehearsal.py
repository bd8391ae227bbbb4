"""Agents that play by the embedded policy and count what a language model in their place would be sent.

Each role's instructions, tools and input are counted as `teacher.llm` would send them, and what the policy
answers as it would be written. A model words its answers differently and turns to its tools as it likes, so
every count has three cases:

    low       all of an agent's tool calls in one turn; answers as short as the policy's; 4.5 characters a token
    expected  the mean of both ways to call; answers twice as long; 3.5 characters a token
    high      a turn for every call, which tells everything again; answers four times as long; 2.5 characters
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from pydantic_core import to_json

from starrec.teacher.agents import (
    TOOLS_OF,
    Agents,
    Analyst,
    Answer,
    Brief,
    Caller,
    Check,
    Decision,
    Finding,
    Plan,
    Request,
    Verdict,
)
from starrec.teacher.config import Role
from starrec.tools import TOOLS, Window

_CHARACTERS: Final = np.array([4.5, 3.5, 2.5])
_WORDIER: Final = np.array([1.0, 2.0, 4.0])


@dataclass(frozen=True, slots=True)
class Count:
    """What a role would take; each `(3,) float64`: low, expected, high."""

    requests: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    prompt_tokens: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    completion_tokens: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def __add__(self, other: Count) -> Count:
        return Count(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


class Rehearsal:
    """See above; the count of all runs so far is in `counts`, by role."""

    def __init__(self, agents: Agents) -> None:
        self.kind = agents.kind
        self.counts: dict[Role, Count] = {}
        self._agents = agents

    async def remember(self, brief: Brief, window: Window) -> str:
        memory = await self._agents.remember(brief, window)
        self._count("memory", brief, {"memory": brief.memory, "window": list(window.mentions)}, memory, [])
        return memory

    async def plan(self, brief: Brief) -> Plan:
        plan = await self._agents.plan(brief)
        self._count("planner", brief, {}, plan, [])
        return plan

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        counting = _CountedCalls(call)
        finding = await self._agents.study(analyst, brief, plan, requests, counting)
        inputs = {"plan": plan, "requests": requests}
        self._count(analyst, brief, inputs, finding, counting.calls, TOOLS_OF[analyst])
        return finding

    async def reflect(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        checks: Sequence[Check],
        round: int,
        final: bool,
    ) -> Verdict:
        verdict = await self._agents.reflect(brief, plan, findings, answers, checks, round, final)
        inputs = {
            "plan": plan,
            "findings": findings,
            "answers": answers,
            "checks": checks,
            "round": round,
            "final": final,
        }
        self._count("reflector", brief, inputs, verdict, [])
        return verdict

    async def rank(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        verdict: Verdict,
        call: Caller,
    ) -> Decision:
        counting = _CountedCalls(call)
        decision = await self._agents.rank(brief, plan, findings, answers, verdict, counting)
        inputs = {"plan": plan, "findings": findings, "answers": answers, "verdict": verdict}
        self._count("ranker", brief, inputs, decision, counting.calls, ("compare",))
        return decision

    def _count(
        self,
        role: Role,
        brief: Brief,
        inputs: Mapping[str, object],
        answer: BaseModel | str,
        calls: Sequence[tuple[int, int]],
        tools: Sequence[str] = (),
    ) -> None:
        text = {"agent": role, "task": brief.text, **inputs}
        schema = type(answer) if isinstance(answer, BaseModel) else None
        first = _standing(role, tuple(tools), schema) + len(to_json(text).decode())
        written = len(to_json(answer).decode()) + sum(asked for asked, _ in calls)
        # With every further turn, all before it is sent again.
        grown = [first]
        for asked, answered in calls:
            grown.append(grown[-1] + asked + answered)
        at_once = [first, grown[-1]] if calls else [first]
        requests = np.array([len(at_once), (len(at_once) + len(grown)) / 2, len(grown)], dtype=np.float64)
        prompt = np.array([sum(at_once), (sum(at_once) + sum(grown)) / 2, sum(grown)], dtype=np.float64)
        count = Count(requests, prompt / _CHARACTERS, written * _WORDIER / _CHARACTERS)
        self.counts[role] = self.counts.get(role, Count()) + count


class _CountedCalls:
    """A caller that notes the characters of each call and of its answer."""

    def __init__(self, call: Caller) -> None:
        self._call = call
        self.calls: list[tuple[int, int]] = []

    def __call__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> Answer:
        answer = self._call(tool, arguments)
        self.calls.append((len(tool) + len(to_json(arguments)), len(answer.text)))
        return answer


@cache
def _standing(role: Role, tools: tuple[str, ...], schema: type[BaseModel] | None) -> int:
    """Characters that stand in every request of a role: instructions, tools and the schema of its answer."""
    prompts = files("starrec.teacher").joinpath("prompts")
    texts = [
        path.read_text(encoding="utf-8")
        for path in (prompts.joinpath("team.md"), prompts.joinpath(f"{role}.md"))
        if path.is_file()
    ]
    specs = [to_json({"description": TOOLS[tool].description, **TOOLS[tool].parameters}) for tool in tools]
    described = to_json(schema.model_json_schema()) if schema else b""
    return sum(map(len, texts)) + sum(map(len, specs)) + len(described)
