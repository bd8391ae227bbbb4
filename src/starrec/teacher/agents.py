"""The seven agents of MARS: what each is told and what each must answer, and the one protocol for asking them.

STAR, section 3.1: a Planner decides whom to consult, four analysts study the user through the tools, a
Reflector checks consistency and evidence and may send work back, a Ranker decides. The workflow knows the
agents only through `Agents`. Its two implementations are the embedded policy (`policy`, plain functions) and
agents backed by a language model (`llm`); both take and give these types and call the same tools.

Answers are pydantic models because a language model's answers must be validated; labels are strings `‹A›`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from starrec.data import RankingTask
from starrec.errors import StarrecError
from starrec.hashing import Keys
from starrec.tools import Window
from starrec.trajectories import Cost, Reason, Spent

Analyst: TypeAlias = Literal["user_profile", "historical_interest", "recent_interest", "interest_divergence"]
ANALYSTS: Final[tuple[Analyst, ...]] = get_args(Analyst)

TOOLS_OF: Final[Mapping[Analyst, tuple[str, ...]]] = {
    "user_profile": ("profile", "item_facts", "content"),
    "historical_interest": ("ease", "item_cf", "user_cf"),
    "recent_interest": ("item_cf", "user_cf"),
    "interest_divergence": ("transitions", "contrary"),
}
"""The tools that each analyst may call."""


# Schemas say more than is validated: decoding under a grammar needs names and bounds to come to an end.
_Trust: TypeAlias = Annotated[
    dict[Analyst, int],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"type": "integer", "minimum": 1, "maximum": 9} for name in ANALYSTS},
            "additionalProperties": False,
        }
    ),
]
Labels: TypeAlias = Annotated[
    list[str],
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{1,2}$"}, "maxItems": 26}),
]
"""Candidates by label, as models write them."""
_PROSE: Final[dict[str, JsonValue]] = {"maxLength": 600}


@dataclass(slots=True)
class Meter:
    """Adds up what the answers of a run took, by agent, and what of them was repaired."""

    agents: dict[str, Spent] = field(default_factory=dict)
    repairs: dict[str, int] = field(default_factory=dict)

    def add(self, agent: str, spent: Spent) -> None:
        self.agents[agent] = self.agents.get(agent, Spent()) + spent

    def repaired(self, kinds: Mapping[str, int]) -> None:
        """Count answers that were read otherwise than they were written."""
        for kind, count in kinds.items():
            self.repairs[kind] = self.repairs.get(kind, 0) + count

    def cost(self) -> Cost:
        return Cost(dict(self.agents), dict(self.repairs))


class AgentError(StarrecError):
    """An agent gave no answer; other tasks can go on."""

    def __init__(self, message: str, agent: str, reason: Reason, problem: str = "") -> None:
        """
        Args:
            problem: for the reason "endpoint", which one (`llm.guard.Problem`).
        """
        super().__init__(message)
        self.agent = agent
        self.reason = reason
        self.problem = problem

    def __reduce__(self) -> tuple[type[AgentError], tuple[str, str, Reason, str]]:
        return AgentError, (str(self), self.agent, self.reason, self.problem)


@dataclass(frozen=True, slots=True)
class Check:
    """A citation of a finding that does not hold, or a first choice without one."""

    analyst: Analyst
    label: str
    """The candidate that it was cited for."""
    cite: str
    """As the analyst wrote it, such as `#12`; empty where nothing is cited."""
    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class Brief:
    """The task as agents see it. There is no target in it, nor any way to one."""

    task: RankingTask
    text: str
    """The task in words: history and labelled candidates (`tools.think_task`)."""
    labels: tuple[str, ...]
    run: int
    """Which run over this task; with `explore`, what makes one sampled run differ from the next."""
    explore: bool
    """Whether to vary plan and trust (for teaching) or to answer greedily (for evaluation)."""
    ties: Keys
    """`(c,)` a hash of each candidate, for ordering what is equal: places must decide nothing."""
    meter: Meter = field(default_factory=Meter)
    """Where agents say what an answer took."""
    memory: str = ""
    """What is remembered of the interactions before those in `text`; empty where there are none."""


class Plan(BaseModel):
    """The Planner's answer."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(
        description="The plan in one or two sentences: what kind of history, whom to trust.",
        json_schema_extra=_PROSE,
    )
    trust: _Trust = Field(description="Analysts to consult, in this order, each with a trust from 1 to 9.")
    rounds: int = Field(default=2, ge=1, le=4, description="Reflections at most.")


class Request(BaseModel):
    """Work that the Reflector sends back."""

    model_config = ConfigDict(frozen=True)

    analyst: Analyst
    tool: str = Field(description="A tool of that analyst.")
    candidates: Labels = Field(description="Labels to ask about.")


class Finding(BaseModel):
    """An analyst's answer."""

    model_config = ConfigDict(frozen=True)

    analyst: Analyst
    order: Labels = Field(description="Labels, most promising first; candidates without evidence left out.")
    cites: dict[str, list[str]] = Field(
        default_factory=dict,
        description="For a label, the numbers of the facts that speak for it best, such as #12.",
    )


class Verdict(BaseModel):
    """The Reflector's answer."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(
        description="What agrees, what conflicts or is thin, on what evidence.", json_schema_extra=_PROSE
    )
    requests: list[Request] = Field(
        default_factory=list,
        description="Work sent back; empty to accept.",
        json_schema_extra={"maxItems": 3},
    )
    lead: Labels = Field(
        default_factory=list, description="When accepting: labels that the evidence puts first, in order."
    )
    trust: _Trust = Field(
        default_factory=dict, description="Analysts whose trust changes by what was found, from 1 to 9."
    )


class Decision(BaseModel):
    """The Ranker's answer."""

    model_config = ConfigDict(frozen=True)

    order: Labels = Field(description="All labels, best first.")


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """A tool's answer to an agent, with the call that asked."""

    tool: str
    arguments: Mapping[str, object]
    text: str


class Caller(Protocol):
    """The tools as one agent may call them; every call lands in the trajectory."""

    def __call__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> Answer:
        """Raises ToolError where the call cannot be answered; what went wrong is in the trajectory then."""


Scores: TypeAlias = NDArray[np.float64]


class Agents(Protocol):
    """How the workflow asks. Coroutines, so that many tasks can wait for a model at once."""

    kind: str
    """What a report calls this teacher, such as "embedded policy, no learned weights"."""

    # The workflow times what it asks; tokens and money are the agent's to tell (`Brief.meter`).

    async def remember(self, brief: Brief, window: Window) -> str:
        """Fold the next window of old interactions into `brief.memory`, and give all that is to be
        remembered."""

    async def plan(self, brief: Brief) -> Plan:
        """Decide whom to consult and how far to trust each."""

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        """Study the user with the analyst's tools; requests are what a reflection sent back (empty at
        first)."""

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
        """Weigh the findings of all rounds so far; a final verdict cannot send work back.

        Args:
            answers: of the tools, all so far; the facts that findings cite stand in them.
            checks: what of the findings' citations does not hold.
        """

    async def rank(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        verdict: Verdict,
        call: Caller,
    ) -> Decision:
        """Order all candidates; `answers` as in `reflect`."""
