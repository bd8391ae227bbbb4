"""The `teach` step: the teacher reasons over training tasks, and the outcome filter says which runs teach.

Every sampled run is kept in the store, also those that failed: pass@K is about all of them, and a filter
relaxed later finds what it needs. Only `kept_runs` decides what the student sees.

The product of the step says which tasks were asked (`asked.parquet`), and what came of it. The runs themselves
are in the one store of the run folder, keyed by task and teacher, so whatever is asked again is found there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rich.progress import Progress

from starrec.engines import open_engine
from starrec.errors import ConfigError, DataError, RunError
from starrec.llm.price import price
from starrec.pipeline.inputs import evidence_origin, teach_inputs, teacher
from starrec.pipeline.preparation import Prepared
from starrec.pipeline.session import Session
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
"""Of the run, in which ways its language models are asked."""

Report: TypeAlias = Callable[[Sequence[Ended]], None]
"""Is told of runs that have ended and are stored."""
Watch: TypeAlias = Callable[[int, int, Progress | None], AbstractContextManager[Report]]
"""Given how many runs there are to be, how many are settled, and the bars: shows the rest while it lasts."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """How a command wants its teaching; nothing here decides what a run says."""

    budget: Budget | None = None
    """Stop cleanly when this much is spent."""
    retry: bool = False
    """Try failed runs again."""
    watch: Watch | None = None
    """Shows what ends; None for a bar."""


def gather_runs(
    session: Session, prepared: Prepared, tasks: Tasks, wanted: Teaching | None = None
) -> dict[str, object]:
    """Let the teacher reason over the taught tasks; facts about its runs, those of an unfinished step too.

    Raises:
        ConfigError: a budget in money, for a model whose price nobody knows.
        RunError: the model could not be asked in some runs; they are tried again when this goes on.
    """
    wanted = wanted or Teaching()
    config = session.config.teacher
    taught, targets = tasks.taught
    if not taught:
        raise DataError(_nobody_to_teach(prepared, config.min_history))
    keys = tasks.keys(tasks.taught)
    product = session.run.product("teach", teach_inputs(session.config, keys))
    if product.done and not (wanted.retry and product.facts.get("failures")):
        session.run.use(product)
        session.announce(f"{_summary(product.facts, config.runs)} (done before)")
        return product.facts
    _require_price(session, wanted.budget)
    started = time.monotonic()
    columns = target_columns(taught, targets)
    write_asked(product.folder, taught, keys, prepared.dataset.item_ids)
    session.run.use(product)
    spending = Spending(wanted.budget)
    with _store(session, prepared, keys) as store:
        work = missing(taught, config.runs, store, retry=wanted.retry)
        total, left = len(taught) * config.runs, sum(len(numbers) for _, numbers in work)
        _say_what_is_known(session, len(taught), work, total - left)
        watch = wanted.watch or _bar(session)
        with watch(total, total - left, session.progress) as report:
            for ended in _teach(session, prepared, work, columns, store, spending):
                report(ended)
        failures = list(store.failed().values())
        found = statistics(store, failures)
        kept = keep(store, session.config.student.sft.top_k)
    facts: dict[str, object] = {
        "tasks": len(taught),
        "runs": found["runs"],
        "kept": len(kept),
        "kept_tasks": len({run.task_id for run in kept}),
        "pass@1": found["pass@1"],
        f"pass@{config.runs}": found.get(f"pass@{config.runs}", found["pass@1"]),
        "labels_seen": len(taught),
        "failures": found["failures"],
        "cost": found["cost"],
        "seconds": time.monotonic() - started,
    }
    if spending.stopped and wanted.budget is not None:
        settled = found["runs"] + len(failures)
        session.announce(
            f"teach: stopped at the budget of {wanted.budget.text} with {settled:,} of {total:,} runs settled; "
            "run the same command to go on, with or without a budget"
        )
        return facts
    unasked = [failure for failure in failures if failure.reason == "endpoint"]
    if unasked:
        raise RunError(
            f"In {len(unasked):,} of {total:,} runs the model could not be asked. The last one said: "
            f"{unasked[-1].message} All others are stored; run the same command to try these again."
        )
    if failures and not found["runs"]:
        raise RunError(
            f"All {total:,} runs failed, so there is nothing to learn from. The last one said: "
            f"{failures[-1].message} {advice(failures)}"
        )
    product.complete(**facts)
    session.announce(_summary(facts, config.runs))
    return facts


def estimate_runs(session: Session, prepared: Prepared, tasks: Tasks, sample: int) -> Estimate:
    """What the rest of teaching would take, from a sample of its tasks; nothing is asked, spent or kept."""
    config = session.config.teacher
    taught, _ = tasks.taught
    if not taught:
        raise DataError(_nobody_to_teach(prepared, config.min_history))
    with _store(session, prepared, tasks.keys(tasks.taught)) as store:
        work = missing(taught, config.runs, store)
    return estimate(prepared.world, work, sample, config, os.cpu_count() or 1)


def runs_by_outcome(
    session: Session, prepared: Prepared, tasks: Tasks
) -> tuple[list[Trajectory], list[Trajectory]]:
    """The runs that teach, through the outcome filter, one a task; and of every other task one that failed.

    Raises:
        DataError: none passed.
    """
    config = session.config.student
    with _store(session, prepared, tasks.keys(tasks.taught)) as store:
        kept = one_per_task(keep(store, config.sft.top_k), config.seed)
        passed = {run.task_id for run in kept}
        failed = one_per_task((run for run in store if run.task_id not in passed), config.seed)
    if not kept:
        raise DataError(
            "None of the teacher's runs passed the outcome filter, so there is nothing to learn from. "
            "Teach more tasks (`[teacher] tasks_per_user`) or relax the filter (`[student.sft] top_k`)."
        )
    return kept, failed


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
            "The engine `ray` spreads the embedded policy; a language model is waited for, which one process "
            'does. Set `[teacher] engine = "processes"`.'
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


def _store(session: Session, prepared: Prepared, keys: Mapping[str, str]) -> Store:
    """The store of the run, as this teacher's runs over these tasks."""
    config = session.config
    return Store(
        session.run.path(STORE),
        teacher(config, explore=True),
        keys,
        evidence_origin(config, prepared.dataset),
    )


