"""Running a suite, row by row: each seed's run, what is kept of it, and the outcome of each row.

A process holds the row in whose run folder it works; another process can work on other rows meanwhile. What a
seed took is added up in row.json line by line of what the run reports, over all calls: a killed call loses at
most the step that was under way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from rich.progress import Progress

from starrec.config import fingerprint
from starrec.errors import ConfigError, RunError, StarrecError
from starrec.evaluation import Evaluated, code_commit, read_results, write_merged
from starrec.pipeline.config import RunConfig
from starrec.pipeline.fingerprints import FORMATS
from starrec.pipeline.pipeline import Pipeline
from starrec.pipeline.session import progress_bar
from starrec.pipeline.suite import Row, Suite
from starrec.runs import lock_folder, write_atomic

Announce: TypeAlias = Callable[[str], None]
State: TypeAlias = Literal["done", "under way", "open", "not run here"]

_RECORD: Final = "row.json"


@dataclass(frozen=True)
class RowState:
    """Where a row stands."""

    row: Row
    state: State
    seeds: int
    """How many of its training seeds are done."""
    seconds: float
    """What it took so far, over all calls."""
    avg_hr: float | None
    """Of `star` in its outcome, if there is one."""


class Bench:
    """A suite in a folder of outcomes."""

    def __init__(self, suite: Suite, out: Path) -> None:
        self.suite = suite
        self.folder = out / suite.name

    def states(self) -> list[RowState]:
        """Where each row stands, in the order of the suite."""
        return [self._state(row) for row in self.suite.rows]

    def summary(self) -> str:
        """`movielens: 2 of 5 rows done, 1 under way, 2 open`"""
        states = [each.state for each in self.states()]
        counts = {state: states.count(state) for state in ("under way", "open", "not run here")}
        rest = "".join(f", {count} {state}" for state, count in counts.items() if count)
        return f"{self.suite.name}: {states.count('done')} of {len(states)} rows done{rest}"

    def run(self, only: str | None, announce: Announce, progress: Progress | None) -> None:
        """Run the rows that are not done, or one of them by name.

        A row that ends with an error does not keep the others from running.

        Raises:
            StarrecError: rows failed, or nothing can be run here; the message has the reason of each.
        """
        rows = self.suite.rows if only is None else (self.suite.row(only),)
        here = [row for row in rows if row.missing is None]
        for row in rows:
            if row.missing is not None:
                announce(f"row {row.name}: not run here: {row.missing}")
        if not here:
            raise ConfigError(" ".join(f"Row {row.name} is not run here: {row.missing}" for row in rows))
        failed: dict[str, StarrecError] = {}
        with progress_bar(progress, self.suite.name, sum(len(row.seeds) for row in here)) as advance:
            for row in here:
                try:
                    self._run(row, announce, progress, advance)
                except StarrecError as error:
                    failed[row.name] = error
                    announce(f"row {row.name}: {error}")
                announce(self.summary())
        if failed:
            reasons = " ".join(f"Row {name}: {error}" for name, error in failed.items())
            raise StarrecError(f"{len(failed)} of {len(here)} rows of {self.suite.name} failed. {reasons}")

    def _run(
        self, row: Row, announce: Announce, progress: Progress | None, advance: Callable[[int], None]
    ) -> None:
        home = self.folder / row.home
        home.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(home, "choose another row with --row or another folder with --out")
        try:
            for seed, config in zip(row.seeds, row.configs, strict=True):
                record = _Record(self.folder / row.name, seed, config)
                where = f"row {row.name}, seed {seed}"
                if record.done:
                    announce(f"{where}: done before")
                else:
                    _run_seed(record, home / "run", config, where, announce, progress)
                advance(1)
            self._write_outcomes(row)
        finally:
            lock.release()

    def _write_outcomes(self, row: Row) -> None:
        """The outcome of the row itself, and of the row that it adds to."""
        for name in dict.fromkeys((row.name, row.home)):
            target = self.suite.row(name)
            made_of = self._made_of(target)
            if not made_of or made_of == _made_of(self.folder / name):
                continue
            parts = [
                Evaluated(self.folder / part["row"] / f"seed-{part['seed']}", part["seed"]) for part in made_of
            ]
            about = {"suite": self.suite.name, "title": self.suite.title, "row": name, "made_of": made_of}
            write_merged(self.folder / name, parts, {"bench": about})

    def _made_of(self, target: Row) -> list[dict[str, Any]]:
        """The evaluations of a row's outcome, its own first; none while its own are not all done."""
        adding = [row for row in self.suite.rows if row.adds_to == target.name]
        found = []
        for row in (target, *adding):
            records = self._records(row)
            if all(record.done for record in records):
                found += [record.about(row.name) for record in records]
            elif row is target:
                return []
        return found

    def _records(self, row: Row) -> list[_Record]:
        return [_Record(self.folder / row.name, *each) for each in zip(row.seeds, row.configs, strict=True)]

    def _state(self, row: Row) -> RowState:
        records = self._records(row)
        seconds = sum(record.seconds for record in records)
        done = sum(record.done for record in records)
        made_of = self._made_of(row)
        if made_of and _made_of(self.folder / row.name) == made_of:
            outcome = read_results(self.folder / row.name / "results.json")
            return RowState(row, "done", done, seconds, outcome["systems"].get("star", {}).get("avg_hr"))
        state: State = "not run here" if row.missing else "under way" if seconds else "open"
        return RowState(row, state, done, seconds, None)


