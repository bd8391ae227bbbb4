"""Settings of the evaluation."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from starrec.config import Section
from starrec.data import SCENARIOS, Scenario
from starrec.evaluation.peers import PeerName

ControlName: TypeAlias = Literal[
    "mlp_evidence", "mlp_levels", "teacher_tuned", "star_labels", "star_imitate", "star_ce"
]


class EvaluationConfig(Section):
    """`[evaluation]`: what is measured on the test tasks."""

    seed: int = Field(default=0, description="Seed of the bootstrap, of the random system and of subsets.")
    n_resamples: int = Field(default=2000, ge=100, description="Bootstrap resamples of users.")
    scenarios: tuple[Scenario, ...] = Field(
        default=SCENARIOS,
        description="Ways of asking for the test items that are evaluated, `classic` among them; one with "
        "fewer than 300 tasks is reported as not measurable.",
    )
    scenario_draws: int = Field(
        default=1, ge=1, description="Draws of candidates for each user in the scenarios beside `classic`."
    )
    scenario_users: int = Field(
        default=500,
        ge=0,
        description="Users (by seeded hash) asked about in each scenario beside `classic`, at most; 0 for all.",
    )
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
    peers: tuple[PeerName, ...] = Field(
        default=("ease_decayed",),
        description="Recommenders of other libraries and papers that are tuned and rank the same tasks: "
        "ease_decayed; with the extra `bench` lenskit_item_knn, lenskit_user_knn, lenskit_ease, lenskit_als; "
        "recbole_sasrec (hours; docs/evaluation.md).",
    )
    worked_examples: int = Field(default=3, ge=1, description="Traces shown in the report.")
    controls: tuple[ControlName, ...] = Field(
        default=("mlp_evidence", "mlp_levels", "teacher_tuned"),
        description="Controls in the table: mlp_evidence, mlp_levels, teacher_tuned; and, each as long as the "
        "student's training, star_labels, star_imitate, star_ce.",
    )

    @field_validator("scenarios", mode="before")
    @classmethod
    def _no_split(cls, value: object) -> object:
        if isinstance(value, (list, tuple)) and "item_cold_start" in value:
            raise ValueError(
                "item_cold_start holds out other items and is a run of its own: set `[data] hold_out = "
                '"item_cold_start"`, in a run folder of its own'
            )
        return value

    @field_validator("scenarios")
    @classmethod
    def _with_classic(cls, value: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
        if "classic" not in value or len(set(value)) < len(value):
            raise ValueError("name each scenario once, and `classic` among them: the headline is about it")
        return value

    @field_validator("headline")
    @classmethod
    def _two_systems(cls, headline: tuple[str, str]) -> tuple[str, str]:
        if headline[0] == headline[1]:
            raise ValueError("name two different systems")
        return headline