def _say_what_is_known(session: Session, tasks: int, work: Sequence[Work], settled: int) -> None:
    """Where a new selection of tasks finds runs of an earlier one."""
    if settled:
        open_ = len(work)
        session.announce(
            f"teach: {tasks - open_:,} of {tasks:,} tasks are answered already ({settled:,} runs stored); "
            f"{open_:,} to ask"
        )


def _nobody_to_teach(prepared: Prepared, min_history: int) -> str:
    """Why no position of the training part has the history that is asked for, and what would mend it."""
    longest = int(prepared.split.train.lengths.max(initial=0))
    need = min_history + 3
    if longest < 2:
        return (
            "There is nobody to teach about: after the last two items of each user are held out, nobody has "
            "two left. A task takes a user with at least 4 interactions."
        )
    return (
        f"There is nobody to teach about: a task takes {min_history} items before the one asked about, and two "
        f"more are held out, so a user with {need} interactions; nobody has so many that are usable. Set "
        f"`[teacher] min_history = {longest - 1}`, the most that gives tasks here, or lower; or add more data."
    )


def _summary(facts: Mapping[str, Any], runs: int) -> str:
    failed = sum(facts["failures"].values())
    failed_runs = f", {failed:,} failed" if failed else ""
    return (
        f"teach: {facts['runs']:,} runs over {facts['tasks']:,} tasks{failed_runs}, "
        f"pass@1 {facts['pass@1']:.3f}, pass@{runs} {facts[f'pass@{runs}']:.3f}, "
        f"{facts['kept_tasks']:,} tasks with a run that teaches"
    )
