"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field

from starrec.config import Section
from starrec.evaluation.peers import PeerName


class EvaluationConfig(Section):
    """`[evaluation]`: what is measured on the test tasks."""

    seed: int = Field(default=0, description="Seed of the bootstrap, of the random system and of subsets.")
    n_resamples: int = Field(default=2000, ge=100, description="Bootstrap resamples of users.")
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
