"""The `teach` step: the teacher reasons over training tasks, the outcome filter selects the runs that teach.

Every sampled run is stored, failed ones too: pass@K is about all of them, and a filter relaxed later finds the
runs that it needs. Only `kept_runs` and `unfiltered_runs` decide what the student sees.

The product of the step records which tasks were asked (`asked.parquet`) and the counts of their runs. The runs
themselves are in the one store of the run folder, keyed by task and teacher, so a task asked again is found
there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rich.progress import Progress

from starrec.cores import cores
from starrec.engines import open_engine
from starrec.errors import ConfigError, DataError, RunError
from starrec.llm.price import price
from starrec.pipeline.fingerprints import evidence_origin, teach_inputs, teacher
from starrec.pipeline.memory import gives_back
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared
from starrec.pipeline.tasks import Tasks
from starrec.teacher import Budget, Ended, Estimate, Spending, Work, advice, estimate, missing, teach
from starrec.trajectories import (
    STORE,
    Store,
    Trajectory,
    keep,
    one_per_task,
    statistics,
    target_columns,
    write_asked,
)

WAYS: Final = "ways.json"
"""File of the run folder: how each of its language models has to be asked."""

Report: TypeAlias = Callable[[Sequence[Ended]], None]
"""Called with runs that have ended and are stored."""
Watch: TypeAlias = Callable[[int, int, Progress | None], AbstractContextManager[Report]]
"""A display of teaching: takes the number of runs, how many of them are settled, and the progress bars; gives a
context in which it is shown, with the `Report` that updates it."""


@dataclass(frozen=True, slots=True)
class TeachOptions:
    """Options of one call of `teach`; none of them changes a run's content."""

    budget: Budget | None = None
    """Stop cleanly when this much is spent."""
    retry: bool = False
    """Try failed runs again."""
    watch: Watch | None = None
    """Shows runs as they end; None for a bar."""


@gives_back
def gather_runs(session: Session, prepared: Prepared, tasks: Tasks, options: TeachOptions) -> dict[str, object]:
    """Let the teacher reason over the taught tasks; a record of its runs, also where a budget stopped it.

    Raises:
        DataError: there is no task to teach about.
        ConfigError: a budget in money, for a model whose price is not known.
        RunError: a model could not be asked in some runs, which the next call tries again; or all runs failed.
    """
    config = session.config.teacher
    taught, targets = tasks.taught
    if not taught:
        raise DataError(_no_task(prepared, config.min_history))
    keys = tasks.keys(tasks.taught)
    product = session.run.product("teach", teach_inputs(session.config, keys))
    if product.done and not (options.retry and product.facts.get("failures")):
        session.run.use(product)
        session.announce(f"{_summary(product.facts, config.runs)} (done before)")
        return product.facts
    _require_price(session, options.budget)
    session.begins("teach")
    started = time.monotonic()
    columns = target_columns(taught, targets)
    write_asked(product.folder, taught, keys, prepared.dataset.item_ids)
    session.run.use(product)
    spending = Spending(options.budget)
    with open_store(session, prepared, keys, explore=True) as store:
        work = missing(taught, config.runs, store, retry=options.retry)
        total, left = len(taught) * config.runs, sum(len(numbers) for _, numbers in work)
        _report_known(session, len(taught), work, total - left)
        watch = options.watch or _bar(session)
        with watch(total, total - left, session.progress) as report:
            for ended in _teach(session, prepared, work, columns, store, spending):
                report(ended)
        failures = list(store.failed().values())
        counted = statistics(store, failures)
        kept = Counter(run.task_id for run in keep(store, session.config.student.sft.top_k))
    record: dict[str, object] = {
        "tasks": len(taught),
        "runs": counted["runs"],
        "kept": kept.total(),
        "kept_tasks": len(kept),
        "pass@1": counted["pass@1"],
        f"pass@{config.runs}": counted.get(f"pass@{config.runs}", counted["pass@1"]),
        "labels_seen": len(taught),
        "failures": counted["failures"],
        "cost": counted["cost"],
        "seconds": time.monotonic() - started,
    }
    if spending.stopped and options.budget is not None:
        settled = counted["runs"] + len(failures)
        session.announce(
            f"teach: stopped at the budget of {options.budget.text} with {settled:,} of {total:,} "
            "runs settled; run the same command to go on, with or without a budget"
        )
        return record
    unasked = [failure for failure in failures if failure.reason == "endpoint"]
    if unasked:
        raise RunError(
            f"In {len(unasked):,} of {total:,} runs the model could not be asked. The last error: "
            f"{unasked[-1].message} All others are stored; run the same command to try these again."
        )
    if failures and not counted["runs"]:
        raise RunError(
            f"All {total:,} runs failed, so there is nothing to learn from. The last error: "
            f"{failures[-1].message} {advice(failures)}"
        )
    product.complete(**record)
    session.announce(_summary(record, config.runs))
    return record


def estimate_runs(session: Session, prepared: Prepared, tasks: Tasks, sample: int) -> Estimate:
    """Estimate what is left of teaching, from a sample of its tasks; nothing is asked, spent or stored.

    Raises:
        DataError: there is no task to teach about.
    """
    config = session.config.teacher
    taught, _ = tasks.taught
    if not taught:
        raise DataError(_no_task(prepared, config.min_history))
    with open_store(session, prepared, tasks.keys(tasks.taught), explore=True) as store:
        work = missing(taught, config.runs, store)
    return estimate(prepared.world, work, sample, config, cores())


