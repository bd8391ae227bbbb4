"""Lenskit's scorers, asked through lenskit's own pipeline (its node `scorer`) for the project's candidates.

What would go wrong by default, seen with 2025.8.1, and what is done here:

- kNN scorers want ratings; here every interaction is a 1 (`feedback="implicit"`), for all systems rank by what
  was taken, whatever its rating.
- `predict` fills missing scores by another model; the node `scorer` gives NaN, which ranks last and is counted.
- The history of the query is the task's: a query without one would be looked up in the training part. ALS does
  that even for an empty one, so its user vectors are dropped after training (`user_embeddings=False`).
- A history item that training has not makes ItemKNN and ALS fail; such items are left out.
- The user's number stands in the query, so that user kNN does not take her own training row for a neighbour.
  Counts and weights that were trained on her row keep it, as with every library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, RankingTask, Split
from starrec.errors import StarrecError
from starrec.evaluation.peers.peer import Drawn, Peer, Settings, recent, trained_items

if TYPE_CHECKING:
    from lenskit.pipeline import Component, Pipeline

_ALS_EPOCHS: Final = 20


@dataclass(frozen=True, eq=False)
class LenskitScorer:
    """A trained pipeline."""

    pipeline: Pipeline
    known: NDArray[np.bool_]
    """`(n_items,)` items with training interactions."""
    window: int
    """Latest items of the history in the query; 0 for all."""
    converged: bool | None

    def scores(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        found: list[NDArray[np.float64]] = []
        # The draws of a user share their history, so they share a query: a query can cost a whole matrix.
        for _, same in groupby(tasks, key=lambda task: (task.user, task.history.tobytes())):
            asked = list(same)
            items = np.unique(np.concatenate([task.candidates for task in asked]))
            values = self._query(asked[0], items)
            found += [values[np.searchsorted(items, task.candidates)] for task in asked]
        return found

    def _query(self, task: RankingTask, items: NDArray[np.int32]) -> NDArray[np.float64]:
        """Scores of items, which ascend: a sum's last bit may depend on an item's place."""
        from lenskit.data import ItemList, RecQuery

        history = recent(task.history, self.known, self.window).astype(np.int64)
        query = RecQuery(
            user_id=task.user if task.user >= 0 else None, history_items=ItemList(item_ids=history)
        )
        given = ItemList(item_ids=items.astype(np.int64))
        scored: ItemList = self.pipeline.run("scorer", query=query, items=given)  # type: ignore[assignment]
        values = np.full(len(items), np.nan)
        found = scored.scores()
        if found is not None:
            values[np.searchsorted(items, scored.ids())] = found
        return values


def _fit(
    make: Callable[[Settings], Component[Any]],
    iterative: bool,
    split: Split,
    dataset: Dataset,
    settings: Settings,
    seed: int,
    *,
    half_a: Drawn,
    folder: Path,
    final: bool,
) -> LenskitScorer:
    import pandas as pd
    from lenskit.data import from_interactions_df
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    train = split.train
    frame = pd.DataFrame({"user_id": train.users.astype(np.int64), "item_id": train.items.astype(np.int64)})
    pipeline = topn_pipeline(make(settings))
    pipeline.train(from_interactions_df(frame), TrainingOptions(rng=seed))
    known = trained_items(train, dataset.n_items)
    return LenskitScorer(pipeline, known, int(settings["window"]), None if iterative else True)


def _item_knn(settings: Settings) -> Component[Any]:
    from lenskit.knn import ItemKNNConfig, ItemKNNScorer

    return ItemKNNScorer(ItemKNNConfig(max_nbrs=int(settings["neighbours"]), feedback="implicit"))


def _user_knn(settings: Settings) -> Component[Any]:
    from lenskit.knn import UserKNNConfig, UserKNNScorer

    return UserKNNScorer(UserKNNConfig(max_nbrs=int(settings["neighbours"]), feedback="implicit"))


def _ease(settings: Settings) -> Component[Any]:
    from lenskit.knn import EASEScorer
    from lenskit.knn.ease import EASEConfig

    return EASEScorer(EASEConfig(regularization=float(settings["ridge"])))


def _als(settings: Settings) -> Component[Any]:
    from lenskit.als import ImplicitMFConfig, ImplicitMFScorer

    return ImplicitMFScorer(
        ImplicitMFConfig(
            embedding_size=int(settings["features"]),
            weight=float(settings["weight"]),
            epochs=_ALS_EPOCHS,
            user_embeddings=False,
        )
    )


def lenskit_version() -> str:
    """The installed version.

    Raises:
        StarrecError: lenskit is not installed.
    """
    try:
        return version("lenskit")
    except PackageNotFoundError as error:
        raise StarrecError(
            "The peers lenskit_… need the package lenskit, which is not installed. Run "
            "`pip install starrec[bench]`, or leave them out of `[evaluation] peers`."
        ) from error


def _peer(
    name: str,
    about: str,
    make: Callable[[Settings], Component[Any]],
    grid: Sequence[Settings],
    *,
    iterative: bool = False,
    seeds: tuple[int, ...] = (0,),
) -> Peer:
    return Peer(name, about, tuple(grid), partial(_fit, make, iterative), lenskit_version, seeds)


LENSKIT: Final = (
    _peer(
        "lenskit_item_knn",
        "lenskit: item kNN (cosine)",
        _item_knn,
        [
            {"neighbours": neighbours, "window": window}
            for window, sizes in ((0, (20, 50, 200)), (20, (20,)), (10, (3, 5, 10)), (5, (5,)))
            for neighbours in sizes
        ],
    ),
    _peer(
        "lenskit_user_knn",
        "lenskit: user kNN (cosine)",
        _user_knn,
        [{"neighbours": n, "window": window} for window in (0, 10) for n in (5, 10, 20, 50)],
    ),
    _peer(
        "lenskit_ease",
        "lenskit: EASE",
        _ease,
        [{"ridge": ridge, "window": window} for ridge in (500.0, 1000.0, 2000.0, 4000.0) for window in (0, 10)],
    ),
    _peer(
        "lenskit_als",
        "lenskit: implicit ALS",
        _als,
        [
            {"features": features, "weight": weight, "window": window}
            for features in (16, 32)
            for weight in (5.0, 40.0)
            for window in (0, 10)
        ],
        iterative=True,
        seeds=(0, 1, 2),
    ),
)
