"""A refresh: yesterday's student goes on with all that is known today, and takes over where it is no worse.

The data are those of the run with everything that updates added to its evidence; they are split anew, and the
teacher reasons over tasks that it was not asked before. The student that serves is trained on from its weights,
with a fraction of a full run's steps. It serves from then on unless it ranks validation half B of the new split
worse than the student before, which reads the new evidence there too: then that one stays. Either way counts
are those of the evidence, and nothing is chosen on test items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from starrec.data import Dataset, RankingTask, Targets, load_saved_dataset, save_dataset
from starrec.engines import Workers
from starrec.errors import DataError, RunError
from starrec.evaluation import best_tool
from starrec.pipeline.fingerprints import distill_inputs, grown_inputs
from starrec.pipeline.served import SERVED, choose_served
from starrec.pipeline.session import Session
from starrec.pipeline.signals import split_and_count
from starrec.pipeline.tasks import Tasks, asked_before
from starrec.pipeline.teach import TeachOptions, gather_runs, unfiltered_runs
from starrec.pipeline.training import Training
from starrec.ranking import Comparison, avg_hr, ratio_ci
from starrec.runs import Product
from starrec.signals.embeddings import item_embeddings
from starrec.store import LmdbStore, Log, Versions, evidence_folder
from starrec.student import FastMode, Star

STEPS: Final = 400
"""Of training on, unless told: a sixth of a full run's."""
_SLOWER: Final = 0.25
"""Learning rate of training on, over that of a full run: what is learned is not to be unlearned."""


@dataclass(frozen=True)
class Refreshed:
    """What a refresh came to."""

    taken_over: bool
    """Whether the student that was trained on serves from now on."""
    avg_hr: float
    """Of it, on validation half B of the new split ..."""
    before: float
    """... and of the student before."""
    comparison: Comparison
    """The former over the latter."""


def refresh(session: Session, *, steps: int = STEPS) -> Refreshed | None:
    """Refresh a run; None where its evidence holds nothing that the student was not trained with.

    Args:
        steps: of training on.

    Raises:
        RunError: the run has no student or no evidence, or they are damaged.
        DataError: the data bring a split of their own, which nothing says about new interactions.
    """
    run = session.run
    old = run.current("distill")
    if old is None:
        raise RunError(
            f"{run.folder} holds no finished student. Make one with `starrec run --run {run.folder}`."
        )
    dataset = load_saved_dataset(run.path("data", old.facts["data"]))
    log = LmdbStore(Versions(evidence_folder(run.folder)).require()).log()
    grown = with_log(dataset, log)
    added = grown.interactions.height - dataset.interactions.height
    if grown.sha256 == dataset.sha256:
        session.announce(
            "refresh: the evidence holds nothing that the student was not trained with. Add interactions with "
            "--interactions FILE, `starrec signals update` or `starrec events feed`."
        )
        return None
    session.announce(
        f"refresh: {added:,} interactions, {grown.n_users - dataset.n_users:,} users and "
        f"{grown.n_items - dataset.n_items:,} items since the student was trained"
    )
    data = _kept(session, grown, dataset, log)
    config = session.config
    grpo = config.student.grpo
    grpo = grpo.model_copy(update={"steps": steps, "learning_rate": grpo.learning_rate * _SLOWER})
    student = config.student.model_copy(update={"grpo": grpo})
    session = replace(session, config=config.model_copy(update={"student": student}))
    embeddings = item_embeddings(grown.catalogue, run.path("embeddings")) if config.signals.embeddings else None
    prepared = split_and_count(grown, config.data, config.data.tie_seed, config.signals, embeddings)
    tasks = Tasks(prepared, session.config, asked_before(run.folder, config))
    gather_runs(session, prepared, tasks, TeachOptions())
    taught = run.current("teach")
    assert taught is not None, "gathered just now"
    product = run.product(
        "distill",
        {**distill_inputs(session.config, grown, taught.fingerprint), "continued": old.fingerprint},
    )
    if not product.done:
        _train_on(session, tasks, old, product, data)
    found = _compared(product)
    if found.taken_over:
        run.use(data)
        run.use(product)
    ratio = found.comparison
    verdict = "serves from now on" if found.taken_over else "is worse, so the one before goes on serving"
    session.announce(
        f"refresh: on validation half B the student trained on has avg_hr {found.avg_hr:.4f}, the one before "
        f"{found.before:.4f} (×{ratio.ratio:.3f} [{ratio.lo:.3f}, {ratio.hi:.3f}]): it {verdict}"
    )
    return found