@gives_back
def kept_runs(session: Session, prepared: Prepared, tasks: Tasks) -> list[Trajectory]:
    """The runs that teach, through the outcome filter, one a task.

    Raises:
        DataError: none passed.
    """
    config = session.config.student
    with open_store(session, prepared, tasks.keys(tasks.taught), explore=True) as store:
        kept = one_per_task(keep(store, config.sft.top_k), config.seed)
    if not kept:
        raise DataError(
            "None of the teacher's runs passed the outcome filter, so there is nothing to learn from. "
            "Teach more tasks (`[teacher] tasks_per_user`) or relax the filter (`[student.sft] top_k`)."
        )
    return kept


@gives_back
def unfiltered_runs(session: Session, prepared: Prepared, tasks: Tasks) -> list[Trajectory]:
    """One run of each taught task, drawn whatever its outcome."""
    with open_store(session, prepared, tasks.keys(tasks.taught), explore=True) as store:
        return one_per_task(store, session.config.student.seed)


def open_store(session: Session, prepared: Prepared, keys: Mapping[str, str], *, explore: bool) -> Store:
    """The runs of this configuration's teacher over the tasks with these keys, for reading and appending.

    Args:
        explore: sampled runs (`teach`), or one greedy run a task (`evaluate`).
    """
    config = session.config
    origin = evidence_origin(config, prepared.dataset)
    return Store(session.run.path(STORE), teacher(config, explore=explore), keys, origin)


def _teach(
    session: Session,
    prepared: Prepared,
    work: Sequence[Work],
    columns: Mapping[str, int],
    store: Store,
    spending: Spending,
) -> Iterator[list[Ended]]:
    config = session.config.teacher
    if not work:
        return
    if config.model.embedded:
        with open_engine(prepared.world, config.engine, address=config.address or None) as engine:
            yield from teach(engine, work, columns, store, config.seed, spending)
        return
    if config.engine == "ray":
        raise ConfigError(
            "The engine `ray` spreads the embedded policy; one process is enough to wait for a language model. "
            'Set `[teacher] engine = "processes"`.'
        )
    # Imported here: pydantic-ai is an extra, and takes seconds.
    from starrec.teacher.asking import teach_by_models

    yield from teach_by_models(
        config,
        prepared.world,
        work,
        columns,
        store,
        announce=lambda line: session.announce(f"teach: {line}"),
        kept=session.run.path(WAYS),
        spending=spending,
    )


def _require_price(session: Session, budget: Budget | None) -> None:
    config = session.config.teacher
    if budget is None or budget.resource != "usd":
        return
    for model in (config.model, *config.roles.values()):
        if price(model) is None:
            raise ConfigError(
                f"--budget {budget.text} cannot be kept: the price of the model {model.model!r} is not known. "
                "Set its `input_usd` and `output_usd`, or give a budget in tokens or time."
            )


def _bar(session: Session) -> Watch:
    @contextmanager
    def watch(total: int, settled: int, progress: Progress | None) -> Iterator[Report]:
        with session.bar("teaching", total, settled) as advance:
            yield lambda ended: advance(len(ended))

    return watch


def _report_known(session: Session, tasks: int, work: Sequence[Work], settled: int) -> None:
    """Report where a new selection of tasks finds runs of an earlier one."""
    if settled:
        open_ = len(work)
        session.announce(
            f"teach: {tasks - open_:,} of {tasks:,} tasks are answered already ({settled:,} runs stored); "
            f"{open_:,} to ask"
        )


def _no_task(prepared: Prepared, min_history: int) -> str:
    """Why no position of the training part has the history that is configured, and what to do."""
    longest = int(prepared.split.train.lengths.max(initial=0))
    kind = prepared.split.kind
    whose = {"own": "your own split", "global-time": "the split at two moments"}.get(kind, "the split")
    if longest < 2:
        needed = (
            "after the last two items of each user are held out, nobody has two left. A task takes a user "
            "with at least 4 interactions."
            if kind == "leave-one-out"
            else f"by {whose}, no user has two interactions in the training part, and a task needs both: a "
            "history and the item after it. Add training interactions."
        )
        return f"There is nobody to teach about: {needed}"
    needed = (
        f"and two more are held out, so a user with {min_history + 3} interactions"
        if kind == "leave-one-out"
        else f"so a user with {min_history + 1} interactions in the training part of {whose}"
    )
    return (
        f"There is nobody to teach about: a task takes {min_history} items before the one asked about, "
        f"{needed}; nobody has so many that are usable. Set `[teacher] min_history = {longest - 1}`, the most "
        "that gives tasks here, or lower; or add more data."
    )


def _summary(record: Mapping[str, Any], runs: int) -> str:
    failed = sum(record["failures"].values())
    failed_runs = f", {failed:,} failed" if failed else ""
    return (
        f"teach: {record['runs']:,} runs over {record['tasks']:,} tasks{failed_runs}, "
        f"pass@1 {record['pass@1']:.3f}, pass@{runs} {record[f'pass@{runs}']:.3f}, "
        f"{record['kept_tasks']:,} tasks with a run that teaches"
    )
