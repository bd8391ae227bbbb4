"""How the signals grow: builds of 1, 10 and 25 million interactions, a task's evidence, an update, and the
neighbour step beside another library's.

Data comes from `synthetic.py` and builds from the command line that users have, each in a process of its own
whose time and memory the operating system counts.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from starrec.data import RankingTask, Sequences, leave_one_out, load_tables
from starrec.signals import Counts, Graph, Semantics, TaskView, gather
from starrec.signals.counts import all_neighbours
from starrec.store import LmdbStore, evidence_folder
from synthetic import catalogue_frame, generate, write

HISTORY: Final = 50
CANDIDATES: Final = 20
SAMPLED_ROWS: Final = 500


@dataclass(frozen=True)
class Ran:
    """A command in a process of its own."""

    seconds: float
    peak_mib: float
    output: str


def ran(*command: str | Path) -> Ran:
    """Run it, wait, and say what it took.

    Raises:
        RuntimeError: it failed; with what it printed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{output[-2000:]}")
    return Ran(seconds, usage.ru_maxrss / 1024, output)


def starrec() -> str:
    """The command of this environment."""
    return str(Path(sys.executable).with_name("starrec"))


def data(work: Path, interactions: int) -> Path:
    """A folder with generated interactions; made once."""
    folder = work / f"{interactions // 1_000_000}M"
    if not (folder / "items.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(generate(interactions), catalogue_frame(interactions), folder)
    return folder


def build(work: Path, interactions: int) -> dict[str, Any]:
    """A full build from Parquet files to a finished store."""
    folder = data(work, interactions)
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    found = ran(
        starrec(), "signals", "build", "--run", run,
        "--interactions", folder / "interactions.parquet", "--items", folder / "items.parquet",
    )  # fmt: skip
    source = LmdbStore.open(evidence_folder(run))
    return {
        "interactions": int(source.lengths.sum(dtype=np.int64)),
        "users": source.about.n_users,
        "items": source.about.n_items,
        "seconds": found.seconds,
        "peak_mib": found.peak_mib,
        "store_mib": sum(path.stat().st_size for path in source.version.iterdir()) / 2**20,
        "said": [line for line in found.output.splitlines() if line.strip()][-8:],
    }


def growth(measured: list[dict[str, Any]]) -> float:
    """The exponent e of seconds ~ interactions^e, by least squares on logarithms."""
    n = np.log([row["interactions"] for row in measured])
    seconds = np.log([row["seconds"] for row in measured])
    return float(np.polyfit(n, seconds, 1)[0])


def task_evidence(work: Path, interactions: int, tasks: int) -> dict[str, Any]:
    """All evidence for one task from the store, one thread, the asking user left out."""
    run = data(work, interactions) / "run"
    source = LmdbStore.open(evidence_folder(run))
    items = pl.read_parquet(run.parent / "items.parquet")
    semantics = Semantics(items["categories"].to_list(), items["title"].to_list(), items["year"].to_list())
    graph = Graph(source)
    random = np.random.default_rng(0)
    users = np.flatnonzero(source.lengths > HISTORY)
    asked = [_task(source, int(user), random) for user in random.permutation(users)[:tasks]]
    for task in asked[:50]:
        gather(TaskView.of(graph, semantics, task))
    seconds = []
    for task in asked:
        started = time.perf_counter()
        gather(TaskView.of(graph, semantics, task))
        seconds.append(time.perf_counter() - started)
    p50, p95, p99 = np.percentile(np.array(seconds) * 1000, [50, 95, 99]).tolist()
    return {
        "tasks": len(asked),
        "history": HISTORY,
        "candidates": CANDIDATES,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _task(source: LmdbStore, user: int, random: np.random.Generator) -> RankingTask:
    """As in training: the user's item at some place, among 19 that she never took."""
    items, days = source.sequence(user)
    place = int(random.integers(HISTORY, len(items)))
    others = np.setdiff1d(random.permutation(source.about.n_items)[:1000], items)[: CANDIDATES - 1]
    candidates = random.permutation(np.append(others, items[place])).astype(np.int32)
    part = slice(place - HISTORY, place)
    return RankingTask(
        f"train/{user}", user, str(user), items[part], candidates, days=None if days is None else days[part]
    )


def update(work: Path, interactions: int, added: int) -> dict[str, Any]:
    """New interactions into a build: of known users who come back, and of a tenth as many new ones."""
    folder = data(work, interactions)
    run = folder / "run"
    random = np.random.default_rng(1)
    source = LmdbStore.open(evidence_folder(run))
    known = source.user_ids
    catalogue = source.catalogue["item_id"].to_list()
    latest = int(
        pl.scan_parquet(folder / "interactions.parquet").select(pl.col("timestamp").max()).collect().item()
    )
    popular = source.popularity / source.popularity.sum(dtype=np.int64)
    users = [f"new-{n}" if n % 10 == 0 else known[int(random.integers(len(known)))] for n in range(added)]
    items = random.choice(len(catalogue), size=added, p=popular)
    fresh = folder / "new.csv"
    pl.DataFrame(
        {
            "user_id": users,
            "item_id": [catalogue[item] for item in items.tolist()],
            "timestamp": latest + 60 * np.arange(added),
        }
    ).write_csv(fresh)
    found = ran(starrec(), "signals", "update", "--run", run, "--interactions", fresh)
    return {
        "added": added,
        "seconds": found.seconds,
        "peak_mib": found.peak_mib,
        "said": [line for line in found.output.splitlines() if line.strip()][-6:],
    }


def beside_implicit(work: Path, interactions: int, rounds: int) -> dict[str, Any]:
    """The neighbour step and `implicit`'s CosineRecommender.fit, alternating, over the same matrix."""
    from implicit.nearest_neighbours import CosineRecommender

    train = _training(data(work, interactions))
    n_items = catalogue_frame(interactions).height
    counts = Counts.build(train, n_items)
    matrix = sparse.csr_matrix(
        (np.ones(len(counts.train.items)), counts.train.items, counts.train.ptr),
        shape=(counts.train.n_users, n_items),
    )
    small = Counts.build(Sequences(np.array([0, 2, 4]), np.array([0, 1, 1, 2], dtype=np.int32)), 3)
    all_neighbours(small)  # compiles
    ours, theirs = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        nearest = all_neighbours(counts)
        _facts(counts, nearest.items, nearest.both)
        ours.append(time.perf_counter() - started)
        model = CosineRecommender(K=nearest.items.shape[1] + 1, num_threads=2)
        started = time.perf_counter()
        model.fit(matrix, show_progress=False)
        theirs.append(time.perf_counter() - started)
    worst = _largest_difference(counts, nearest.items, nearest.both, sparse.csr_matrix(model.similarity))
    return {
        "interactions": len(counts.train.items),
        "seconds": ours,
        "implicit_seconds": theirs,
        "ratio": float(np.median(np.array(ours) / np.array(theirs))),
        "sampled_rows": SAMPLED_ROWS,
        "largest_difference": worst,
    }


def _training(folder: Path) -> Sequences:
    dataset, _ = load_tables(folder / "interactions.parquet", folder / "items.parquet", None)
    return leave_one_out(dataset.sequences(0)).train


def _facts(
    counts: Counts, items: NDArray[np.int32], both: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lift and significance of all pairs kept: what implicit's similarities do not have."""
    people = int((counts.lengths > 0).sum())
    base = counts.popularity.astype(np.float64)[:, None]
    total = counts.popularity.astype(np.float64)[items]
    observed = np.stack([both, base - both, total - both, people - base - total + both])
    expected = np.stack(
        [base * total, base * (people - total), (people - base) * total, (people - base) * (people - total)]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = both * people / (base * total)
        terms = np.where(observed > 0, observed * np.log(observed * people / expected), 0)
    return lift, 2 * terms.sum(axis=0)


def _largest_difference(
    counts: Counts, items: NDArray[np.int32], both: NDArray[np.int32], theirs: sparse.csr_matrix
) -> float:
    """Between the sorted cosines of sampled rows. Implicit counts an item as its own neighbour; we do not."""
    worst = 0.0
    rows = np.random.default_rng(0).choice(len(items), size=min(SAMPLED_ROWS, len(items)), replace=False)
    for row in rows.tolist():
        known = items[row] >= 0
        popular = counts.popularity.astype(np.float64)
        cosine = both[row][known] / np.sqrt(popular[row] * popular[items[row][known]])
        part = theirs.getrow(row)
        other = np.sort(part.data[part.indices != row])[::-1][: known.sum()]
        assert len(other) == known.sum(), f"row {row}: {len(other)} neighbours there, {known.sum()} here"
        worst = max(worst, float(np.abs(np.sort(cosine)[::-1] - other).max(initial=0)))
    return worst
