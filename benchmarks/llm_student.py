"""A pretrained language model as the student: SFT on the kept runs, then GRPO, both in fast mode.

    .venv/bin/python benchmarks/llm_student.py smollm2 [--minutes 90] [--grpo-minutes 90] [--titles]
        [--run runs/demo] [--test-tasks 943]
    .venv/bin/python benchmarks/llm_student.py tokens [--run runs/demo]

Runs, tasks, the teacher and the nano student beside it are those of a demo's run folder. What is trained and
ranked lies in `runs/llm_student/`, from where a call that was stopped goes on. With `--titles` it is compared
with the same call without, where that was made before.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray

from record import keep as keep_result
from starrec.config import fingerprint
from starrec.data import RankingTask
from starrec.engines import Workers
from starrec.evaluation import rank_at_random
from starrec.pipeline.fingerprints import evidence_origin, teacher
from starrec.pipeline.greedy_teacher import first_draws
from starrec.pipeline.practice import Practice
from starrec.pipeline.tasks import Tasks, reopen
from starrec.pipeline.training import labelled, ranked_as_in_runs
from starrec.ranking import avg_hr, mean_ci, order_by_scores, ratio_ci
from starrec.runs import current_product, write_atomic
from starrec.student import FastMode, FastTasks, Progress, StudentConfig, gather_tasks
from starrec.student.config import TracesConfig
from starrec.student.lm.bases import load_base, load_tokenizer
from starrec.student.lm.chat import Chat, ChatSettings
from starrec.student.lm.clock import LanguageStage
from starrec.student.lm.listwise import reinforce_language_model, supervise_language_model
from starrec.student.lm.model import LanguageModel
from starrec.teacher import rank_with_v1
from starrec.trajectories import STORE, Store, Trajectory, keep, linear, one_per_task

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

_WORK: Final = Path("runs/llm_student")
_SUBSET: Final = 300
_ORDERS: Final = 5
_ORDERED: Final = 100
"""Tasks that are asked in other orders."""
_CHUNK: Final = 20
"""Tasks whose scores are kept together."""


@app.command()
def smollm2(
    minutes: Annotated[float, typer.Option(min=0.1, help="Of SFT.")] = 90,
    grpo_minutes: Annotated[float, typer.Option(min=0, help="Of GRPO; 0 leaves it out.")] = 0,
    titles: Annotated[bool, typer.Option(help="Show the candidates' titles.")] = False,
    run: Annotated[Path, typer.Option(help="A finished run, such as the demo.")] = Path("runs/demo"),
    test_tasks: Annotated[int, typer.Option(min=2, help="Test tasks, at most: fewer for a trial.")] = 943,
    batch: Annotated[int, typer.Option(min=1, help="Tasks a step.")] = 8,
    evaluated: Annotated[int, typer.Option(min=2, help="Validation tasks of a look.")] = 256,
    looks: Annotated[int, typer.Option(min=1, help="At validation, in a stage.")] = 8,
) -> None:
    """SmolLM2-135M with low-rank adapters on this machine, for so long."""
    config = StudentConfig.model_validate(
        {
            "base": "smollm2",
            "lm": {
                "titles": titles,
                "evaluated_tasks": evaluated,
                "evaluations": looks,
                "sft": {"minutes": minutes, "batch": batch},
                "grpo": {"minutes": grpo_minutes or None, "batch": batch, "steps": 100_000},
            },
        }
    )
    tasks = reopen(run)
    world = tasks.prepared.world
    work = _WORK / fingerprint({"student": config, "tasks": tasks.config.data})
    model = LanguageModel.of(load_base(config), world, config)
    validation = labelled(world, *tasks.validation("A"))

    def trained(name: str, train: Callable[[LanguageStage], Progress]) -> dict[str, Any]:
        """The record of a stage; a stage that ended before gives its weights at once."""
        checkpoints = work / f"{name}.checkpoints"
        progress = train(
            LanguageStage(model, config, validation, checkpoints, f"{work.name}/{name}", _line(), print)
        )
        record = work / f"{name}.json"
        if not record.exists():
            write_atomic(record, json.dumps(_stage(progress), indent=1))
            model.save(work / name)
        return dict(json.loads(record.read_text(encoding="utf-8")))

    test, targets = tasks.test
    asked = [task for task in test if task.draw == 0][:test_tasks]
    found: dict[str, NDArray[np.float64]] = {}

    def rank_as(name: str, scores: Callable[[FastTasks], NDArray[np.float32]]) -> None:
        found[name] = _values(asked, targets, _scored(work / "scores" / name, world, asked, scores))

    stages = {"sft": trained("sft", lambda stage: supervise_language_model(stage, *_kept(run, tasks)))}
    rank_as("smollm2_sft", model.scores)
    if grpo_minutes:
        with Workers(world, 1) as workers:
            practised = config.model_copy(
                update={"grpo": config.grpo.model_copy(update={"batch": config.lm.grpo.batch})}
            )
            practice = Practice(tasks, workers, practised, tasks.practice, retrieved=False)
            stages["grpo"] = trained("grpo", lambda stage: reinforce_language_model(stage, practice))
        rank_as("smollm2", model.scores)
    else:
        found["smollm2"] = found["smollm2_sft"]
    student = current_product(run, "distill")
    if student is None:
        raise typer.BadParameter(f"{run} holds no finished student.")
    rank_as("star", FastMode.load(student.path("star"), world).fast.scores)
    with Workers(world) as workers:
        ranked = {"teacher_v1": rank_with_v1(workers, asked), "random": rank_at_random(asked, 0)}
    for name, rankings in ranked.items():
        ranks = [each.rank_of(targets[task.task_id]) for task, each in zip(asked, rankings, strict=True)]
        found[name] = avg_hr(ranks)
    users = [task.user_id for task in asked]
    write_atomic(work / "values.json", json.dumps({"users": users, "smollm2": found["smollm2"].tolist()}))
    subset = {task.task_id for task in first_draws(test, _SUBSET, 0, "language model subset")}
    of_subset = np.array([task.task_id in subset for task in asked])
    content = {
        "run": run.name,
        "settings": config.model_dump(mode="json", include={"base", "lm"}),
        "compute": {"bfloat16": model.bfloat16, "device": str(model.device), "load": os.getloadavg()},
        "training": stages,
        "tasks": len(asked),
        "avg_hr": {name: _mean(values, users) for name, values in found.items()},
        "avg_hr_of_300": {
            name: _mean(values[of_subset], np.array(users)[of_subset]) for name, values in found.items()
        },
        "over": {
            f"{a}/{b}": _ratio(found[a], found[b], users)
            for a, b in (
                ("smollm2", "teacher_v1"),
                ("smollm2", "star"),
                ("smollm2", "smollm2_sft"),
                ("star", "teacher_v1"),
            )
        },
        "orders": _orders(model, gather_tasks(world, asked[:_ORDERED])),
    }
    bars = {
        "smollm2": round(float(found["smollm2"].mean()), 4),
        "smollm2_over_teacher": content["over"]["smollm2/teacher_v1"]["ratio"],
    }
    if grpo_minutes:
        bars["smollm2_grpo_over_sft"] = content["over"]["smollm2/smollm2_sft"]["ratio"]
    if titles:
        plain = config.model_copy(update={"lm": config.lm.model_copy(update={"titles": False})})
        other = _WORK / fingerprint({"student": plain, "tasks": tasks.config.data}) / "values.json"
        if other.exists() and (before := json.loads(other.read_text()))["users"] == users:
            content["over"]["titles/plain"] = _ratio(found["smollm2"], np.array(before["smollm2"]), users)
            bars["smollm2_titles_over_plain"] = content["over"]["titles/plain"]["ratio"]
    name = "llm_student_smollm2" + ("_titles" if titles else "")
    trial = minutes < 30 or len(asked) < 943
    keep_result(name, content, bars, folder=work if trial else Path(__file__).parent / "results")


@app.command()
def tokens(
    run: Annotated[Path, typer.Option(help="A finished run, such as the demo.")] = Path("runs/demo"),
    runs: Annotated[int, typer.Option(min=1, help="Kept runs that are counted.")] = 200,
) -> None:
    """How long trajectories are in SmolLM2's tokens: in the linear form, and as a language model reads them."""
    tokenizer = load_tokenizer("smollm2")
    chat = Chat.of(tokenizer, ChatSettings.of(TracesConfig()))
    kept = kept_runs(run, reopen(run))[:runs]
    talks = [chat.conversation(trajectory) for trajectory in kept]
    encoded = [chat.encode(talk.messages) for talk in talks]
    linear_ = [len(tokenizer.encode(linear(trajectory))) for trajectory in kept]
    spelled = [len(found.ids) for found in encoded]
    keep_result(
        "llm_student_tokens",
        {
            "runs": len(kept),
            "linear": {"mean": float(np.mean(linear_)), "longest": max(linear_)},
            "spelled": {"mean": float(np.mean(spelled)), "longest": max(spelled)},
            "learned": float(np.mean([found.learn.sum() for found in encoded])),
            "answers_cut": sum(talk.cut for talk in talks),
        },
    )


