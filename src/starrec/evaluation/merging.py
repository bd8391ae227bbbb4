"""One outcome of several evaluations of the same tasks: other training seeds, other peers and controls.

Systems that are trained with the student's seed (`star` and every `star_…`) have a row for each training seed
in the merged ranks; what does not depend on it stands there once, as seed 0. A system that an evaluation gave
several seeds of its own keeps them. Everything in results.json is then computed from the merged ranks, and what
ranks cannot tell is that of the first evaluation that tells it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from starrec.evaluation.ranks import load_ranks, save_ranks
from starrec.evaluation.results import Results, read_results, recompute, write_results
from starrec.evaluation.wording import is_student

_ANSWER: Final = ("system", "seed", "split", "scenario", "task_id")
_QUESTIONS: Final = ("system", "split", "scenario")


@dataclass(frozen=True)
class Evaluated:
    """One evaluation, as an evaluated run leaves it: a folder with ranks.parquet and results.json."""

    folder: Path
    seed: int
    """Training seed of its student."""

    @property
    def ranks(self) -> pl.DataFrame:
        """Its ranks, as `load_ranks` reads them."""
        return load_ranks(self.folder / "ranks.parquet")

    @property
    def results(self) -> Results:
        """Its results, as `read_results` reads them."""
        return read_results(self.folder / "results.json")


def merge_ranks(parts: Sequence[tuple[int, pl.DataFrame]]) -> tuple[pl.DataFrame, list[str]]:
    """The ranks (`RANKS_SCHEMA`) of several evaluations, each with its training seed, as one; the first that
    has an answer gives it.

    A system that answered fewer tasks of a scenario than in an earlier evaluation is left out of the later one:
    its mean would be over other tasks. Second: the training seeds that are missing for it, in words.
    """
    frames: list[pl.DataFrame] = []
    left_out: list[str] = []
    answered: dict[tuple[str, str, str], dict[int, int]] = {}
    for seed, ranks in parts:
        students = [name for name in ranks["system"].unique().to_list() if is_student(name)]
        own = pl.when(pl.col("system").is_in(students)).then(seed).otherwise(0).cast(pl.Int32)
        single = pl.col("seed").n_unique().over("system") == 1
        seeded = ranks.with_columns(seed=pl.when(single).then(own).otherwise("seed"))
        for key, part in seeded.group_by(_QUESTIONS, maintain_order=True):
            system, split, scenario = map(str, key)
            known = answered.setdefault((system, split, scenario), {})
            seeds, tasks = part["seed"].unique().to_list(), part["task_id"].n_unique()
            if tasks < (most := max(known.values(), default=0)):
                if not known.keys() >= set(seeds):
                    what = f"{system} of seed {seed} in {split}/{scenario}"
                    left_out.append(f"{what}: {tasks:,} of {most:,} tasks")
                continue
            known.update(dict.fromkeys(seeds, tasks))
            frames.append(part)
    merged = pl.concat(frames).unique(_ANSWER, keep="first", maintain_order=True)
    return merged.sort("system", "seed", maintain_order=True), left_out


def merge_facts(results: Sequence[Results]) -> Results:
    """The content of results.json that ranks cannot tell, and the protocol: of the first that tells it; tables
    by name (latency, say) hold the names of all, and comparisons are those of any."""
    merged: Results = {}
    for each in results:
        for key, value in each.items():
            known = merged.setdefault(key, value)
            if isinstance(known, Mapping) and isinstance(value, Mapping):
                merged[key] = {**value, **known}
    pairs = [list(pair) for each in results for pair in each["protocol"]["comparisons"]]
    merged["protocol"] = {
        **merged["protocol"],
        "comparisons": [pair for at, pair in enumerate(pairs) if pair not in pairs[:at]],
    }
    return merged


def write_merged(folder: Path, parts: Sequence[Evaluated], facts: Mapping[str, Any]) -> Results:
    """Merge evaluations of the same tasks into a folder's ranks.parquet and results.json; the latter's content.

    Args:
        facts: further keys of results.json.

    Raises:
        RunError: a file is missing or unreadable, or they were asked different questions.
    """
    ranks, left_out = merge_ranks([(part.seed, part.ranks) for part in parts])
    merged = {**merge_facts([part.results for part in parts]), **facts, "left_out": left_out}
    beside = folder / ".tmp-outcome"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_ranks(beside / "ranks.parquet", ranks)
    write_results(beside / "results.json", merged)
    results = recompute(beside / "ranks.parquet", beside / "results.json")
    # The results last: they say what the ranks are made of.
    for name in ("ranks.parquet", "results.json"):
        os.replace(beside / name, folder / name)
    beside.rmdir()
    return results
