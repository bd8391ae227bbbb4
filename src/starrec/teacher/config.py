"""Settings of the teacher: what it reasons over, which models answer for its agents, and their limits."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, model_validator

from starrec.config import Section
from starrec.engines import EngineName
from starrec.llm import LimitsConfig, ModelConfig
from starrec.teacher.agents import Analyst

Role: TypeAlias = Literal["planner", Analyst, "reflector", "ranker", "memory"]
"""Whom a model can be named for. "memory" sums up long histories; the planner's model does it otherwise."""


class TeacherConfig(Section):
    """`[teacher]`: which tasks it reasons over, how often, and by which model."""

    tasks_per_user: int = Field(
        default=6, ge=1, description="Training positions of each user to reason over, at most."
    )
    users: int | None = Field(
        default=None, ge=1, description="Users, by seeded hash, who are reasoned about, at most. Unset: all."
    )
    runs: int = Field(
        default=4, ge=1, description="Sampled runs a task (K); the outcome filter selects among them."
    )
    min_history: int = Field(default=1, ge=1, description="Items before a training position, at least.")
    short_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of the training positions that have at most 5 items before them (a short history).",
    )
    seed: int = Field(default=0, description="Seed of exploration.")
    engine: EngineName = Field(
        default="processes",
        description='Where the embedded policy works: "processes" (on this machine) or "ray" (on a cluster). A '
        "language model is asked from this process.",
    )
    address: str = Field(
        default="",
        description='Of the Ray cluster: "host:port", or "local" to start one here. Empty: RAY_ADDRESS, or the '
        "cluster that runs on this machine.",
    )
    telemetry: bool = Field(
        default=False,
        description="Whether to send OpenTelemetry traces to where OTEL_EXPORTER_OTLP_ENDPOINT says.",
    )
    model: ModelConfig = Field(
        default_factory=ModelConfig, description="The model that answers for all agents."
    )
    roles: dict[Role, ModelConfig] = Field(
        default_factory=dict,
        description="Another model for one agent: planner, user_profile, historical_interest, recent_interest, "
        "interest_divergence, reflector, ranker, or memory (which sums up long histories).",
    )
    limits: LimitsConfig = Field(
        default_factory=LimitsConfig,
        description="Retries and rate limits of the models, and limits of an answer.",
    )

    @property
    def decisive(self) -> dict[str, Any]:
        """What decides the answer to a task, for fingerprints. Left out: settings at their default, which tasks
        are asked, where the work is done, how a model is reached, its retries and its rate limits."""
        access = {
            "timeout",
            "api_key_env",
            "input_usd",
            "output_usd",
            "say_task",
            "leave_out",
            "token_limit",
            "force_tools",
            "system_role",
        }
        retries_and_rates = set(LimitsConfig.model_fields) - {
            "requests",
            "calls",
            "corrections",
            "output_tokens",
            "context",
        }
        settings = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={
                "tasks_per_user": True,
                "users": True,
                "runs": True,
                "min_history": True,
                "short_share": True,
                "engine": True,
                "address": True,
                "telemetry": True,
                "model": access,
                "roles": {"__all__": access},
                "limits": retries_and_rates,
            },
        )
        return {name: value for name, value in settings.items() if value != {}}

    def model_of(self, role: Role) -> ModelConfig:
        """The setting of the model that answers for this role."""
        if role == "memory" and role not in self.roles:
            role = "planner"
        return self.roles.get(role, self.model)

    @model_validator(mode="after")
    def _is_one_kind(self) -> TeacherConfig:
        if self.address and self.engine != "ray":
            raise ValueError('`address` is of a Ray cluster; set `engine = "ray"` too')
        if self.model.embedded and self.roles:
            raise ValueError("`roles` name models for some agents; name one for the others in `model`")
        if embedded := [role for role, model in self.roles.items() if model.embedded]:
            raise ValueError(f"`roles.{embedded[0]}` needs a `model`: no agent of a team is embedded alone")
        return self
