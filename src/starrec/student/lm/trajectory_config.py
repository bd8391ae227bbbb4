"""Settings of training a pretrained base on trajectories."""

from __future__ import annotations

from pydantic import Field

from starrec.config import Section


class TrajectorySFTConfig(Section):
    """Stage 1 on trajectories: what the teacher's agents wrote, token by token."""

    epochs: float = Field(default=3.0, gt=0, description="Passes over the kept runs.")
    batch: int = Field(default=16, ge=1, description="Runs a step.")
    parts: int = Field(
        default=16, ge=1, description="Parts of a step, one after the other; they divide `batch`."
    )
    learning_rate: float = Field(
        default=2e-4, gt=0, description="Peak learning rate of adapters (2e-5 for all weights in the paper)."
    )
    warmup: float = Field(default=0.03, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    leave_out: bool = Field(
        default=False,
        description="Whether runs that are longer than the context are left out. If not, it is an error.",
    )


class TrajectoryGRPOConfig(Section):
    """Stage 2 on trajectories: the model's own traces, rewarded (STAR, section 3.4)."""

    steps: int = Field(default=200, ge=1, description="Optimizer steps.")
    tasks: int = Field(default=2, ge=1, description="Tasks a step.")
    group: int = Field(default=8, ge=2, description="Traces sampled for each task (G).")
    learning_rate: float = Field(
        default=1e-5, gt=0, description="Peak learning rate of adapters (1e-6 for all weights in the paper)."
    )
    kl: float = Field(default=0.001, ge=0, description="Weight of the KL divergence from the model before.")
    temperature: float = Field(default=0.7, gt=0, description="Of sampling.")
    citations: float = Field(
        default=0.5,
        ge=0,
        description="Weight of the reward for citations that hold, beside format and outcome.",
    )
    trace_tokens: int = Field(
        default=3072,
        ge=64,
        description="Tokens of one trace at most, answers of tools included; less in a small context.",
    )
    turn_tokens: int = Field(default=600, ge=16, description="Tokens of one turn of the model at most.")
