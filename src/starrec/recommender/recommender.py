"""The recommender: a finished run that ranks, recommends and explains.

Retrieval over the whole catalogue nominates items that pass the filter, one pass of the student ranks them, and
each item that is shown comes with the family of signals that moved its score most, as a sentence. A known user
is answered by her own history, and her own edges stay out of everything that is counted for her; a history that
is given stands in place of hers. Names of items are ids or titles; an exact id wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from starrec.data import MENTION, RankingTask
from starrec.engines import run_async
from starrec.errors import StarrecError
from starrec.evaluation.systems import SYSTEMS
from starrec.hashing import combine
from starrec.pipeline.serving import Serving
from starrec.ranking import order_by_scores
from starrec.recommender.answers import Explanation, Item, Recommendations, Row
from starrec.recommender.batches import recommend_all
from starrec.recommender.filters import Where
from starrec.recommender.ranked import Ranked, columns_of, of_star, rank_with
from starrec.recommender.reasons import deciding_families, families_of, reason
from starrec.recommender.requests import Requests, require_count
from starrec.signals.citations import CITATION
from starrec.student.fast_mode import TIE_SEED
from starrec.teacher import EmbeddedPolicy, run
from starrec.tools import NOMINATED, Toolbox, think_task
from starrec.trajectories import elements

if TYPE_CHECKING:
    from starrec.student import Step, ThinkMode, Thought

THOUGHT: Final = 20
"""Items that think mode ranks, of those that fast mode puts first."""


class Recommender:
    """A finished run, ready to answer. Make one with `starrec.load` or `starrec.fit`."""

    def __init__(self, serving: Serving, system: str | None = None) -> None:
        """
        Args:
            system: what ranks: `star`, `teacher` or a tool (`evaluation.SYSTEMS`); None for what was chosen on
                validation half B, and the student where nothing was evaluated.

        Raises:
            StarrecError: there is no such system.
        """
        known = ("star", "teacher", *SYSTEMS)
        if system is not None and system not in known:
            raise StarrecError(f"There is no system {system!r} to serve. Choose one of {', '.join(known)}.")
        self.serving = serving
        self.system: str = system or (serving.chosen or {}).get("system", "star")
        self.requests = Requests(serving)
        self._world = serving.fast.world

    def in_memory(self) -> Recommender:
        """The same with its counts in memory: worth it for whoever asks a thousand times."""
        return Recommender(self._in_memory, self.system)

    @cached_property
    def _in_memory(self) -> Serving:
        return self.serving.in_memory()

    @property
    def why_served(self) -> str:
        """Why another system than the student ranks, as a sentence; empty where the student does."""
        if self.system == "star":
            return ""
        found = (self.serving.chosen or {}).get("validation_avg_hr", {})
        if self.system not in found or "star" not in found:
            return f"Ranked by {self.system}, as asked."
        return (
            f"Ranked by {self.system}: avg_hr {found[self.system]:.3f} on validation half B, where the student "
            f"has {found['star']:.3f}."
        )

    @cached_property
    def star(self) -> ThinkMode:
        """The whole student, which think mode needs.

        Raises:
            CannotThink: it was trained in fast mode only.
        """
        # Imports torch, which whoever only ranks does without.
        from starrec.student import load_thinker

        return load_thinker(self.serving.student, self._world)

    def recommend(
        self,
        user: str | None = None,
        history: Sequence[str] | None = None,
        n: int = 10,
        *,
        where: Where | None = None,
        exclude: Sequence[str] = (),
        reasons: bool = True,
        think: bool = False,
    ) -> Recommendations:
        """The best n items of the catalogue outside the history.

        Args:
            user: a user of the data, by id.
            history: items, oldest first; in place of the user's own where both are given.
            where: `categories` (one or several, of which an item must have one) and `year` (one, or the first
                and the last); filters apply before anything is cut.
            exclude: items that are left out.
            reasons: whether each item comes with its reason.
            think: whether the student thinks about the items that it puts first (`THOUGHT`); the trace comes
                with the answer, and decides.

        Raises:
            UnknownUser, UnknownItem: what was named is not in the data; the latter with near titles.
            FilterLeavesNothing: no item is left.
            StarrecError: neither a user nor a history, or n is not 1 to `CANDIDATES`.
        """
        require_count(n)
        asked = self.requests.asked(user, history)
        task = self.requests.nominated(asked, max(NOMINATED, n), self.requests.allowed(where, exclude))
        toolbox = self._world.toolbox(task)
        ranked, thought = self._ranked(task, toolbox), None
        if think and len(task.candidates) > 1:
            ranked, thought = self._rethought(ranked)
        answer = self._answer(ranked, toolbox, n, asked.notes, reasons)
        return replace(answer, thought=thought)

    def rank(
        self,
        candidates: Sequence[str],
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        reasons: bool = False,
    ) -> Recommendations:
        """The caller's candidates, 1 to `CANDIDATES` of them, ranked; other arguments and errors as of
        `recommend`."""
        asked = self.requests.asked(user, history)
        task = asked.about(self.requests.candidates(candidates))
        toolbox = self._world.toolbox(task)
        return self._answer(self._ranked(task, toolbox), toolbox, len(candidates), asked.notes, reasons)

    def rank_many(
        self, asked: Sequence[tuple[str | None, Sequence[str] | None, Sequence[str]]]
    ) -> list[Recommendations | StarrecError]:
        """`rank` for many requests (user, history, candidates), those of the student in one batch; an error in
        place of an answer where a request is wrong."""
        answers: dict[int, Recommendations | StarrecError] = {}
        batch: list[tuple[int, RankingTask, tuple[str, ...]]] = []
        for at, (user, history, candidates) in enumerate(asked):
            try:
                whom = self.requests.asked(user, history)
                task = whom.about(self.requests.candidates(candidates))
                if self._system(task) == "star":
                    batch.append((at, task, whom.notes))
                else:
                    ranked = self._ranked(task, self._world.toolbox(task))
                    answers[at] = self._recommendations(ranked, len(candidates), whom.notes)
            except StarrecError as error:
                answers[at] = error
        found = self.serving.fast.answer_many([task for _, task, _ in batch])
        for (at, task, notes), answer in zip(batch, found, strict=True):
            ranked = of_star(task, answer)
            answers[at] = self._recommendations(ranked, len(ranked.order), notes)
        return [answers[at] for at in range(len(asked))]

    def recommend_all(
        self,
        n: int = 10,
        *,
        users: Sequence[str] | None = None,
        where: Where | None = None,
        exclude: Sequence[str] = (),
        out: Path | str | None = None,
        advance: Callable[[int], object] = lambda users: None,
    ) -> pl.DataFrame:
        """The best n items of each user, by the student, in batches on all cores: rows of `user_id, rank,
        item_id, title, score`, users in the order given, else in that of the data. A user who took all that
        passes has none. Counts are read into memory at the first call, and stay there.

        Args:
            users: ids; None for every user of the data.
            out: Parquet file to write as well; it appears whole or not at all.
            advance: called with the number of users done since the last call.

        Raises:
            StarrecError: as of `recommend`.
        """
        return recommend_all(
            self._in_memory,
            n,
            users=users,
            allowed=self.requests.allowed(where, exclude),
            out=None if out is None else Path(out),
            advance=advance,
        )

    def similar(
        self, item: str, n: int = 10, *, where: Where | None = None, exclude: Sequence[str] = ()
    ) -> Recommendations:
        """Items whose people are those of this one, by cosine n(a, b) / sqrt(n(a) n(b)); below them, items of
        like description. Arguments and errors as of `recommend`."""
        require_count(n)
        asked = self.requests.asked(None, [item])
        anchor = asked.task.history
        allowed = self.requests.allowed(where, exclude)
        allowed[anchor] = False
        open_ = np.flatnonzero(allowed).astype(np.int32)
        graph = self._world.graph
        popularity = graph.popularity(open_).astype(np.float64)
        both = graph.cooccurrence_row(int(anchor[0]))[open_]
        scores = both / np.sqrt(np.maximum(popularity * graph.popularity(anchor), 1))
        # Below every cosine that people made: what only reads alike.
        scores += 1e-6 * np.nan_to_num(self._world.semantics.similarities(anchor, open_)[0])
        first = order_by_scores(open_, scores, TIE_SEED)[:n]
        task = asked.about(open_[first])
        ranked = Ranked(task, "item_cf", np.arange(len(first)), scores[first])
        families = [("item_cf", "content")] * len(first)
        return self._recommendations(ranked, n, (), self._world.toolbox(task), families)

    def explain(
        self,
        candidates: Sequence[str] | None = None,
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        by: str = "star",
    ) -> Explanation:
        """Think mode: an iterator over the steps of a trace that ranks the candidates, each as soon as it is
        written.

        Args:
            candidates: without, what `recommend` puts first.
            by: `star`, or `teacher` for the embedded policy on the same task.

        Raises:
            StarrecError: `by` is neither, or as `rank`.
        """
        if by not in ("star", "teacher"):
            raise StarrecError(f"{by!r} does not think. Ask `star` or `teacher`.")
        asked = self.requests.asked(user, history)
        if candidates is None:
            task = self.requests.nominated(asked, NOMINATED, self.requests.allowed(None, ()))
            ranked = self._ranked(task, self._world.toolbox(task))
            first = task.candidates[ranked.order[:THOUGHT]]
        else:
            first = self.requests.candidates(candidates)
        task = _shuffled(asked.task, first)
        toolbox = self._world.toolbox(task)
        items = map(self._item, task.candidates.tolist())
        named = dict(zip(toolbox.labels, items, strict=True))
        steps = self.star.thinking(task) if by == "star" else _taught(toolbox)
        return Explanation(think_task(toolbox), named, steps)

    def items(self, query: str, n: int = 10) -> list[Item]:
        """Items by what a person has typed of their titles, best first."""
        return [self._item(item) for item in self.requests.titles.search(query, n)]

    def _system(self, task: RankingTask) -> str:
        """What ranks this task: without a history, only popularity is known."""
        if not len(task.history):
            return "popularity"
        return self.system if len(task.candidates) > 1 else "popularity"

    def _ranked(self, task: RankingTask, toolbox: Toolbox) -> Ranked:
        return rank_with(self._system(task), self.serving.fast, task, toolbox)

    def _rethought(self, ranked: Ranked) -> tuple[Ranked, Thought]:
        """What is ranked first, ranked anew by thinking; below it the order stays."""
        items = ranked.task.candidates
        thought = self.star.think(_shuffled(ranked.task, items[ranked.order[:THOUGHT]]))
        first = columns_of(thought.ranking, items)
        return replace(ranked, order=np.concatenate([first, ranked.order[len(first) :]])), thought

    def _answer(
        self, ranked: Ranked, toolbox: Toolbox, n: int, notes: tuple[str, ...], reasons: bool
    ) -> Recommendations:
        if not reasons:
            return self._recommendations(ranked, n, notes)
        shown = ranked.order[:n]
        if ranked.numbers is not None:
            items = ranked.task.candidates[shown]
            families = deciding_families(self.serving.fast.fast, ranked.numbers[shown], items)
        else:
            families = [families_of(ranked.system)] * len(shown)
        return self._recommendations(ranked, n, notes, toolbox, families)

    def _recommendations(
        self,
        ranked: Ranked,
        n: int,
        notes: tuple[str, ...],
        toolbox: Toolbox | None = None,
        families: Sequence[tuple[str, ...]] = (),
    ) -> Recommendations:
        catalogue = self.serving.catalogue
        rows = []
        for rank, column in enumerate(ranked.order[:n].tolist(), start=1):
            item = int(ranked.task.candidates[column])
            why = None
            if toolbox is not None:
                why = reason(self._world, catalogue, toolbox.evidence, column, families[rank - 1])
            rows.append(
                Row(rank, catalogue.item_ids[item], catalogue.titles[item], float(ranked.scores[column]), why)
            )
        history = tuple(self._item(item) for item in ranked.task.history.tolist())
        return Recommendations(tuple(rows), history, ranked.system, notes)

    def _item(self, item: int) -> Item:
        catalogue = self.serving.catalogue
        return Item(catalogue.item_ids[item], catalogue.titles[item])


def _shuffled(task: RankingTask, items: NDArray[np.int32]) -> RankingTask:
    """The task about these items: labels must not repeat an order, which would be a hint of its own."""
    return replace(task, candidates=items[np.argsort(combine(11, items))])


def _taught(toolbox: Toolbox) -> Iterator[Step]:
    """The steps of the embedded policy."""
    from starrec.student import Step

    outcome = run_async(run(EmbeddedPolicy(), toolbox))
    said = 0
    for element in elements(outcome.trajectory):
        if element.tag == "task":
            continue
        answer = element.tag == "tool_response"
        # Numbers are given in the order in which facts are first stated.
        cited = map(int, CITATION.findall(MENTION.sub("", element.text))) if answer else ()
        last = max(said, *cited, said)
        yield Step(element.tag, element.text, not answer, outcome.facts.between(said, last))
        said = last
