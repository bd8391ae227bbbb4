"""The inference engine: one student, two modes.

`fast` ranks in one pass over the candidates' rows of evidence (`rows`, `fast`), 2 to 200 of them, the same
whatever their order. `think` writes the whole trajectory: it plans, calls tools, reads their answers, reflects
and ranks. Answers are looked up for real and inserted while the key-value cache is kept, so the cost of a trace
is its own tokens once.

What thinking knows of a candidate it has asked for: there is no evidence in its prompt. It may also ask
its own fast mode for its order (`calls.FAST_ORDER`).

What it writes is constrained so that every trace parses and every citation holds (`trace`). Before it ranks, it
looks at `compare` as the teacher's Ranker always does: a student that would skip that is made to ask, which is
noted among the repairs. The ranking is a score for each candidate after `<recommend>`, so it is always a
permutation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast
from transformers import logging as transformers_logging

from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.errors import RunError, StarrecError
from starrec.student.call_grammar import CallGrammar
from starrec.student.calls import fast_order
from starrec.student.config import MAX_LABELS
from starrec.student.export import export
from starrec.student.fast import FAST_FILE, LANGUAGE_MODEL, Scorer
from starrec.student.fast_mode import FastMode, load_network
from starrec.student.grounding import Grounding, figure_tokens
from starrec.student.nano import ROWS_FILE, Nano
from starrec.student.reading import read_alone, read_together
from starrec.student.trace import Step, Thought, Trace, ended
from starrec.student.training import THREADS
from starrec.tools import Toolbox, World
from starrec.trajectories import TAGS

TOGETHER: Final = 64
"""Traces that are written side by side."""
_ALONE: Final = 512
"""So many traces are written before another process has started."""
_TAGS: Final = {mark for tag in TAGS for mark in (f"<{tag}>", f"</{tag}>")}


class Star(FastMode):
    """A student with the world that it looks things up in: fast mode, and think mode."""

    def __init__(
        self,
        model: Nano,
        tokenizer: PreTrainedTokenizerFast,
        world: World,
        fast: Scorer | None = None,
    ) -> None:
        """
        Args:
            fast: fast mode of these weights; exported when it is first needed unless given.
        """
        torch.set_num_threads(THREADS)
        self.model = model.eval()
        self._fast = fast
        self._exporting = Lock()
        self.tokenizer = tokenizer
        self.world = world
        self.figures = np.array(figure_tokens(tokenizer))
        vocabulary = tokenizer.get_vocab().items()
        self.calls = CallGrammar(tokenizer)
        self.brackets = np.array(sorted(at for token, at in vocabulary if "<" in token or ">" in token))
        """Tokens with a raw `<` or `>` (tags among them): text between tags may hold none."""
        self.tags = {token: at for token, at in vocabulary if token in _TAGS}
        """The token of each opening and closing tag."""
        self.marks = frozenset(self.tags.values())
        self.vocabulary = len(tokenizer)

    @classmethod
    def load(cls, folder: Path, world: World) -> Self:
        """A student saved by `save`.

        Raises:
            RunError: the folder holds no student, or a corrupt one.
            StarrecError: it holds a language model.
        """
        if (folder / LANGUAGE_MODEL).exists():
            raise StarrecError(
                f"The student in {folder} is a language model, which is not trained on. For this distill one "
                'with `[student] base = "nano"`.'
            )
        if not (folder / "model.safetensors").exists():
            raise RunError(
                f"There is no student in {folder}. Train one with `starrec distill` or `starrec run`."
            )
        again = "Delete that folder and run `starrec distill` again."
        # Without its configuration transformers would fill the memory with a Llama of 7 billion parameters.
        for name in ("config.json", "tokenizer.json", ROWS_FILE, FAST_FILE):
            if not (folder / name).exists():
                raise RunError(f"The student in {folder} lacks its {name}. {again}")
        transformers_logging.disable_progress_bar()
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
            model = Nano.load(folder)
        except Exception as error:  # whatever the libraries find wrong with their files
            raise RunError(
                f"The student in {folder} cannot be loaded ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}). {again}"
            ) from error
        return cls(model, tokenizer, world, load_network(folder))

    def __reduce__(self) -> tuple[type[Self], tuple[Nano, PreTrainedTokenizerFast, World, Scorer]]:
        return type(self), (self.model, self.tokenizer, self.world, self.fast)

    def save(self, folder: Path) -> None:
        """Write model, tokenizer and the graph of fast mode to a folder."""
        transformers_logging.disable_progress_bar()
        self.model.save(folder)
        self.tokenizer.save_pretrained(folder)
        self.fast.save(folder)

    @property
    def fast(self) -> Scorer:
        """Fast mode of the weights."""
        # torch.export is not for two threads at a time.
        with self._exporting:
            if self._fast is None:
                self._fast = export(self.model)
            return self._fast

    def trained(self) -> None:
        """To be called when the weights have changed: fast mode follows them."""
        self._fast = None

    def fast_order(self, toolbox: Toolbox, scores: NDArray[np.float32] | None = None) -> str:
        """What the tool `fast_order` answers: the order of fast mode.

        Args:
            scores: of the task's candidates in fast mode, in their order, where they are known already.
        """
        if scores is None:
            scores = self._scored(toolbox)[2]
        return fast_order(scores, toolbox.labels, toolbox.ties)

    def think(
        self, task: RankingTask, *, grounded: bool = True, edit: Callable[[str], str] | None = None
    ) -> Thought:
        """Think mode, one request: greedy, so the same task gives the same trace.

        Args:
            grounded: whether facts can only be cited as this trace's tools stated them; off to measure how well
                the student cites on its own.
            edit: gives the answer that is read in place of a tool's; to measure what the ranking follows from.

        Raises:
            StarrecError: there are more candidates than labels, or as `rank`.
        """
        return ended(self.thinking(task, grounded=grounded, edit=edit))

    @torch.inference_mode()
    def thinking(
        self, task: RankingTask, *, grounded: bool = True, edit: Callable[[str], str] | None = None
    ) -> Generator[Step, None, Thought]:
        """`think` as it is written: each step when it is complete, in the end the whole."""
        trace = self._trace(task, grounded, edit)
        passes, shown = read_alone(self.model, trace.run()), 0
        while True:
            try:
                next(passes)
            except StopIteration as end:
                yield from trace.steps[shown:]
                thought: Thought = end.value
                return thought
            yield from trace.steps[shown:]
            shown = len(trace.steps)

    def think_many(
        self, tasks: Sequence[RankingTask], *, grounded: bool = True, processes: int | None = None
    ) -> Iterator[Thought]:
        """`think` of many tasks, in order, `TOGETHER` of them side by side; arguments and errors as there.

        Args:
            processes: that share hundreds of tasks; None for one a core. Threads would not do: between passes
                of the model a trace is Python, one thread at a time.
        """
        for task in tasks:
            self._check(task, MAX_LABELS)
        with Workers(self, 1 if len(tasks) <= _ALONE else processes) as workers:
            here = partial(self._side_by_side, slots=min(TOGETHER, len(tasks)), grounded=grounded)
            yield from workers.share(partial(_thoughts, grounded=grounded), tasks, here)

    @torch.inference_mode()
    def _side_by_side(
        self, tasks: Iterable[tuple[int, RankingTask]], slots: int, grounded: bool
    ) -> Generator[tuple[int, Thought], None, None]:
        """Thoughts of numbered tasks as they end, so many of them under way at a time."""
        traces = ((number, self._trace(task, grounded, None).run()) for number, task in tasks)
        yield from read_together(self.model, traces, slots)

    def _trace(self, task: RankingTask, grounded: bool, edit: Callable[[str], str] | None) -> Trace:
        self._check(task, MAX_LABELS)
        toolbox = self.world.toolbox(task)
        grounding = Grounding(self.tokenizer, toolbox.labels) if grounded else None
        return Trace(self, toolbox, grounding, edit)


def _thoughts(star: Star, tasks: Sequence[RankingTask], grounded: bool) -> list[Thought]:
    return list(star.think_many(tasks, grounded=grounded, processes=1))


class ThinkMode(Protocol):
    """A student that thinks: nano's `Star`, or a language model that was trained on traces (`LanguageStar`)."""

    def think(self, task: RankingTask) -> Thought:
        """The trace of one task, greedily."""

    def thinking(self, task: RankingTask) -> Generator[Step, None, Thought]:
        """`think` as it is written."""

    def fast_order(self, toolbox: Toolbox) -> str:
        """What the tool `fast_order` answers."""


def load_student(folder: Path, world: World) -> FastMode:
    """A saved student: a `Star`, a `LanguageStar`, or a fast mode alone where a language model was not trained
    on traces.

    Raises:
        RunError: the folder holds no student, or a corrupt one.
        StarrecError: the base of a language model cannot be found.
    """
    if not (folder / LANGUAGE_MODEL).exists():
        return Star.load(folder, world)
    from starrec.student.lm.engine import LanguageStar
    from starrec.student.lm.model import Belongs

    return (FastMode if Belongs.read(folder).chat is None else LanguageStar).load(folder, world)


def load_thinker(folder: Path, world: World) -> ThinkMode:
    """A saved student that thinks.

    Raises:
        CannotThink: it was trained in fast mode only.
        RunError, StarrecError: as `load_student`.
    """
    if not (folder / LANGUAGE_MODEL).exists():
        return Star.load(folder, world)
    from starrec.student.lm.engine import LanguageStar

    return LanguageStar.load(folder, world)
