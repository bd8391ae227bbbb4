"""Recommendations for a history that is typed in: no account, no retraining.

Retrieval over the whole catalogue nominates items, STAR ranks them in one pass, and each item comes with the
sentence of a fact of the graph, where there is one. A typed history belongs to no user of the data, so
nobody is left out of the counts: whoever is in the data and types her own history is counted with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from starrec.data import Dataset, SplitRule, Titles, hold_out, load_saved_dataset, plain
from starrec.errors import RunError, StarrecError
from starrec.hashing import combine
from starrec.runs import current_product
from starrec.signals import SIGNALS, Evidence, Graph, SignalsConfig, count_signals, select
from starrec.signals.embeddings import item_embeddings
from starrec.student import CANDIDATES, Star, Thought
from starrec.tools import NOMINATED, World, live_task

THOUGHT: Final = 20
"""Items that think mode ranks, of those that fast mode puts first."""
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
        embeddings = item_embeddings(dataset.catalogue, folder / "embeddings") if config.embeddings else None
        world = World.of(dataset.catalogue, graph, config, embeddings)
        return cls(dataset, Star.load(student.path("star"), world))

    def match(self, title: str) -> int:
        """The item that a person means by this title (`Titles.match`).

        Raises:
            StarrecError: no item, or more than one, is meant; with suggestions.
        """
        return self._titles.match(title)

    def recommend(self, history: Sequence[int], top: int = 10, *, think: bool = False) -> Recommendation:
        """The top items for a history (item indices, oldest first).

        Think mode writes its trace for what fast mode puts first (`THOUGHT`); below it, fast mode ranks.

        Raises:
            StarrecError: top is not between 1 and what is ranked in one pass, the history names an item that is
                not in the catalogue, or the catalogue holds nothing outside the history.
        """
        if not 1 <= top <= CANDIDATES:
            raise StarrecError(f"--top must be 1 to {CANDIDATES}, which are ranked in one pass, not {top}.")
        seen = np.asarray(history, dtype=np.int32)
        task = live_task(self.star.world.graph, seen, max(NOMINATED, top))
        found = task.candidates
        if not len(found):
            raise StarrecError("The history holds the whole catalogue: there is nothing left to recommend.")
        toolbox = self.star.world.toolbox(task)
        ordered = found.tolist()
        thought: Thought | None = None
        if len(found) > 1:
            ordered = list(self.star.rank(task, toolbox).items)
        if think and len(found) > 1:
            first = np.array(ordered[:THOUGHT], dtype=np.int32)
            # Labels must not repeat the order of fast mode, which would be a hint of its own.
            first = first[np.argsort(combine(11, first))]
            thought = self.star.think(replace(task, candidates=first))
            ordered[: len(first)] = thought.ranking.items
        column = {item: at for at, item in enumerate(found.tolist())}
        rows = [
            Row(
                rank,
                self.dataset.item_ids[item],
                self.dataset.titles[item],
                self._reason(toolbox.evidence, column[item]),
            )
            for rank, item in enumerate(ordered[:top], start=1)
        ]
        return Recommendation(tuple(rows), thought)

    def _reason(self, evidence: Evidence, column: int) -> str:
        """The sentence of the candidate's most telling personal fact; popularity where there is none."""
        world = self.star.world
        behind = (evidence.fact(name, column) for name in SIGNALS)
        known = [fact for fact in behind if fact is not None]
        personal = [fact for fact in known if fact.kind in _PERSONAL and fact.lift > 1]
        popular = [fact for fact in known if fact.kind == "popularity"]
        best = select(personal, 1, support=world.config.support) or popular
        return plain(world.sentence(best[0])) if best else "Nothing is known of it."
