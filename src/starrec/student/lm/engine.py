"""Both modes of a language model that was trained on traces: one set of weights, fast mode and think mode.

Traces are written one at a time, each turn by itself where several threads ask.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Self

from starrec.data import RankingTask
from starrec.errors import CannotThink
from starrec.student.calls import fast_order
from starrec.student.config import MAX_LABELS
from starrec.student.fast_mode import FastMode
from starrec.student.lm.chat import Chat
from starrec.student.lm.model import LanguageModel
from starrec.student.lm.think import Thinker
from starrec.student.trace import Step, Thought
from starrec.tools import Toolbox, World


class LanguageStar(FastMode):
    """A language model with the world that it looks things up in."""

    def __init__(self, model: LanguageModel, world: World) -> None:
        """
        Args:
            model: one that was trained on traces, or is to be.
        """
        assert model.belongs.chat is not None, "`load` refuses a student without think mode"
        super().__init__(model, world)
        self.model = model
        self.chat = Chat.of(model.tokenizer, model.belongs.chat)
        self.fast_order_tool = self.fast_order if model.belongs.chat.fast_order else None
        """Where traces may ask for it."""
        self._thinker = Thinker(model.plain, self.chat, world, fast_order=self.fast_order_tool)

    @classmethod
    def load(cls, folder: Path, world: World) -> Self:
        """A student saved by `save`.

        Raises:
            RunError: the folder holds none, or a corrupt one.
            CannotThink: it was not trained on traces.
            StarrecError: its base cannot be found.
        """
        model = LanguageModel.load(folder, world)
        if model.belongs.chat is None:
            raise CannotThink(
                f"The student in {folder} is a language model that was not trained on traces, so it ranks in "
                "fast mode only. For think mode set `[student.lm.traces.sft] epochs` above 0, or `[student] "
                'base = "nano"`, and run `starrec distill` again.'
            )
        return cls(model, world)

    def fast_order(self, toolbox: Toolbox) -> str:
        """What the tool `fast_order` answers: the order of fast mode."""
        return fast_order(self._scored(toolbox)[2], toolbox.labels, toolbox.ties)

    def think(self, task: RankingTask) -> Thought:
        """Think mode, one request: greedy, so the same task gives the same trace.

        Raises:
            StarrecError: there are more candidates than labels, or as `rank`.
        """
        self._check(task, MAX_LABELS)
        return self._thinker.think(task)

    def thinking(self, task: RankingTask) -> Generator[Step, None, Thought]:
        """`think` as it is written: the steps of each turn when it is complete, in the end the whole."""
        self._check(task, MAX_LABELS)
        return self._thinker.thinking(task)
