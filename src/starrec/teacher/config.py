"""Settings of the teacher."""

from __future__ import annotations

from pydantic import Field

from starrec.config import Section


class TeacherConfig(Section):
    """`[teacher]`: which tasks it reasons over, and how often."""

    tasks_per_user: int = Field(
        default=6, ge=1, description="Training positions of each user to reason over, at most."
    )
    runs: int = Field(
        default=4, ge=1, description="Sampled runs a task (K); the outcome filter selects among them."
    )
    min_history: int = Field(default=3, ge=1, description="Items before a training position, at least.")
    seed: int = Field(default=0, description="Seed of exploration.")
