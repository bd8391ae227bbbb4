"""Fast mode over a world: tasks in, rankings out; without PyTorch where the student is nano's.

`engine.Star` is a fast mode that can also think; what only ranks needs no more than this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from starrec.cores import cores
from starrec.data import RankingTask, check_known
from starrec.errors import RunError, StarrecError
from starrec.ranking import Ranking, order_by_scores
from starrec.student.fast import CANDIDATES, FAST_FILE, LANGUAGE_MODEL, FastNetwork, Scorer
from starrec.student.rows import FastTasks, gather_tasks, hashed_order, rows_of_evidence
from starrec.tools import Toolbox, World

TIE_SEED: Final = 5
_BATCH: Final = 256
_DECIMALS: Final = 5
"""Of scores, for ties: equal rows may get scores that differ in their last bits by where they stand."""


class FastAnswer(NamedTuple):
    """What fast mode says of one task with c candidates."""

    candidates: NDArray[np.int32]
    """`(c,)` as they were given."""
    best: NDArray[np.int64]
    """`(c,)` places of candidates, best first."""
    scores: NDArray[np.float32]
    """`(c,)` in the order of the candidates."""
    numbers: NDArray[np.float32]
    """`(c, N_NUMBERS)` the rows that were read."""
    order: NDArray[np.int64]
    """`(c,)` the candidate that each row is about."""

    @classmethod
    def of(
        cls,
        candidates: NDArray[np.int32],
        scores: NDArray[np.float32],
        numbers: NDArray[np.float32],
        order: NDArray[np.int64],
    ) -> Self:
        """What follows from scores."""
        best = order_by_scores(candidates, scores.round(_DECIMALS), TIE_SEED)
        return cls(candidates, best, scores, numbers, order)

    @property
    def ranking(self) -> Ranking:
        """The candidates, best first."""
        return Ranking(tuple(self.candidates[self.best].tolist()))


class FastMode:
    """A student's fast mode with the world that it looks things up in."""

    def __init__(self, fast: Scorer, world: World) -> None:
        self._fast: Scorer | None = fast
        self.world = world

    @property
    def fast(self) -> Scorer:
        """What scores."""
        assert self._fast is not None, "only a student that is trained goes without"
        return self._fast

    @classmethod
    def load(cls, folder: Path, world: World) -> Self:
        """The fast mode of a student that `Star.save` saved.

        Raises:
            RunError: the folder holds none, or a corrupt one.
        """
        return cls(load_scorer(folder, world), world)

    def save(self, folder: Path) -> None:
        """Write the student to a folder."""
        self.fast.save(folder)

    def rank(self, task: RankingTask, toolbox: Toolbox | None = None) -> Ranking:
        """Fast mode, one request, evidence look-up included; arguments and errors as of `answer`."""
        return self.answer(task, toolbox).ranking

    def answer(self, task: RankingTask, toolbox: Toolbox | None = None) -> FastAnswer:
        """As `rank`, with the scores and what they were computed from.

        Args:
            toolbox: of the task, where its evidence is also needed elsewhere: it is gathered once.

        Raises:
            StarrecError: there are fewer than 2 candidates or more than can be ranked, one stands twice, or the
                task names an item or a user that the data do not have.
        """
        self._check(task)
        order, numbers, scores = self._scored(toolbox or self.world.toolbox(task))
        return FastAnswer.of(task.candidates, scores, numbers, order)

    def rank_many(self, tasks: Sequence[RankingTask]) -> list[Ranking]:
        """Fast mode for many tasks; raises as `answer`."""
        return [answer.ranking for answer in self.answer_many(tasks)]

    def answer_many(self, tasks: Sequence[RankingTask], threads: int | None = None) -> Iterator[FastAnswer]:
        """As `answer`, for many tasks, in order.

        Args:
            threads: that share the look-ups; None for one a core.
        """
        for task in tasks:
            self._check(task)
        for start in range(0, len(tasks), _BATCH):
            part = tasks[start : start + _BATCH]
            found = gather_tasks(self.world, part, threads or cores())
            given = found.as_given(self.fast.scores(found))
            for task, scores, numbers, order in zip(part, given, found.numbers, found.order, strict=True):
                size = len(scores)
                yield FastAnswer.of(task.candidates, scores, numbers[:size], order[:size])

    def _scored(self, toolbox: Toolbox) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The order `(c,)` of the rows of a task's candidates, the rows `(c, N_NUMBERS)`, and scores `(c,)` of
        candidates as they were given."""
        candidates = toolbox.task.candidates
        order = hashed_order(candidates)
        numbers = rows_of_evidence(toolbox.evidence, order)
        scores = np.empty(len(order), dtype=np.float32)
        scores[order] = self.fast.scores(FastTasks(numbers[None], order[None], candidates[order][None]))[0]
        return order, numbers, scores

    def _check(self, task: RankingTask, most: int | None = None) -> None:
        """Refuse a task that a mode, which ranks at most so many candidates, cannot rank; None: fast mode."""
        n = len(task.candidates)
        if most is None and n > self.fast.most < CANDIDATES:
            raise StarrecError(
                f"Task {task.task_id} has {n} candidates; this language model ranks at most "
                f"{self.fast.most}, by its labels and its context. A student whose `[student] base` is `nano` "
                f"ranks {CANDIDATES}."
            )
        most = self.fast.most if most is None else most
        if n > most:
            way = "Rank them in fast mode" if n <= CANDIDATES else "Retrieve the most promising ones first"
            raise StarrecError(
                f"Task {task.task_id} has {n} candidates; at most {most} can be ranked here. {way}."
            )
        if n < 2:
            raise StarrecError(f"Task {task.task_id} has {n} candidates. There must be 2 or more to rank.")
        ordered = np.sort(task.candidates)
        if (ordered[1:] == ordered[:-1]).any():
            raise StarrecError(f"Task {task.task_id} names a candidate twice. Give each once.")
        graph = self.world.graph
        check_known(task, graph.n_items, len(graph.counts.lengths))


def load_scorer(folder: Path, world: World) -> Scorer:
    """What scores in a saved student: the network of nano, or a language model; raises as `load_network`."""
    if not (folder / LANGUAGE_MODEL).exists():
        return load_network(folder)
    from starrec.student.lm.model import LanguageModel  # imports torch

    return LanguageModel.load(folder, world)


def load_network(folder: Path) -> FastNetwork:
    """The network of a saved nano.

    Raises:
        RunError: the folder holds none, or a corrupt one.
    """
    if not (folder / FAST_FILE).exists():
        raise RunError(f"There is no student in {folder}. Train one with `starrec distill` or `starrec run`.")
    try:
        return FastNetwork.load(folder)
    except Exception as error:  # whatever ONNX Runtime finds wrong with its file
        raise RunError(
            f"The student in {folder} cannot be loaded ({type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}). Delete that folder and run `starrec distill` again."
        ) from error
