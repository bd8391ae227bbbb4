"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field, field_validator

from starrec.config import Section


class EvaluationConfig(Section):
    """`[evaluation]`: what is measured on the test tasks."""

    seed: int = Field(default=0, description="Seed of the bootstrap, of the random system and of subsets.")
    n_resamples: int = Field(default=2000, ge=100, description="Bootstrap resamples of users.")
    headline: tuple[str, str] = Field(
        default=("star", "teacher"),
        description="The comparison that is declared before the run: the first system over the second on the "
        "classic test tasks. All other p-values are corrected for the number of comparisons.",
    )
    think_users: int = Field(
        default=300, ge=1, description="Users (by seeded hash, one draw each) that think mode answers."
    )
    ungrounded_users: int = Field(
        default=100, ge=1, description="Users of those that think mode also answers without grounded decoding."
    )
    teacher_users: int = Field(
        default=300,
        ge=1,
        description="Users (by seeded hash, one draw each) that a teacher backed by a language model answers; "
        "the embedded policy answers all.",
    )
    latency_requests: int = Field(default=300, ge=20, description="Requests timed one by one in fast mode.")
    probe_tasks: int = Field(
        default=300, ge=1, description="Tasks on which the student's reading of its evidence is probed."
    )
    tie_seeds: int = Field(
        default=3, ge=1, description="Orders of equal times under which tools and teacher are compared."
    )
    worked_examples: int = Field(default=3, ge=1, description="Traces shown in the report.")

    @field_validator("headline")
    @classmethod
    def _two_systems(cls, headline: tuple[str, str]) -> tuple[str, str]:
        if headline[0] == headline[1]:
            raise ValueError("name two different systems")
        return headline