class _Record:
    """What row.json says of one training seed of a row. Made of other inputs, it counts as not begun."""

    def __init__(self, folder: Path, seed: int, config: RunConfig) -> None:
        self.folder = folder
        self.seed = seed
        self.inputs = fingerprint({"formats": FORMATS, "config": config})
        known = _read(folder / _RECORD).get("seeds", {}).get(str(seed), {})
        if known.get("inputs") != self.inputs:
            known = {}
        self.seconds = float(known.get("seconds", 0.0))
        self.done = bool(known.get("done")) and (self.kept / "results.json").is_file()
        self.commit = str(known.get("commit", ""))
        self.date = str(known.get("date", ""))

    @property
    def kept(self) -> Path:
        """Where the seed's evaluation is kept."""
        return self.folder / f"seed-{self.seed}"

    def about(self, row: str) -> dict[str, Any]:
        """How an outcome names the evaluation."""
        return {
            "row": row,
            "seed": self.seed,
            "inputs": self.inputs,
            "seconds": round(self.seconds, 1),
            "commit": self.commit,
            "date": self.date,
        }

    def save(self, seconds: float, *, done: bool = False) -> None:
        """Write down the seconds spent so far, and whether the evaluation is complete."""
        self.seconds, self.done = seconds, done
        if done:
            self.commit, self.date = code_commit(), datetime.now(UTC).date().isoformat()
        seeds = _read(self.folder / _RECORD).get("seeds", {})
        seeds[str(self.seed)] = {
            "inputs": self.inputs,
            "seconds": round(seconds, 1),
            "done": done,
            "commit": self.commit,
            "date": self.date,
        }
        write_atomic(self.folder / _RECORD, json.dumps({"seeds": seeds}, indent=1) + "\n")


def _run_seed(
    record: _Record,
    run: Path,
    config: RunConfig,
    where: str,
    announce: Announce,
    progress: Progress | None,
) -> None:
    started, before = time.monotonic(), record.seconds

    def spent() -> float:
        return before + time.monotonic() - started

    def report(line: str) -> None:
        announce(f"{where}: {line}")
        record.save(spent())

    try:
        with Pipeline.open(run, config, announce=report, progress=progress) as pipeline:
            pipeline.evaluate()
            for name, made in (("ranks.parquet", "results/ranks.parquet"), ("results.json", "results.json")):
                write_atomic(record.kept / name, (run / made).read_bytes())
        record.save(spent(), done=True)
    except BaseException:
        record.save(spent())
        raise


def _made_of(folder: Path) -> list[dict[str, Any]] | None:
    """What the outcome in a row's folder is made of; None where there is none."""
    path = folder / "results.json"
    return read_results(path).get("bench", {}).get("made_of") if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is unreadable ({error}). Remove it and run the same command again.") from error
    return content
