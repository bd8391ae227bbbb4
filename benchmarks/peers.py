"""Peers on the project's tasks, one command a row.

    .venv/bin/python benchmarks/peers.py ROW [options]

Settings of each peer are chosen on validation half B; test is ranked once, with what was chosen. What is done
is kept in `runs/benchmarks/peers`, so a row that was killed goes on and its peers can be run one by one. Each
row is kept as `benchmarks/results/peers_ROW.json`, some peers of it by their names behind.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import polars as pl
import typer
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.pipeline import Component, topn_pipeline

from record import keep
from signals import DatasetName, half, load, tasks_of
from starrec.config import fingerprint
from starrec.data import Dataset, RankingTask, Split, leave_one_out
from starrec.evaluation import (
    Scorer,
    load_ranks,
    mean_avg_hr,
    rank_by_scores,
    ranks_frame,
    save_ranks,
    summarise,
)
from starrec.evaluation.peers import PEERS, Peer, require, tune
from starrec.evaluation.peers.ease import EaseDecayed
from starrec.evaluation.peers.exchange import read_scores, write_tasks
from starrec.evaluation.peers.lenskit import LenskitScorer
from starrec.evaluation.peers.recbole import PAPER
from starrec.evaluation.peers.recbole import fit as fit_sasrec
from starrec.ranking import avg_hr
from starrec.runs import write_atomic

WORK: Final = Path("runs/benchmarks/peers")
TIE_SEED: Final = 0
"""Of the split: that of the configuration's default, so that the tasks are those of a run."""
BESIDE: Final = ("star", "teacher", "mlp_evidence", "ease", "popularity", "random")
"""Systems of a run that are shown beside the peers."""

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
_Run = Annotated[
    Path | None, typer.Option("--run", help="A run of the same data, whose star and teacher stand beside.")
]
_Peer = Annotated[
    list[str] | None, typer.Option("--peer", help="Only this one; may be repeated.", show_default=False)
]
_Hours = Annotated[
    float, typer.Option(min=0, max=4, help="Of training SASRec, at most; a later call goes on where it ended.")
]


@app.command()
def movielens(run: _Run = None, peer: _Peer = None) -> None:
    """MovieLens-100K, classic: lenskit's peers and the decayed EASE; `--peer recbole_sasrec` takes hours."""
    _row("movielens", [name for name in PEERS if name != "recbole_sasrec"], peer or [], run)


@app.command()
def games(run: _Run = None, peer: _Peer = None, hours: _Hours = 4) -> None:
    """Amazon Games, classic, 5,000 users; SASRec with the one setting of its paper."""
    _row("games", list(PEERS), peer or [], run, hours)


@app.command()
def constant() -> None:
    """What makes no difference between candidates, through every peer's exchange, on the test tasks of
    MovieLens-100K (bar: at most 3 standard errors from chance)."""
    dataset, split = _data("movielens")
    tasks, targets = tasks_of(dataset, split, "test")
    chance = 3 / len(tasks[0].candidates)
    found = {}
    for name, scorer in _no_difference(dataset).items():
        rankings, unscored = rank_by_scores(scorer, tasks)
        hits = pl.DataFrame(
            {
                "user": [task.user for task in tasks],
                "hit": avg_hr([r.rank_of(targets[t.task_id]) for t, r in zip(tasks, rankings, strict=True)]),
            }
        )
        by_user = hits.group_by("user").agg(pl.col("hit").mean())["hit"].to_numpy()
        error = float(by_user.std(ddof=1) / len(by_user) ** 0.5)
        value = mean_avg_hr(tasks, rankings, targets)
        found[name] = {"avg_hr": value, "z": (value - chance) / error, "unscored": unscored}
    worst = max(abs(row["z"]) for row in found.values())
    keep("peers_constant", {"scorers": found, "tasks": len(tasks)}, {"constant_z": worst})


def _row(
    name: DatasetName, every: Sequence[str], only: Sequence[str], run: Path | None, hours: float = 4
) -> None:
    names = only or every
    if unknown := sorted(set(names) - set(PEERS)):
        raise typer.BadParameter(f"{', '.join(unknown)}: the peers are {', '.join(PEERS)}")
    require(names)
    dataset, split = _data(name)
    folders = {peer: _peer(name, peer, dataset, split, hours) for peer in names}
    frames = [load_ranks(folder / "ranks.parquet") for folder in folders.values()]
    comparisons: list[tuple[str, str]] = []
    if run is not None:
        of_run = load_ranks(run / "results" / "ranks.parquet").filter(pl.col("system").is_in(BESIDE))
        frames.append(of_run.filter(split="test", scenario="classic"))
        comparisons = [(a, b) for a in ("star", "teacher") for b in names]
    # Refuses systems that were asked other questions under one task id.
    results = summarise(
        pl.concat(frames), dataset=dataset.name, comparisons=comparisons, seed=0, n_resamples=2000, facts={}
    )
    records = {peer: json.loads((folder / "record.json").read_text()) for peer, folder in folders.items()}
    keep(
        "_".join(["peers", name, *only]),
        {"systems": results["systems"], "comparisons": results["comparisons"], "peers": records},
    )