def with_log(dataset: Dataset, log: Log) -> Dataset:
    """The dataset with all interactions, users and items of a log; ratings of interactions that it had stay.

    Raises:
        DataError: the dataset brings a split of its own.
    """
    if "part" in dataset.interactions.columns:
        raise DataError(
            "These data bring a split of their own, and nothing says to which part new interactions belong. "
            "Fit them again with `starrec run --update-data`."
        )
    known = _by_id(dataset.interactions, dataset.user_ids, dataset.item_ids)
    rows = pl.DataFrame(
        {
            "user": np.repeat(np.arange(log.n_users, dtype=np.int32), np.diff(log.ptr)),
            "item": log.items,
            "time": log.times,
        }
    )
    rows = _by_id(rows, log.user_ids, log.catalogue["item_id"].to_list()).join(
        known.select("user_id", "item_id", "rating"),
        on=["user_id", "item_id"],
        how="left",
        maintain_order="left",
    )
    users = pl.DataFrame({"user_id": log.user_ids}, schema={"user_id": pl.String()})
    return replace(
        dataset,
        interactions=rows.select(dataset.interactions.columns)
        .cast(dataset.interactions.schema)
        .sort("user", "time", "item"),
        users=users.join(dataset.users, on="user_id", how="left", maintain_order="left"),
        items=log.catalogue,
    )


def _by_id(rows: pl.DataFrame, user_ids: Sequence[str], item_ids: Sequence[str]) -> pl.DataFrame:
    """Rows with `user, item` as indices, and their ids beside them."""
    return rows.with_columns(
        pl.Series("user_id", user_ids, dtype=pl.String()).gather(rows["user"]),
        pl.Series("item_id", item_ids, dtype=pl.String()).gather(rows["item"]),
    )


def _kept(session: Session, grown: Dataset, before: Dataset, log: Log) -> Product:
    """The product that holds the data; not the current one yet."""
    product = session.run.product("data", grown_inputs(before.sha256, log.sha256()))
    if not product.done:
        current = session.run.current("data")
        product.begin()
        save_dataset(grown, product.folder)
        product.complete(sha256=grown.sha256, files={} if current is None else current.facts["files"])
    return product


def _train_on(session: Session, tasks: Tasks, old: Product, product: Product, data: Product) -> None:
    """Train the student on, compare it with the one before, and complete its product."""
    world, half_b = tasks.prepared.world, tasks.validation("B")
    if not half_b[0]:
        raise DataError("There is no user in validation half B, on which the two students are compared.")
    product.begin()
    with Workers(world) as workers:
        runs = unfiltered_runs(session, tasks.prepared, tasks)
        star = Star.load(old.path("star"), world)
        training = Training.of(session, tasks, workers, star, product)
        progress = training.reinforce("refresh", tasks.practice, training.practised(runs), "training on")
        product.publish("star", star.save)
        tool, chosen_on = best_tool(workers, *half_b)
        served = choose_served(star, workers, *half_b, (tool, chosen_on[tool]), session.config)
    product.complete(
        data=data.fingerprint,
        continued=old.fingerprint,
        seconds=progress.seconds,
        half_b={
            "users": [task.user for task in half_b[0]],
            "now": _hits(star, *half_b),
            "before": _hits(Star.load(old.path("star"), world), *half_b),
        },
        **{SERVED: served},
    )
    product.path("refresh.checkpoint").unlink(missing_ok=True)


def _hits(star: FastMode, tasks: Sequence[RankingTask], targets: Targets) -> list[float]:
    """avg_hr of each task."""
    ranked = star.rank_many(tasks)
    ranks = [found.rank_of(targets[task.task_id]) for task, found in zip(tasks, ranked, strict=True)]
    values: list[float] = avg_hr(ranks).tolist()
    return values


def _compared(product: Product) -> Refreshed:
    half_b: dict[str, Any] = product.facts["half_b"]
    now, before = (float(np.mean(half_b[name])) for name in ("now", "before"))
    ratio = ratio_ci(half_b["now"], half_b["before"], half_b["users"], seed=0)
    return Refreshed(now >= before, now, before, ratio)