def _kept(run: Path, tasks: Tasks) -> tuple[FastTasks, NDArray[np.int64]]:
    """The kept runs' tasks and their rankings."""
    kept = kept_runs(run, tasks)
    print(f"{len(kept):,} kept runs")
    return ranked_as_in_runs(tasks.prepared.world, tasks, kept)


def kept_runs(run: Path, tasks: Tasks) -> list[Trajectory]:
    """The runs of a run folder that teach, one a task."""
    config, prepared = tasks.config, tasks.prepared
    of = teacher(config, explore=True)
    with Store(run / STORE, of, tasks.keys(tasks.taught), evidence_origin(config, prepared.dataset)) as store:
        return one_per_task(keep(store, config.student.sft.top_k), config.student.seed)


def _scored(
    folder: Path, world: Any, tasks: Sequence[RankingTask], scores: Callable[[FastTasks], NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Scores of each task's candidates as they were given; kept as they are made, a few tasks at a time."""
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(tasks), _CHUNK):
        part = tasks[start : start + _CHUNK]
        file = folder / f"{start}-{len(part)}.npy"
        if not file.exists():
            gathered = gather_tasks(world, part)
            made = np.stack(gathered.as_given(scores(gathered)))
            write_atomic(file, lambda path, made=made: np.save(path, made))
        found += list(np.load(file))
    return found


def _values(
    tasks: Sequence[RankingTask], targets: dict[str, int], scores: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """avg_hr of each task."""
    ranks = []
    for task, own in zip(tasks, scores, strict=True):
        best = task.candidates[order_by_scores(task.candidates, own, 5)]
        ranks.append(1 + best.tolist().index(targets[task.task_id]))
    return avg_hr(ranks)


def _orders(model: LanguageModel, tasks: FastTasks) -> dict[str, Any]:
    """Position bias: the same tasks with their rows, and so their labels, in other orders."""
    n, c = tasks.order.shape
    random = np.random.default_rng(0)
    best, places = [], []
    for _ in range(_ORDERS):
        turned = np.argsort(random.random((n, c)), axis=1)
        rows = np.arange(n)[:, None]
        part = FastTasks(tasks.numbers[rows, turned], tasks.order[rows, turned], tasks.items[rows, turned])
        place = model.scores(part).argmax(axis=1)
        places.append(place)
        best.append(part.items[np.arange(n), place])
    same = np.mean([best[a] == best[b] for a in range(_ORDERS) for b in range(a)])
    shares = np.bincount(np.concatenate(places), minlength=c) / (n * _ORDERS)
    return {
        "tasks": n,
        "orders": _ORDERS,
        "same_first": round(float(same), 4),
        "share_of_first_by_place": shares.round(4).tolist(),
        "chance_by_place": round(1 / c, 4),
    }


def _stage(progress: Progress) -> dict[str, Any]:
    last = progress.curve[-1]
    return {
        "steps": progress.step,
        "seconds": round(progress.seconds, 1),
        "examples_per_s": round(last["examples"] / progress.seconds, 3),
        "tokens_per_s": round(last["tokens"] / progress.seconds, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "best": progress.best,
        "best_step": progress.best_step,
        "curve": [{name: round(value, 4) for name, value in point.items()} for point in progress.curve],
    }


def _mean(values: NDArray[np.float64], users: Sequence[str]) -> dict[str, Any]:
    low, high = mean_ci(values, users, seed=0)
    return {"avg_hr": round(float(values.mean()), 4), "ci95": [round(low, 4), round(high, 4)]}


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64], users: Sequence[str]) -> dict[str, Any]:
    compared = ratio_ci(a, b, users, seed=0)
    return {
        "ratio": round(compared.ratio, 4),
        "ci95": [round(compared.lo, 4), round(compared.hi, 4)],
        "p": compared.p,
    }


def _line() -> Callable[[Progress, float], None]:
    """Prints how a stage goes, a line every half minute."""
    shown = 0.0

    def report(progress: Progress, done: float) -> None:
        nonlocal shown
        if progress.seconds - shown >= 30 or done >= 1:
            shown = progress.seconds
            numbers = " ".join(f"{name} {value:.3f}" for name, value in progress.mean.items())
            print(f"{done:.0%} step {progress.step:,} {progress.seconds:.0f} s {numbers}", flush=True)

    return report


if __name__ == "__main__":
    app()
