"""Recommending from the whole catalogue: the student behind its retriever, beside other libraries.

    .venv/bin/python benchmarks/full_catalogue.py runs/demo
    STARREC_DATA=... .venv/bin/python benchmarks/full_catalogue.py RUN_OF_GAMES --name games

Each system recommends to every test user of a finished run, from all items outside her history (training and
validation items), and only the test item counts. Settings of the others are chosen by recall@10 on up to 1,000
users of validation half B, eight tries each, on the same split; ties are ordered by hash for everyone. Needs
the extra `bench`, and `pip install implicit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from record import keep
from starrec.data import RankingTask, Split, Targets
from starrec.engines import Workers
from starrec.evaluation import rank_catalogue, rank_retrieved, retrieve_all
from starrec.evaluation.peers import PEERS, FittedPeer
from starrec.hashing import text_keys
from starrec.ranking import catalogue, ratio_ci
from student import opened

RECOMMENDED: Final = 10
CHOSEN_BY: Final = 1000
"""Users of validation half B that choose settings, at most."""
OTHERS: Final = ("lenskit_item_knn", "lenskit_ease", "lenskit_als", "ease_decayed")
_BATCH: Final = 64

Scores = Callable[[Sequence[RankingTask]], list[NDArray[np.float64]]]
"""Scores of all items for each of these tasks."""


class ImplicitALS:
    """implicit's ALS, asked with the history: a user's factors are computed anew from it."""

    grid: Final = tuple(
        {"factors": factors, "alpha": alpha, "window": window}
        for factors in (32, 64)
        for alpha in (1.0, 10.0)
        for window in (0, 10)
    )

    def __init__(self, split: Split, n_items: int, settings: Mapping[str, float]) -> None:
        from implicit.als import AlternatingLeastSquares

        train = split.train
        taken = csr_matrix(
            (np.ones(len(train.items), np.float32), train.items, train.ptr), (train.n_users, n_items)
        )
        self._alpha, self._window = float(settings["alpha"]), int(settings["window"])
        self._model = AlternatingLeastSquares(
            factors=int(settings["factors"]), alpha=self._alpha, random_state=0, num_threads=1
        )
        self._model.fit(taken, show_progress=False)
        self._n_items = n_items

    def __call__(self, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
        scores = []
        for task in tasks:
            history = task.history[-self._window :] if self._window else task.history
            row = csr_matrix(
                (np.ones(len(history), np.float32), (np.zeros(len(history), int), history)), (1, self._n_items)
            )
            user = self._model.recalculate_user(0, row)
            scores.append((self._model.item_factors @ np.asarray(user).ravel()).astype(np.float64))
        return scores


def lists_of(scores: Scores, tasks: Sequence[RankingTask]) -> list[NDArray[np.int32]]:
    """The first items outside each history, by scores of all items."""
    found: list[NDArray[np.int32]] = []
    for start in range(0, len(tasks), _BATCH):
        part = list(tasks[start : start + _BATCH])
        by_task = dict(zip((task.task_id for task in part), scores(part), strict=True))
        found += rank_catalogue(lambda task, of=by_task: of[task.task_id], part).ranked
    return found


def measured(
    lists: Sequence[Sequence[int] | NDArray[np.int32]], tasks: Sequence[RankingTask], targets: Targets
) -> dict[str, NDArray[np.float64]]:
    """Recall and NDCG of the first ten, `(n_users,)` each."""
    relevant = [[targets[task.task_id]] for task in tasks]
    return {
        f"recall@{RECOMMENDED}": catalogue.recall(lists, relevant, RECOMMENDED),
        f"ndcg@{RECOMMENDED}": catalogue.ndcg(lists, relevant, RECOMMENDED),
    }


def every_item(fitted: FittedPeer, n_items: int, tasks: Sequence[RankingTask]) -> list[NDArray[np.float64]]:
    """A peer's scores of the whole catalogue."""
    items = np.arange(n_items, dtype=np.int32)
    return fitted.scores([replace(task, candidates=items) for task in tasks])


def main(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    name: Annotated[str, typer.Option(help="Of the result: full_catalogue_NAME.")] = "movielens",
) -> None:
    """Recall@10 and NDCG@10 on the full catalogue; the student's recall over the best other's is the bar."""
    star, tasks = opened(run)
    prepared = tasks.prepared
    split, dataset = prepared.split, prepared.dataset
    test, targets = tasks.test
    asked = [task for task in test if task.draw == 0]
    half_b, targets_b = tasks.validation("B")
    choosing = [task for task in half_b if task.draw == 0]
    order = np.argsort(text_keys([task.user_id for task in choosing], 0, "full catalogue"))
    choosing = [choosing[at] for at in order[:CHOSEN_BY].tolist()]

    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    record: dict[str, dict[str, Any]] = {}
    with Workers(prepared.world) as workers:
        retrieved = retrieve_all(workers, asked)
    values["retrieval"] = measured(retrieved.ranked, asked, targets)
    ranked = rank_retrieved(star.rank_many, asked, retrieved).ranked
    values["star"] = measured(ranked, asked, targets)
    relevant = [[targets[task.task_id]] for task in asked]
    ceiling = float(catalogue.recall(retrieved.nominated, relevant, 100).mean())

    with TemporaryDirectory() as scratch:
        fits: dict[str, tuple[Sequence[Mapping[str, float]], Callable[[Mapping[str, float]], Scores]]] = {
            other: (
                PEERS[other].grid,
                lambda settings, other=other: partial(
                    every_item,
                    PEERS[other].fit(
                        split,
                        dataset,
                        settings,
                        0,
                        half_a=tasks.validation("A"),
                        folder=Path(scratch),
                        final=True,
                    ),
                    dataset.n_items,
                ),
            )
            for other in OTHERS
        }
        fits["implicit_als"] = (
            ImplicitALS.grid,
            lambda settings: ImplicitALS(split, dataset.n_items, settings),
        )
        for other, (grid, fit) in fits.items():
            tries = []
            for settings in grid:
                found = measured(lists_of(fit(settings), choosing), choosing, targets_b)
                tries.append((float(found[f"recall@{RECOMMENDED}"].mean()), settings))
                print(f"{other} {dict(settings)}: {tries[-1][0]:.4f}", flush=True)
            best, settings = max(tries, key=lambda each: each[0])
            scores = fit(settings)
            values[other] = measured(lists_of(scores, asked), asked, targets)
            record[other] = {
                "settings": dict(settings),
                "validation_recall": best,
                "tries": len(tries),
            }
    users = [task.user_id for task in asked]
    recall, ndcg = (f"{metric}@{RECOMMENDED}" for metric in ("recall", "ndcg"))
    means = {
        system: {metric: float(each.mean()) for metric, each in of.items()} for system, of in values.items()
    }
    best = max(fits, key=lambda other: means[other][recall])
    over = {
        metric: ratio_ci(values["star"][metric], values[best][metric], users, seed=0)
        for metric in (recall, ndcg)
    }
    content = {
        "dataset": dataset.name,
        "users": len(asked),
        "systems": means,
        "settings": record,
        "ceiling@100": ceiling,
        "best_other": best,
        "star_over_best": {metric: asdict(found) for metric, found in over.items()},
        "implicit": version("implicit"),
        "lenskit": version("lenskit"),
    }
    keep(f"full_catalogue_{name}", content, {"full_recall_ratio": means["star"][recall] / means[best][recall]})


if __name__ == "__main__":
    typer.run(main)
