"""A finished run opened for serving: its settings, its counts, its student, and what of them answers.

Serving counts everything: the evidence in Redis where `[serving] redis` names one, else in the run's own store
(`starrec run` builds it, `signals update` adds to it), else all interactions, counted in memory. With
`counts="train"` the graph is the one that the evaluation asked, and each user's history ends before her test
item, so that answers are those that were evaluated. Either way a user's own edges stay out of what is counted
for her.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

from starrec.data import Catalogue, Dataset, SplitRule, Stretch, hold_out, load_saved_dataset
from starrec.errors import ConfigError, RunError
from starrec.pipeline.config import recorded_config
from starrec.pipeline.served import SERVED
from starrec.pipeline.serving_config import ServingConfig
from starrec.runs import Product, current_product
from starrec.signals import Counts, CountStore, Graph, SignalsConfig, count_pairs, count_signals, in_memory
from starrec.signals.counts import all_neighbours
from starrec.signals.embeddings import item_embeddings
from starrec.store import LmdbStore, StoredCounts, Versions
from starrec.student import FastMode
from starrec.tools import World

CountsChoice: TypeAlias = Literal["all", "train"]


@dataclass(frozen=True, eq=False)
class Serving:
    """What answers requests."""

    run: Path
    dataset: Dataset
    """As the run read it, without updates."""
    catalogue: Catalogue
    user_ids: list[str]
    """By user index."""
    fast: FastMode
    """The student, which fast mode needs no more of; with its world."""
    student: Path
    """Where the whole student was saved, for think mode."""
    history: Callable[[int], Stretch]
    """What a user took, oldest first, by user index."""
    as_evaluated: bool
    """Whether counts and histories are those of the evaluation."""
    chosen: Mapping[str, Any] | None
    """`system`, and `validation_avg_hr` of each system that could serve; None where nothing was evaluated."""

    def in_memory(self) -> Serving:
        """The same with its counts in memory, which answers many users faster (`signals.in_memory`)."""
        world = self.fast.world
        counts = in_memory(world.graph.counts)
        fast = FastMode(self.fast.fast, replace(world, graph=Graph(counts, count_pairs(counts))))
        return replace(self, fast=fast, history=self.history if self.as_evaluated else partial(_taken, counts))


def open_serving(folder: Path, counts: CountsChoice = "all") -> Serving:
    """Open a run folder.

    Args:
        counts: `all` interactions, or those of the training split (`train`) as the evaluation asked.

    Raises:
        RunError: the run has no data or no student yet, or they are corrupt.
        StoreUnavailable: the Redis with the evidence does not answer.
    """
    student = current_product(folder, "distill")
    if student is None:
        raise RunError(f"{folder} holds no finished student. Make one with `starrec run --run {folder}`.")
    dataset = load_saved_dataset(folder / "data" / student.facts["data"])
    evidence = student.inputs["evidence"]
    now = recorded_config(folder)
    config = SignalsConfig.model_validate(evidence["signals"])
    if now is not None:
        # What is counted is as the student was taught; what may be said of it, as the run is set now.
        config = config.model_copy(update={"support": now.signals.support, "budget": now.signals.budget})
    if counts == "train":
        split = hold_out(dataset, evidence["tie_seed"], SplitRule.model_validate(evidence.get("split", {})))
        catalogue, user_ids = dataset.catalogue, dataset.user_ids
        source: CountStore = _with_neighbours(count_signals(split.train, dataset.n_items, config, user_ids))
        history: Callable[[int], Stretch] = partial(split.history, which="test")
    else:
        serving = now.serving if now is not None else ServingConfig()
        catalogue, user_ids, source = _everything(folder, serving, dataset, evidence["tie_seed"], config)
        history = partial(_taken, source)
    embeddings = item_embeddings(catalogue, folder / "embeddings") if config.embeddings else None
    world = World.of(catalogue, Graph(source), config, embeddings)
    evaluated = current_product(folder, "evaluate")
    return Serving(
        folder,
        dataset,
        catalogue,
        user_ids,
        FastMode.load(student.path("star"), world),
        student.path("star"),
        history,
        counts == "train",
        _chosen(evaluated, student),
    )


def _everything(
    folder: Path, serving: ServingConfig, dataset: Dataset, tie_seed: int, config: SignalsConfig
) -> tuple[Catalogue, list[str], CountStore]:
    """Catalogue, users and counts of all interactions, updates included where there is a store."""
    store: StoredCounts | None = None
    stored = current_product(folder, "evidence", complete=False)
    if serving.redis:
        store = redis_stores().RedisStore(serving.redis_url, prefix=serving.redis_prefix)
    elif stored is not None and Versions(stored.folder).current() is not None:
        store = LmdbStore.open(stored.folder)
    if store is not None:
        return Catalogue(store.catalogue), store.user_ids, store
    counted = count_signals(dataset.sequences(tie_seed), dataset.n_items, config, dataset.user_ids)
    return dataset.catalogue, dataset.user_ids, _with_neighbours(counted)


def redis_stores() -> ModuleType:
    """`starrec.store.redis_store`, which needs an extra.

    Raises:
        ConfigError: the extra is missing.
    """
    try:
        from starrec.store import redis_store
    except ImportError as error:
        raise ConfigError(
            f"[serving] redis needs the extra `redis` ({error}): pip install 'starrec[redis]'."
        ) from error
    return redis_store


def _with_neighbours(counts: Counts) -> Counts:
    """Retrieval asks for neighbours at every request: they are counted once."""
    return replace(counts, nearest=all_neighbours(counts))


def _chosen(evaluated: Product | None, student: Product) -> Mapping[str, Any] | None:
    # A student that was refreshed was never evaluated: it brings its own choice.
    mine = evaluated is not None and evaluated.inputs.get("distill") == student.fingerprint
    source = evaluated if evaluated is not None and mine else student
    chosen: Mapping[str, Any] | None = source.facts.get(SERVED)
    return chosen


def _taken(source: CountStore, user: int) -> Stretch:
    items, days = source.sequence(user)
    return Stretch(items, days, None)
