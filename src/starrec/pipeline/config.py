"""The configuration of a run: one section for each package that takes part in it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from starrec.config import Section, load_recorded
from starrec.data import DataConfig
from starrec.evaluation import EvaluationConfig
from starrec.pipeline.serving_config import ServingConfig
from starrec.signals import SignalsConfig
from starrec.student import StudentConfig
from starrec.teacher import TeacherConfig


class RunConfig(Section):
    """All settings that decide the results of a run, and those of serving it."""

    data: DataConfig = Field(default_factory=DataConfig, description="Interactions and tasks.")
    signals: SignalsConfig = Field(default_factory=SignalsConfig, description="Evidence and its language.")
    teacher: TeacherConfig = Field(default_factory=TeacherConfig, description="The multi-agent teacher.")
    student: StudentConfig = Field(default_factory=StudentConfig, description="The distilled student.")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="What is measured.")
    serving: ServingConfig = Field(default_factory=ServingConfig, description="How the run is served.")


def recorded_config(folder: Path) -> RunConfig | None:
    """The configuration of the last call over a run folder; None where none was recorded.

    Raises:
        ConfigError: it cannot be read.
    """
    path = folder / "config.toml"
    return load_recorded(path, RunConfig)[0] if path.is_file() else None
