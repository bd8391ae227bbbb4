"""Try-out before a run: one task through every role, and ways of asking that its models accept.

A model is not known by its name: its server may refuse a parameter, a form of answers or tools, and its
answers may come in no readable form. Found out task by task this costs a whole run, so one real task of the
run is played first as all the others will be, every analyst included, and thrown away. Where a model refuses,
or cannot be read, other ways are tried (`llm.ways`): those that `[teacher.model]` leaves open are adopted and
announced, others are named in the error. What was adopted is kept in a file of the run, so that all its runs
are asked in one way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, get_args

from starrec.errors import ConfigError
from starrec.llm import ModelConfig
from starrec.llm.guard import Problem
from starrec.llm.ways import Ways, alternatives
from starrec.runs import write_atomic
from starrec.teacher.agents import ANALYSTS, AgentError, Brief, Meter, Plan
from starrec.teacher.config import Role
from starrec.teacher.llm import LLMAgents
from starrec.teacher.workflow import run
from starrec.tools import Toolbox
from starrec.trajectories import Cost

_ATTEMPTS: Final = 3
"""Times that a model is asked in the same ways before its unreadable answers are no accident."""
_TRIALS: Final = 24
"""Ways that are tried at most."""
_STAGES: Final[Sequence[str]] = ("memory", *(role for role in get_args(Role) if role != "memory"))
_ADAPTABLE: Final = ("refused", "server")
_ENDED: Final[dict[Problem, str]] = {
    "key": "refuses the key. Look at what {key}; `api_key_env` names the variable of the key",
    "name": "is not there. Look at the name in `model`, and whether `base_url` has the right path (most "
    "servers: /v1)",
    "quota": "has no quota left. Top up the account, or name another model",
    "timeout": "did not answer within `timeout`, {timeout:g} s. Raise it, or look at the server",
    "unreachable": "cannot be reached. Start its server, or correct `base_url`",
    "server": "fails. Look at its server",
    "refused": "refuses what the agents ask. Look at `model` and `base_url`",
    "no completion": "answers with something that is no chat completion. Look at `base_url` (most servers: "
    "/v1)",
    "other": "cannot be asked. Look at `model`",
}


class TryOut:
    """The try-out of a team."""

    def __init__(
        self, agents: LLMAgents, announce: Callable[[str], None] = lambda line: None, kept: Path | None = None
    ) -> None:
        """
        Args:
            announce: gets a line about ways that were adopted.
            kept: file in which they are remembered for the run; those in it are adopted at once.
        """
        self._agents, self._announce, self._kept = agents, announce, kept
        self._remembered: dict[str, Ways] = _read(kept) if kept else {}
        for model in agents.models:
            ways = self._remembered.get(_name(model.config))
            if ways is not None:
                agents.adopt(model.config, ways)

    async def play(self, toolbox: Toolbox, number: int, explore: bool) -> Cost:
        """Play this task as its run of this number would be played; what that took.

        Raises:
            ConfigError: a model cannot be asked or read in any of the ways that are open; the message says
                why, and with which settings it can.
        """
        self._toolbox, self._number, self._explore = toolbox, number, explore
        self._meter = Meter()
        self._tried: set[tuple[str, Ways]] = set()
        before = {_name(model.config): model.ways for model in self._agents.models}
        failure = await self._attempt()
        for _ in range(_ATTEMPTS - 1):
            if failure is None or failure.reason == "endpoint":
                break
            failure = await self._attempt()
        while failure is not None and failure.problem != "busy":
            failure = await self._adapted(failure)
        self._settle(before)
        return self._meter.cost()

    async def _attempt(self) -> AgentError | None:
        """Play the task; what it failed of."""
        try:
            with self._agents.first_contact():
                await run(
                    _EveryRole(self._agents),
                    self._toolbox,
                    number=self._number,
                    explore=self._explore,
                    reflections=1,
                    meter=self._meter,
                )
        except AgentError as error:
            return error
        return None

    async def _adapted(self, failure: AgentError) -> AgentError | None:
        """Adopt ways with which the team comes further, and give what it fails of then.

        Raises:
            ConfigError: there are none.
        """
        model = self._agents.model_of(failure.agent)
        config, ways = model.config, model.ways
        if failure.reason == "endpoint" and failure.problem not in _ADAPTABLE:
            raise ConfigError(_problem(config, failure))
        pinned = config.output != "auto"
        result = await self._further(config, ways, failure, same_form=pinned)
        if result is not failure:
            return result
        if pinned and (found := await self._advice(config, ways, failure)):
            raise ConfigError(f"{_problem(config, failure)} With {found} in [teacher.model] it answers.")
        raise ConfigError(_problem(config, failure))

    async def _further(
        self, config: ModelConfig, ways: Ways, failure: AgentError, *, same_form: bool
    ) -> AgentError | None:
        """The first outcome that is better than the failure, with its ways adopted; or the failure."""
        refused = failure.problem in _ADAPTABLE
        for changed in alternatives(ways, str(failure), refused=refused, same_form=same_form):
            if (_name(config), changed) in self._tried or len(self._tried) >= _TRIALS:
                continue
            self._tried.add((_name(config), changed))
            self._agents.adopt(config, changed)
            outcome = await self._attempt()
            if outcome is None or _is_better(outcome, failure):
                return outcome
        self._agents.adopt(config, ways)
        return failure

    async def _advice(self, config: ModelConfig, ways: Ways, failure: AgentError) -> str:
        """Settings with which the task succeeds, beyond those that are left open; empty for none."""
        outcome: AgentError | None = failure
        while outcome is not None:
            model = self._agents.model_of(outcome.agent)
            last = outcome
            outcome = await self._further(model.config, model.ways, last, same_form=False)
            if outcome is last:
                break
        found = self._agents.model_of(failure.agent).ways
        self._agents.adopt(config, ways)
        return "" if outcome is not None else found.settings(ways)

    def _settle(self, before: dict[str, Ways]) -> None:
        changed = False
        for model in self._agents.models:
            name = _name(model.config)
            if model.ways != before[name]:
                settings = model.ways.settings(before[name])
                self._announce(
                    f"the model {model.config.model!r} is asked with {settings}: otherwise it refused, or "
                    "could not be read. Set this in [teacher.model] to begin so"
                )
                self._remembered[name] = model.ways
                changed = True
        if changed and self._kept is not None:
            records = {name: asdict(ways) for name, ways in self._remembered.items()}
            write_atomic(self._kept, json.dumps(records, indent=1) + "\n")


class _EveryRole:
    """The agents, with every analyst consulted and no work sent back."""

    def __init__(self, agents: LLMAgents) -> None:
        self._agents = agents
        self.kind = agents.kind
        self.remember = agents.remember
        self.study = agents.study
        self.reflect = agents.reflect
        self.rank = agents.rank

    async def plan(self, brief: Brief) -> Plan:
        plan = await self._agents.plan(brief)
        others = {name: 1 for name in ANALYSTS if name not in plan.trust}
        return plan.model_copy(update={"trust": {**plan.trust, **others}})


def _is_better(outcome: AgentError, failure: AgentError) -> bool:
    """Whether the team came further, or its request was accepted, or another part of it was refused."""

    def reached(error: AgentError) -> tuple[int, bool]:
        return _STAGES.index(error.agent), error.reason != "endpoint"

    if outcome.problem == failure.problem == "refused" and reached(outcome) == reached(failure):
        return re.sub(r"[\d\W]+", "", str(outcome)) != re.sub(r"[\d\W]+", "", str(failure))
    return reached(outcome) > reached(failure)


def _problem(config: ModelConfig, failure: AgentError) -> str:
    where = f"The model {config.model!r}" + (f" at {config.base_url}" if config.base_url else "")
    if failure.reason != "endpoint":
        return f"{where} cannot play the agents; a task of this run was tried {_ATTEMPTS} times. {failure}"
    key = f"the environment variable {config.api_key_env} holds" if config.api_key_env else "it needs"
    wrong = next((text for problem, text in _ENDED.items() if problem == failure.problem), _ENDED["other"])
    return f"{where} {wrong.format(key=key, timeout=config.timeout)}. {failure}"


def _name(config: ModelConfig) -> str:
    """The settings that decide how a model is asked, as text."""
    kept = ("model", "base_url", "output", "tools", "leave_out", "token_limit", "force_tools", "system_role")
    return json.dumps({name: getattr(config, name) for name in kept}, separators=(",", ":"))


def _read(path: Path) -> dict[str, Ways]:
    if not path.exists():
        return {}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        return {name: Ways.from_record(record) for name, record in records.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} does not say how models are asked ({error}). Delete it to have them tried out again."
        ) from error
