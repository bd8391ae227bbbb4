"""Recommendations for a history that is typed in: no account, no retraining.

Retrieval over the whole catalogue nominates items, STAR ranks them in windows of 20, and each item comes with
the sentence of a fact of the graph, where there is one. A typed history belongs to no user of the data, so
nobody is left out of the counts: whoever is in the data and types her own history is counted with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from starrec.data import Dataset, RankingTask, SplitRule, Titles, hold_out, load_saved_dataset, plain
from starrec.errors import RunError, StarrecError
from starrec.runs import current_product
from starrec.signals import SIGNALS, Graph, SignalsConfig, count_signals, select
from starrec.signals.embeddings import item_embeddings
from starrec.student import Star, Thought
from starrec.tools import RANKING_WINDOW, World, ranking_windows, retrieve

_PERSONAL: Final = ("item_cf", "user_cf", "transition", "ease")
"""Kinds of facts that start from the person's own history."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recommended item."""

    rank: int
    item_id: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What was recommended, and in think mode how."""

    rows: tuple[Row, ...]
    thought: Thought | None = None
    """The trace that ranked the first rows."""


class Recommender:
    """A finished run, ready to answer."""

    def __init__(self, dataset: Dataset, star: Star) -> None:
        self.dataset = dataset
        self.star = star
        self._titles = Titles(dataset.titles, dataset.item_ids)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The recommender of a run folder.

        Raises:
            RunError: the run has no data or no student yet, or they are corrupt.
        """
        student = current_product(folder, "distill")
        if student is None:
            raise RunError(f"{folder} holds no finished student. Make one with `starrec run --run {folder}`.")
        dataset = load_saved_dataset(folder / "data" / student.facts["data"])
        # As the student was taught: the settings of the evidence that it reads, not those of a later call.
        evidence = student.inputs["evidence"]
        config = SignalsConfig.model_validate(evidence["signals"])
        split = hold_out(dataset, evidence["tie_seed"], SplitRule.model_validate(evidence.get("split", {})))
        graph = Graph(count_signals(split.train, dataset.n_items, config))
        embeddings = item_embeddings(dataset, folder / "embeddings") if config.embeddings else None
        world = World.of(dataset, graph, config, embeddings)
        return cls(dataset, Star.load(student.path("star"), world))

    def match(self, title: str) -> int:
        """The item that a person means by this title (`Titles.match`).

        Raises:
            StarrecError: no item, or more than one, is meant; with suggestions.
        """
        return self._titles.match(title)

    def recommend(self, history: Sequence[int], top: int = 10, *, think: bool = False) -> Recommendation:
        """The top items for a history (item indices, oldest first).

        Think mode writes its trace for the first window; below it, fast mode ranks.

        Raises:
            StarrecError: top is not positive, or the catalogue holds nothing outside the history.
        """
        if top < 1:
            raise StarrecError(f"--top must be at least 1, not {top}.")
        seen = np.asarray(history, dtype=np.int32)
        found = retrieve(self.star.world.graph, -1, seen, RANKING_WINDOW * -(-top // RANKING_WINDOW))
        if not len(found):
            raise StarrecError("The history holds the whole catalogue: there is nothing left to recommend.")
        ordered: list[tuple[int, str]] = []
        thought: Thought | None = None
        for place, task in enumerate(ranking_windows("live", -1, "", seen, found)):
            if think and place == 0:
                thought = self.star.think(task)
                ranking = thought.ranking
            else:
                ranking = self.star.rank(task)
            reasons = self._reasons(task)
            ordered += [(item, reasons[item]) for item in ranking.items]
        rows = [
            Row(rank, self.dataset.item_ids[item], self.dataset.titles[item], reason)
            for rank, (item, reason) in enumerate(ordered[:top], start=1)
        ]
        return Recommendation(tuple(rows), thought)

    def _reasons(self, task: RankingTask) -> dict[int, str]:
        """For each candidate the sentence of its most telling personal fact; popularity where there is none."""
        world = self.star.world
        evidence = world.toolbox(task).evidence
        reasons = {}
        for column, item in enumerate(task.candidates.tolist()):
            behind = (evidence.fact(name, column) for name in SIGNALS)
            known = [fact for fact in behind if fact is not None]
            personal = [fact for fact in known if fact.kind in _PERSONAL and fact.lift > 1]
            popular = [fact for fact in known if fact.kind == "popularity"]
            best = select(personal, 1, support=world.config.support) or popular
            reasons[item] = plain(world.sentence(best[0])) if best else "Nothing is known of it."
        return reasons
