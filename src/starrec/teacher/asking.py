"""Runs by language models: tried out, then taught, over connections of one event loop.

Needs the extra `llm`, as `teacher.llm` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from starrec.teacher.budget import Ended, Spending
from starrec.teacher.config import TeacherConfig
from starrec.teacher.llm import LLMAgents
from starrec.teacher.teach import Work, teach_with
from starrec.teacher.tryout import TryOut
from starrec.tools import World
from starrec.trajectories import Store


def teach_by_models(
    config: TeacherConfig,
    world: World,
    work: Sequence[Work],
    columns: Mapping[str, int],
    store: Store,
    *,
    announce: Callable[[str], None],
    kept: Path | None = None,
    explore: bool = True,
    spending: Spending | None = None,
    agents: LLMAgents | None = None,
) -> Iterator[list[Ended]]:
    """As `teach_with`, by the models that the configuration names, each tried out before the first run.

    Args:
        announce: gets a line where a model has to be asked in another way than usual.
        kept: file in which that is remembered for the run.
        agents: made of the same configuration before; None to make them.

    Raises:
        ConfigError: a model cannot be asked, or not be read; the message says what to set.
        RunError: as `teach_with`.
    """
    agents = agents or LLMAgents(config)
    yield from teach_with(
        agents,
        world,
        work,
        columns,
        store,
        concurrency=config.limits.concurrency,
        explore=explore,
        spending=spending,
        first=TryOut(agents, announce, kept).play,
        last=agents.close,
    )
