"""The whole road: raw interactions in, a distilled recommender and its report out.

    data -> signals -> teach -> distill -> evaluate

Each step runs what it needs before it, is skipped when it was done for the same inputs (a hash of content and
settings), and can be killed at any moment: a re-run goes on where it stopped. Data flows one way.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.progress import Progress

from starrec.config import Section, dump_toml, fingerprint
from starrec.data import (
    DataConfig,
    Dataset,
    RankingTask,
    Sequences,
    Split,
    Targets,
    evaluation_tasks,
    leave_one_out,
    load_movielens_100k,
    load_saved_dataset,
    load_tables,
    printable,
    save_dataset,
    training_positions,
    training_tasks,
    validation_half,
)
from starrec.data.hashing import text_keys
from starrec.engines import Workers
from starrec.errors import DataError
from starrec.evaluation import (
    SYSTEMS,
    EvaluationConfig,
    Results,
    check_trace,
    environment,
    faithfulness,
    measure,
    probe,
    rank_at_random,
    rank_by_signals,
    ranks_frame,
    read_results,
    replace_systems,
    save_ranks,
    summarise,
    throughput,
    write_report,
    write_results,
)
from starrec.ranking import Ranking, avg_hr
from starrec.runs import Run, write_atomic
from starrec.signals import Graph
from starrec.student import (
    FastTasks,
    Labelled,
    Stage,
    Star,
    StudentConfig,
    Thought,
    build_nano,
    build_tokenizer,
    gather_tasks,
    make_samples,
    reinforce,
    supervise,
)
from starrec.student import Progress as Training
from starrec.teacher import EmbeddedPolicy, TeacherConfig, policy, rank_with_teacher, teach, workflow
from starrec.tools import World
from starrec.trajectories import Store, Trajectory, keep, linear, one_per_task, pass_at, target_columns

CLASSIC: Final = "classic"
_TOKENIZER_RUNS: Final = 2000
"""Trajectories that the tokenizer learns phrases from."""
_TEACH_EPOCH: Final = 1_000_000
"""Negatives of taught tasks are their own draw, apart from every epoch of GRPO."""
_BATCH: Final = 256


class RunConfig(Section):
    """Everything that decides what a run gives."""

    data: DataConfig = Field(default_factory=DataConfig, description="Interactions and tasks.")
    teacher: TeacherConfig = Field(default_factory=TeacherConfig, description="The multi-agent teacher.")
    student: StudentConfig = Field(default_factory=StudentConfig, description="The distilled student.")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="What is measured.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data of a run as every later step uses it."""

    dataset: Dataset
    sequences: Sequences
    split: Split
    world: World


