"""Agents backed by language models: the roles, types and tools of the embedded policy, through pydantic-ai, so
that any model it knows can be the teacher.

`LLMAgents` implements the agents' protocol: what each role is asked (`role_agent`) and how its answer is read.
Labels are read forgivingly (`naming`). Which model answers for a role, and how it is asked, is `TeacherConfig`.
An agent that gives no answer is an `AgentError` (`failures`). Whatever else a model writes, the workflow
escapes or repairs.

Needs the extra `llm`; without it, importing this module raises a `StarrecError` that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, get_args

from starrec.errors import ConfigError, StarrecError
from starrec.llm import ModelConfig
from starrec.llm.ways import Ways
from starrec.teacher.agents import (
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
from starrec.teacher.config import Role, TeacherConfig
from starrec.teacher.naming import candidates, is_exact
from starrec.tools import Window

try:
    from pydantic_ai.models import Model

    from starrec.llm.models import ConnectedModel, Models
    from starrec.llm.tokens import estimate
    from starrec.teacher import briefing
    from starrec.teacher.role_agent import Memory, RoleAgent
except ImportError as error:
    raise StarrecError(
        f"A teacher backed by a language model needs the extra `llm` ({error}): pip install 'starrec[llm]'"
    ) from error

_MEMORY: Final = 8
"""What is remembered takes at most this part of the context window."""


class LLMAgents:
    """The agents, by language models. They keep no state of a task: any number may wait for them at once."""

    kind: str

    def __init__(self, config: TeacherConfig, *, model: Model | None = None) -> None:
        """
        Args:
            model: asked in place of the models that the configuration names, in its ways and within its limits.

        Raises:
            ConfigError: a model cannot be there (no such name, no key, no package), its context window leaves
                no room for a task, or it is "embedded".
        """
        self._config, self._limits = config, config.limits
        self._models = Models(config.limits, config.telemetry, model)
        self._roles: dict[Role, RoleAgent] = {}
        self._assign_roles()
        names = dict.fromkeys(agent.connected.model.model_name for agent in self._roles.values())
        self.kind = f"language model agents ({', '.join(names)})"

    def _assign_roles(self) -> None:
        for role in get_args(Role):
            connected = self._models.of(self._config.model_of(role))
            self._roles[role] = RoleAgent(role, connected, self._limits, self._models.instrumentation)

    def model_of(self, agent: str) -> ConnectedModel:
        """The model that answers for this agent."""
        return next(found.connected for role, found in self._roles.items() if role == agent)

    def adopt(self, config: ModelConfig, ways: Ways) -> None:
        """From now on, ask the model of this setting in these ways."""
        self._models.adopt(config, ways)
        self._assign_roles()

    @property
    def models(self) -> list[ConnectedModel]:
        """Every model of the team, once."""
        return list({agent.connected.config: agent.connected for agent in self._roles.values()}.values())

    def first_contact(self) -> AbstractContextManager[None]:
        """As `Models.first_contact`."""
        return self._models.first_contact()

    async def close(self) -> None:
        """Close the connections that were made in this event loop."""
        await self._models.close()

    async def remember(self, brief: Brief, window: Window) -> str:
        agent, inputs = self._roles["memory"], _window_inputs(window, brief.memory)
        needed = estimate(briefing.as_json(inputs))
        if needed > agent.room:
            raise ConfigError(
                f"A window of {len(window.mentions)} items of a long history takes about {needed} tokens, and "
                f"the context window leaves {agent.room}. Set `limits.context` of the teacher to what the "
                f"model has (it is {self._limits.context}), serve the model with a larger one, or lower "
                f"`limits.output_tokens` ({self._limits.output_tokens})."
            )
        remembered: Memory = await agent.answer(brief, inputs)
        return briefing.shortened(remembered.text, self._limits.context // _MEMORY)

    async def plan(self, brief: Brief) -> Plan:
        plan: Plan = await self._ask("planner", brief)
        return plan

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        finding: Finding = await self._ask(analyst, brief, call, plan=plan, requests=requests)
        known = candidates(brief.labels, brief.text)
        cites = {
            known.label(name) or name: [cite.strip() for cite in cites] for name, cites in finding.cites.items()
        }
        # A model may sign as another analyst; trust is given to the one who was asked.
        return Finding(analyst=analyst, order=self._labels(finding.order, brief), cites=cites)

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
        verdict: Verdict = await self._ask(
            "reflector",
            brief,
            plan=plan,
            findings=findings,
            answers=answers,
            checks=checks,
            round=round,
            final=final,
        )
        requests = [
            request.model_copy(update={"candidates": self._labels(request.candidates, brief)})
            for request in verdict.requests
        ]
        lead = self._labels(verdict.lead, brief)
        return Verdict(text=verdict.text, requests=requests, lead=lead, trust=verdict.trust)

    async def rank(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        verdict: Verdict,
        call: Caller,
    ) -> Decision:
        decision: Decision = await self._ask(
            "ranker", brief, call, plan=plan, findings=findings, answers=answers, verdict=verdict
        )
        order = self._labels(decision.order, brief)
        if sorted(order) != sorted(brief.labels):
            brief.meter.repaired({"ranking": 1})
        return Decision(order=order)

    async def _ask(self, role: Role, brief: Brief, call: Caller | None = None, **inputs: object) -> Any:
        return await self._roles[role].answer(brief, briefing.role_inputs(role, brief, inputs), call)

    def _labels(self, names: Sequence[str], brief: Brief) -> list[str]:
        if not all(is_exact(name, brief.labels) for name in names):
            brief.meter.repaired({"labels": 1})
        return candidates(brief.labels, brief.text).read(names)


def _window_inputs(window: Window, memory: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {"agent": "memory"}
    if memory:
        inputs["memory"] = memory
    return inputs | {"window": {"items": list(window.mentions), "tastes": dict(window.tastes)}}