def _peer(row: DatasetName, name: str, dataset: Dataset, split: Split, hours: float) -> Path:
    """Tune, train and rank; the folder that holds what came of it."""
    peer = PEERS[name]
    if row == "games" and name == "recbole_sasrec":
        peer = replace(peer, grid=(PAPER,), fit=partial(fit_sasrec, most_seconds=3600 * hours))
    folder = WORK / row / name / _key(peer, dataset, split)
    if (folder / "record.json").exists():
        # A training that had to end may go on.
        record = json.loads((folder / "record.json").read_text())
        if record["converged"] is not False or record.get("hours", 4) >= hours:
            return folder
    validation, held = tasks_of(dataset, split, "validation")
    half_a, half_b = ((half(validation, side), held) for side in ("A", "B"))
    test, targets = tasks_of(dataset, split, "test")
    started = time.monotonic()
    tuned = tune(peer, split, dataset, half_b, half_a=half_a, folder=folder, announce=_say)
    frames, converged, unscored = [], [], {}
    for seed in peer.seeds:
        fitted = peer.fit(split, dataset, tuned.settings, seed, half_a=half_a, folder=folder, final=True)
        rankings, unscored[seed] = rank_by_scores(fitted, test)
        converged.append(fitted.converged)
        frames.append(ranks_frame(name, test, rankings, targets, seed=seed))
    save_ranks(folder / "ranks.parquet", pl.concat(frames))
    record: dict[str, Any] = {
        "settings": dict(tuned.settings),
        "tries": [asdict(found) for found in tuned.tries],
        "validation_avg_hr": tuned.validation_avg_hr,
        "converged": None if None in converged else all(converged),
        "version": peer.version(),
        "unscored": unscored,
        "candidates": sum(len(task.candidates) for task in test),
        "seconds": time.monotonic() - started,
        "hours": hours if False in converged else None,
        **getattr(fitted, "record", {}),
    }
    write_atomic(folder / "record.json", json.dumps(record, indent=1) + "\n")
    return folder


def _key(peer: Peer, dataset: Dataset, split: Split) -> str:
    grid = [dict(settings) for settings in peer.grid]
    return fingerprint({"data": dataset.sha256, "grid": grid, "seeds": peer.seeds, "version": peer.version()})


def _data(name: DatasetName) -> tuple[Dataset, Split]:
    dataset, _ = load(name)
    return dataset, leave_one_out(dataset.sequences(TIE_SEED))


class _Alike(Component[ItemList]):
    """A lenskit scorer that gives one value to all."""

    config: None
    value: float = 0.5

    def __call__(self, query: RecQuery, items: ItemList) -> ItemList:
        return ItemList(items, scores=np.full(len(items), self.value))


class _None(_Alike):
    """One without scores."""

    value = float("nan")


class _Written:
    """The same value for all, through the files of `exchange`."""

    def __init__(self, value: float) -> None:
        self.value = value

    def scores(self, tasks: Sequence[RankingTask]) -> list[np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            given, answered = Path(folder) / "tasks-asked.npz", Path(folder) / "scores-asked.npz"
            write_tasks(given, tasks)
            with np.load(given) as asked:
                found = np.full(len(asked["candidates"]), self.value)
                np.savez(answered, scores=found, digest=asked["digest"])
            return read_scores(answered, tasks)


def _no_difference(dataset: Dataset) -> dict[str, Scorer]:
    """Scorers that prefer nothing, by the exchange that they go through."""
    items = np.arange(dataset.n_items)
    frame = pd.DataFrame({"user_id": items, "item_id": items})
    found: dict[str, Scorer] = {}
    for name, component in (("lenskit_constant", _Alike()), ("lenskit_unscored", _None())):
        pipeline = topn_pipeline(component)
        pipeline.train(from_interactions_df(frame.copy()))
        found[name] = LenskitScorer(pipeline, np.ones(dataset.n_items, dtype=bool), 0, True)
    weights = np.zeros((dataset.n_items, dataset.n_items), dtype=np.float32)
    found["ease_decayed_ties"] = EaseDecayed(weights, items.astype(np.int32), 10, 0.8)
    found["recbole_constant"], found["recbole_unscored"] = _Written(1.5), _Written(float("nan"))
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    app()