class Pipeline:
    """The steps over one run folder; use as a context manager."""

    def __init__(
        self, run: Run, config: RunConfig, announce: Callable[[str], None], progress: Progress | None
    ) -> None:
        self.config = config
        self._run = run
        self._announce = announce
        self._progress = progress

    @classmethod
    def open(
        cls,
        folder: Path,
        config: RunConfig,
        *,
        fresh: bool = False,
        announce: Callable[[str], None] = lambda line: None,
        progress: Progress | None = None,
    ) -> Self:
        """Open or create a run folder for this configuration.

        Args:
            fresh: start the run over.
            announce: gets a line for every step.
            progress: shows bars, with estimates, for long work.

        Raises:
            RunError: the folder is in use or was made by another configuration.
            DataError: fresh, and the data cannot be read; then the old run is untouched.
        """
        if fresh:
            # What is there must not go before what comes is known to be readable.
            _read(config.data, announce)
        return cls(Run.open(folder, dump_toml(config), fresh=fresh), config, announce, progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.close()

    def run(self) -> Results:
        """All steps; the content of results.json."""
        return self.evaluate()

    def data(self) -> Dataset:
        """Read, check and keep the interactions."""
        return self._dataset

    def signals(self) -> Prepared:
        """Split, and count the graph of the training split."""
        return self._prepared

    def teach(self) -> dict[str, object]:
        """Let the teacher reason over training tasks; facts about its runs."""
        config = self.config.teacher
        prepared = self._prepared
        step = self._run.step("teach", {**self._data_inputs, "teacher": config, "policy": policy_sha()})
        if step.done:
            self._say_taught(step.facts, again=True)
            return step.facts
        started = time.monotonic()
        tasks, targets = self._taught
        columns = target_columns(tasks, targets)
        folder = self._folder("trajectories", step.inputs)
        with Store(folder) as store, Workers(prepared.world) as workers:
            total = len(tasks) * config.runs
            with self._bar("teaching", total, store.count) as advance:
                for added in teach(workers, tasks, columns, store, config):
                    advance(added)
            runs = list(store)
        kept = keep(runs, self.config.student.sft.top_k)
        facts: dict[str, object] = {
            "tasks": len(tasks),
            "runs": len(runs),
            "kept": len(kept),
            "kept_tasks": len({run.task_id for run in kept}),
            "pass@1": pass_at(runs, 1),
            f"pass@{config.runs}": pass_at(runs, config.runs),
            "labels_seen": len(tasks),
            "seconds": time.monotonic() - started,
        }
        step.complete([folder], **facts)
        self._say_taught(facts, again=False)
        return facts

    def distill(self) -> dict[str, Any]:
        """Train the student on the kept runs, then by GRPO; facts about each stage, teaching included."""
        taught = self.teach()
        config = self.config.student
        inputs = self._everything
        step = self._run.step("distill", inputs)
        if step.done:
            self._announce("distill: done before")
            return {"teach": taught, **step.facts}
        prepared = self._prepared
        with Workers(prepared.world) as workers:
            kept = self._kept()
            tokenizer = build_tokenizer(prepared.dataset.mentions, map(linear, kept[:_TOKENIZER_RUNS]))
            model = build_nano(tokenizer, config.nano, config.seed)
            parameters = sum(weight.numel() for weight in model.parameters())
            self._announce(f"distill: nano student, {parameters:,} parameters, {len(tokenizer):,} tokens")
            star = Star(model, tokenizer, prepared.world)
            validation = self._validation_half("A")
            samples = make_samples(tokenizer, kept, config.nano.context)
            if not samples:
                raise DataError(
                    f"All {len(kept):,} kept runs are longer than the student's context of "
                    f"{config.nano.context:,} tokens. Raise `[student.nano] context`."
                )
            facts: dict[str, Any] = {}
            curves: dict[str, object] = {}

            def stage(name: str, steps: int, report: Callable[[Training], None]) -> Stage:
                return Stage(
                    model,
                    tokenizer,
                    star.prompts,
                    config,
                    validation,
                    self._run.path("student", f"{name}.checkpoint"),
                    fingerprint({**inputs, "stage": name}),
                    report,
                )

            folders = {name: self._run.path("student", name) for name in ("sft", "star")}
            with self._bar("SFT", config.sft.steps, 0) as advance:
                progress = supervise(
                    stage("sft", config.sft.steps, _steps(advance)), *self._ranked(kept), samples
                )
            self._save(star, folders["sft"])
            curves["sft"] = progress.curve
            facts["sft"] = _stage_facts(progress, tasks=len(kept), runs=taught["runs"], kept=taught["kept"])
            self._announce(_said("SFT", progress))

            positions = training_positions(
                prepared.dataset,
                prepared.split,
                per_user=config.grpo.tasks_per_user,
                seed=self.config.data.seed,
                min_history=self.config.teacher.min_history,
            )

            def epoch(number: int) -> Labelled:
                tasks, targets = training_tasks(
                    prepared.dataset,
                    prepared.split,
                    positions,
                    seed=self.config.data.seed,
                    epoch=number,
                    negatives=self.config.data.negatives,
                )
                return _label(workers, tasks, targets)

            with self._bar("GRPO", config.grpo.steps, 0) as advance:
                progress = reinforce(
                    stage("grpo", config.grpo.steps, _steps(advance)), len(positions), epoch, samples
                )
            self._save(star, folders["star"])
            curves["grpo"] = progress.curve
            seen = min(len(positions), config.grpo.steps * config.grpo.batch)
            facts["grpo"] = _stage_facts(
                progress, tasks=seen, runs=config.grpo.steps * config.grpo.batch * config.grpo.group, kept=seen
            )
            self._announce(_said("GRPO", progress))
        facts["curves"] = curves
        step.complete(list(folders.values()), **facts)
        for name in ("sft", "grpo"):
            self._run.path("student", f"{name}.checkpoint").unlink(missing_ok=True)
        return {"teach": taught, **facts}

    def evaluate(self) -> Results:
        """Rank the test tasks with every system; results.json and report.html."""
        training = self.distill()
        config = self.config.evaluation
        step = self._run.step("evaluate", {**self._everything, "evaluation": config})
        results_path = self._run.path("results.json")
        if step.done:
            self._announce("evaluate: done before")
            return read_results(results_path)
        started = time.monotonic()
        prepared = self._prepared
        tasks, targets = self._tasks("test")
        star = Star.load(self._run.path("student", "star"), prepared.world)
        before = Star.load(self._run.path("student", "sft"), prepared.world)
        with Workers(prepared.world) as workers:
            rankings = rank_by_signals(workers, tasks)
            rankings["random"] = rank_at_random(tasks, config.seed)
            rankings["teacher"] = rank_with_teacher(workers, tasks, self.config.teacher.seed)
            best_tool, chosen_on = self._best_tool(workers)
            ties = self._over_tie_seeds(workers)
        rankings["star"] = star.rank_many(tasks)
        rankings["star_sft"] = before.rank_many(tasks)
        subset = self._think_subset(tasks)
        thoughts = []
        seconds: list[float] = []
        with self._bar("think mode", len(subset), 0) as advance:
            for task in subset:
                at = time.perf_counter()
                thoughts.append(star.think(task))
                seconds.append(time.perf_counter() - at)
                advance(1)
        ranks = ranks_frame("random", tasks, rankings.pop("random"), targets, seed=config.seed)
        for name, ranked in rankings.items():
            ranks = replace_systems(ranks, ranks_frame(name, tasks, ranked, targets, seed=config.seed))
        thought = [thought.ranking for thought in thoughts]
        ranks = replace_systems(ranks, ranks_frame("star_think", subset, thought, targets, seed=config.seed))

        self._announce("evaluate: latency and probes")
        timed = tasks[: config.latency_requests]
        latency = {
            "star": {**measure(star.rank, timed), "throughput_per_s": throughput(star.rank_many, tasks[:1024])},
            "star_think": _percentiles(seconds),
            "star_sft": measure(before.rank, timed),
            **self._latency(timed),
        }
        facts = {
            "teacher_kind": EmbeddedPolicy.kind,
            "best_tool": {"name": best_tool, "validation_avg_hr": chosen_on},
            "latency_ms": latency,
            "training": training,
            "faithfulness": {
                "star_think": faithfulness([check_trace(thought) for thought in thoughts]),
                # How well the student copies on its own: the control for what grounding does.
                "star_think_ungrounded": faithfulness(
                    [
                        check_trace(star.think(task, grounded=False))
                        for task in subset[: config.ungrounded_users]
                    ]
                ),
            },
            "probes": self._probe(star),
            "tie_seeds": ties,
            "worked_examples": [
                _example(prepared.dataset, task, thought, targets[task.task_id])
                for task, thought in zip(
                    subset[: config.worked_examples], thoughts[: config.worked_examples], strict=True
                )
            ],
            "cost": {"language_model_requests": 0, "evaluate_seconds": time.monotonic() - started},
            "data_sha256": prepared.dataset.sha256,
            "commit": _commit(),
            "policy_sha": policy_sha(),
            "environment": environment(),
        }  # fmt: skip
        pairs = [
            ("star", "teacher"),
            ("star", "star_sft"),
            ("star_sft", "teacher"),
            ("star_think", "teacher"),
            ("star", best_tool),
            ("teacher", best_tool),
        ]
        results = summarise(
            ranks,
            dataset=prepared.dataset.name,
            comparisons=pairs,
            seed=config.seed,
            n_resamples=config.n_resamples,
            facts=facts,
        )
        save_ranks(self._run.path("results", "ranks.parquet"), ranks)
        write_results(results_path, results)
        report = write_report(self._run.folder, results, ranks)
        step.complete([results_path, self._run.path("results", "ranks.parquet"), report])
        self._announce(f"evaluate: {len(tasks):,} test tasks, report in {report}")
        return results

    # What steps share -------------------------------------------------------------------------------------

    @cached_property
    def _dataset(self) -> Dataset:
        config = self.config.data
        folder = self._run.path("data")
        step = self._run.step("data", {"data": config, "files": _contents(config)})
        if step.done:
            dataset = load_saved_dataset(folder)
            self._say_data(dataset, again=True)
            return dataset
        dataset = _read(config, self._announce)
        step.complete(save_dataset(dataset, folder), sha256=dataset.sha256)
        self._say_data(dataset, again=False)
        return dataset

    @cached_property
    def _prepared(self) -> Prepared:
        dataset = self._dataset
        sequences = dataset.sequences(self.config.data.tie_seed)
        split = leave_one_out(sequences)
        if not (split.test >= 0).any():
            raise DataError(
                "No user has 3 or more interactions, so nobody can be tested: the last two of a user "
                "are held out. Add interactions."
            )
        graph = Graph.build(split.train, dataset.n_items)
        self._announce(
            f"signals: {graph.n_users:,} users, {len(graph.train.items):,} training interactions, "
            f"{len(graph.cooccurrence.columns) // 2:,} pairs of items taken together, "
            f"{len(graph.followed.columns):,} transitions"
        )
        # What an answering run must know of the graph beside the data: how equal times were ordered.
        about = {"tie_seed": self.config.data.tie_seed, "users": graph.n_users, "items": graph.n_items}
        write_atomic(self._run.path("evidence", "graph.json"), json.dumps(about) + "\n")
        return Prepared(dataset, sequences, split, World.of(dataset, graph))

    @property
    def _data_inputs(self) -> dict[str, object]:
        data = self.config.data
        return {
            "dataset": self._dataset.sha256,
            "data": {name: getattr(data, name) for name in ("tie_seed", "seed", "draws", "negatives")},
        }

    @property
    def _everything(self) -> dict[str, object]:
        return {
            **self._data_inputs,
            "teacher": self.config.teacher,
            "policy": policy_sha(),
            "student": self.config.student,
        }

    @cached_property
    def _taught(self) -> tuple[list[RankingTask], Targets]:
        prepared, config = self._prepared, self.config
        positions = training_positions(
            prepared.dataset,
            prepared.split,
            per_user=config.teacher.tasks_per_user,
            seed=config.data.seed + 1,
            min_history=config.teacher.min_history,
        )
        return training_tasks(
            prepared.dataset,
            prepared.split,
            positions,
            seed=config.data.seed,
            epoch=_TEACH_EPOCH,
            negatives=config.data.negatives,
        )

    def _kept(self) -> list[Trajectory]:
        """The runs that teach: through the outcome filter, one a task."""
        step = self._run.step(
            "teach", {**self._data_inputs, "teacher": self.config.teacher, "policy": policy_sha()}
        )
        with Store(self._folder("trajectories", step.inputs)) as store:
            kept = one_per_task(keep(store, self.config.student.sft.top_k), self.config.student.seed)
        if not kept:
            raise DataError(
                "None of the teacher's runs passed the outcome filter, so there is nothing to learn from. "
                "Teach more tasks (`[teacher] tasks_per_user`) or relax the filter (`[student.sft] top_k`)."
            )
        return kept

    def _ranked(self, kept: list[Trajectory]) -> tuple[FastTasks, NDArray[np.int64]]:
        """The kept runs' tasks in fast form, and the columns of their candidates as each run ranked them."""
        by_id = {task.task_id: task for task in self._taught[0]}
        tasks = [by_id[run.task_id] for run in kept]
        rankings = np.array([[run.labels.index(label) for label in run.ranking] for run in kept])
        return gather_tasks(self._prepared.world, tasks), rankings

    def _tasks(self, which: str) -> tuple[list[RankingTask], Targets]:
        prepared, data = self._prepared, self.config.data
        return evaluation_tasks(
            prepared.dataset,
            prepared.sequences,
            prepared.split,
            "test" if which == "test" else "validation",
            seed=data.seed,
            draws=data.draws,
            negatives=data.negatives,
        )

    def _validation_half(self, half: str) -> Labelled:
        tasks, targets = self._tasks("validation")
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        chosen = [task for task, side in zip(tasks, halves, strict=True) if side == half]
        columns = target_columns(chosen, targets)
        return Labelled(
            gather_tasks(self._prepared.world, chosen), np.array([columns[task.task_id] for task in chosen])
        )

    def _best_tool(self, workers: Workers[World]) -> tuple[str, dict[str, float]]:
        """The best single tool on validation half B, and what each scored there."""
        tasks, targets = self._tasks("validation")
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        chosen = [task for task, side in zip(tasks, halves, strict=True) if side == "B"]
        scores = {
            name: _avg_hr(ranked, chosen, targets) for name, ranked in rank_by_signals(workers, chosen).items()
        }
        return max(scores, key=lambda name: scores[name]), scores

    def _probe(self, star: Star) -> dict[str, float]:
        """How the student reads its evidence, on validation half B: nothing is looked into on test."""
        tasks, targets = self._tasks("validation")
        halves = validation_half([task.user_id for task in tasks], self.config.data.seed)
        chosen = [task for task, side in zip(tasks, halves, strict=True) if side == "B"]
        wanted = self.config.evaluation.probe_tasks
        return probe(
            star, chosen[:: max(1, len(chosen) // wanted)][:wanted], targets, self.config.evaluation.seed
        )

    def _over_tie_seeds(self, workers: Workers[World]) -> dict[str, dict[str, float]]:
        """avg_hr of tools and teacher under other orders of equal times. The student is left out: what it was
        trained on under one order is held out under another."""
        found: dict[str, dict[str, float]] = {}
        data = self.config.data
        for seed in range(data.tie_seed, data.tie_seed + self.config.evaluation.tie_seeds):
            sequences = self._dataset.sequences(seed)
            split = leave_one_out(sequences)
            world = World.of(self._dataset, Graph.build(split.train, self._dataset.n_items))
            tasks, targets = evaluation_tasks(
                self._dataset, sequences, split, "test", seed=data.seed, draws=1, negatives=data.negatives
            )
            with Workers(world, workers.processes) as others:
                ranked = rank_by_signals(others, tasks)
                ranked["teacher"] = rank_with_teacher(others, tasks, self.config.teacher.seed)
            found[str(seed)] = {name: _avg_hr(rankings, tasks, targets) for name, rankings in ranked.items()}
        return found

    def _latency(self, tasks: list[RankingTask]) -> dict[str, dict[str, float]]:
        """Of the teacher and of the tools: one request in one process, and throughput over all cores."""
        world, seed = self._prepared.world, self.config.teacher.seed
        with Workers(world, 1) as alone:
            timed = {
                "teacher": measure(lambda task: rank_with_teacher(alone, [task], seed), tasks),
                # All signals of a task are gathered at once, so every tool alone takes the same time.
                **dict.fromkeys(SYSTEMS, measure(lambda task: rank_by_signals(alone, [task]), tasks)),
            }
        with Workers(world) as workers:
            rank_with_teacher(workers, tasks, seed)  # until all workers are up
            per_s = throughput(lambda all_: rank_with_teacher(workers, all_, seed), tasks)
        return {**timed, "teacher": {**timed["teacher"], "throughput_per_s": per_s}}

    def _think_subset(self, tasks: list[RankingTask]) -> list[RankingTask]:
        """One draw of the users with the smallest hashes."""
        first = [task for task in tasks if task.draw == 0]
        keys = text_keys([task.user_id for task in first], self.config.evaluation.seed, "think subset")
        return [first[index] for index in np.argsort(keys)[: self.config.evaluation.think_users].tolist()]

    def _folder(self, name: str, inputs: str) -> Path:
        """A folder of the run that belongs to these inputs; what others left there goes."""
        folder = self._run.path(name)
        mark = folder / "inputs"
        if folder.exists() and (not mark.exists() or mark.read_text() != inputs):
            shutil.rmtree(folder)
        if not mark.exists():
            write_atomic(mark, inputs)
        return folder

    def _save(self, star: Star, folder: Path) -> None:
        """A student's folder appears whole: written beside, then renamed."""
        beside = folder.with_name(f".tmp-{folder.name}")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        star.save(beside)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)

    def _say_data(self, dataset: Dataset, *, again: bool) -> None:
        self._announce(
            f"data: {dataset.name}, {dataset.interactions.height:,} interactions, {dataset.n_users:,} users, "
            f"{dataset.n_items:,} items{' (done before)' if again else ''}"
        )

    def _say_taught(self, facts: Mapping[str, Any], *, again: bool) -> None:
        runs = self.config.teacher.runs
        self._announce(
            f"teach: {facts['runs']:,} runs over {facts['tasks']:,} tasks, pass@1 {facts['pass@1']:.3f}, "
            f"pass@{runs} {facts[f'pass@{runs}']:.3f}, {facts['kept_tasks']:,} tasks with a run that teaches"
            f"{' (done before)' if again else ''}"
        )

    @contextmanager
    def _bar(self, name: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        if self._progress is None:
            yield lambda count: None
            return
        bar = self._progress.add_task(name, total=total, completed=done)
        progress = self._progress
        try:
            yield lambda count: progress.advance(bar, count)
        finally:
            progress.remove_task(bar)


def _read(config: DataConfig, announce: Callable[[str], None]) -> Dataset:
    """The dataset of its source; DataError for whatever is wrong with it."""
    if config.source == "movielens-100k":
        return load_movielens_100k(_cache(), local=config.local, notify=announce)
    if config.interactions is None or config.items is None:
        raise DataError(
            "Your own data needs two files: give --interactions FILE and --items FILE (or set both in the "
            "`[data]` section of the configuration)."
        )
    dataset, skipped = load_tables(
        config.interactions,
        config.items,
        config.users,
        columns=config.columns,
        delimiter=config.delimiter,
        skip_bad_rows=config.skip_bad_rows,
    )
    if skipped.rows:
        announce(f"data: {skipped}")
    return dataset


def policy_sha() -> str:
    """Hash of the embedded policy's and the workflow's source: which teacher the results speak of."""
    text = inspect.getsource(policy) + inspect.getsource(workflow)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _label(workers: Workers[World], tasks: list[RankingTask], targets: Targets) -> Labelled:
    """Tasks in fast form, looked up by the workers."""
    batches = [tasks[at : at + _BATCH] for at in range(0, len(tasks), _BATCH)]
    parts = list(workers.map(gather_tasks, batches))
    columns = target_columns(tasks, targets)
    return Labelled(FastTasks.concatenate(parts), np.array([columns[task.task_id] for task in tasks]))


def _steps(advance: Callable[[int], None]) -> Callable[[Training], None]:
    """Moves a bar to where training stands, also after resuming in the middle."""
    shown = 0

    def report(progress: Training) -> None:
        nonlocal shown
        advance(progress.step - shown)
        shown = progress.step

    return report


def _stage_facts(progress: Training, **counts: object) -> dict[str, object]:
    return {
        **counts,
        "labels_seen": counts["tasks"],
        "seconds": progress.seconds,
        "validation_evaluations": progress.evaluations,
        "best_validation_avg_hr": progress.best,
        "best_step": progress.best_step,
        "precision": progress.precision,
    }


def _said(name: str, progress: Training) -> str:
    return (
        f"distill: {name} {progress.seconds:.0f} s, avg_hr {progress.best:.3f} on validation half A "
        f"(step {progress.best_step})"
    )


def _avg_hr(rankings: Iterable[Ranking], tasks: Iterable[RankingTask], targets: Targets) -> float:
    ranks = [ranking.rank_of(targets[task.task_id]) for ranking, task in zip(rankings, tasks, strict=True)]
    return float(avg_hr(np.array(ranks)).mean())


def _percentiles(seconds: list[float]) -> dict[str, float]:
    low, middle, high = np.percentile(np.array(seconds) * 1000, [50, 95, 99]).tolist()
    return {"p50": low, "p95": middle, "p99": high, "n": len(seconds), "throughput_per_s": 1 / np.mean(seconds)}


def _example(dataset: Dataset, task: RankingTask, thought: Thought, target: int) -> dict[str, object]:
    return {
        "user_id": printable(task.user_id),
        "history": [dataset.titles[item] for item in task.history.tolist()],
        "steps": [
            {"agent": "star" if step.written else "tools", "kind": step.tag, "text": step.text}
            for step in thought.steps
        ],
        "ranking": [dataset.titles[item] for item in thought.ranking.items],
        "target": dataset.titles[target],
        "rank": thought.ranking.rank_of(target),
    }


def _contents(config: DataConfig) -> dict[str, str]:
    """Hashes of a user's own files, so that an edited file is a new input."""
    paths = [path for path in (config.interactions, config.items, config.users) if path is not None]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def _cache() -> Path:
    return Path.home() / ".cache" / "starrec"


def _commit() -> str:
    """The commit of the code, where it runs out of a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip() or "unknown"


__all__ = ["Pipeline", "Prepared", "RunConfig", "policy_sha"]
