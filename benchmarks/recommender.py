"""The recommender in one process: what it serves, how quickly, and whether its reasons are the reasons.

    .venv/bin/python benchmarks/recommender.py served [--run runs/demo]
    .venv/bin/python benchmarks/recommender.py own-edges [--run runs/demo]
    .venv/bin/python benchmarks/recommender.py all-users [--run runs/demo]
    .venv/bin/python benchmarks/recommender.py reasons [--run runs/demo]
    .venv/bin/python benchmarks/recommender.py start [--run runs/demo]

Rows of another run than the demo are kept under `--name` (such as `games`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import numpy as np
import typer

import starrec
from record import keep
from starrec.pipeline.tasks import reopen
from starrec.runs import current_product
from starrec.signals import Graph, count_signals
from starrec.student import FAMILIES, Star, withhold
from starrec.student.rows import READ
from starrec.tools import NOMINATED, retrieve

app = typer.Typer(add_completion=False, help=__doc__, no_args_is_help=True, rich_markup_mode=None)

Run = Annotated[Path, typer.Option(help="A finished run, such as the demo.")]
Name = Annotated[str, typer.Option(help="Of another run's result.")]
_DEMO: Final = Path("runs/demo")


def _kept(row: str, name: str) -> str:
    return f"recommender_{row}" + (f"_{name}" if name else "")


@app.command()
def served(run: Run = _DEMO, name: Name = "", tasks: int = 500) -> None:
    """Rankings of test tasks as served with the evaluation's counts, beside the evaluation's own."""
    opened = reopen(run)
    asked = opened.test[0][:: max(1, len(opened.test[0]) // tasks)][:tasks]
    as_evaluated = starrec.load(run, counts="train", system="star")
    everything = starrec.load(run, system="star")
    # As the evaluation ranks: the task itself, over the counts that it made.
    student = current_product(run, "distill")
    assert student is not None
    star = Star.load(student.path("star"), opened.prepared.world)
    ids = as_evaluated.serving.catalogue.item_ids
    known = set(everything.serving.catalogue.item_ids)
    differing, first_changed, compared = 0, 0, 0
    for task in asked:
        candidates = [ids[item] for item in task.candidates.tolist()]
        found = as_evaluated.rank(candidates, user=task.user_id)
        ranking = [ids[item] for item in star.rank(task).items]
        differing += [row.item_id for row in found] != ranking
        if set(candidates) <= known:
            history = [ids[item] for item in task.history.tolist()]
            now = everything.rank(candidates, user=task.user_id, history=history)
            first_changed += now[0].item_id != ranking[0]
            compared += 1
    content = {
        "tasks": len(asked),
        "with_all_counts": {"tasks": compared, "share_of_changed_first_places": first_changed / compared},
    }
    keep(_kept("served", name), content, {"served_differs": differing})


@app.command("own-edges")
def own_edges(run: Run = _DEMO, name: Name = "", users: int = 200) -> None:
    """What changes in the first 100 because lists of neighbours were cut with the asking user's edges."""
    model = starrec.load(run)
    graph = model.serving.fast.world.graph
    opened = reopen(run)
    sequences = opened.prepared.sequences
    drawn = np.random.default_rng(0).permutation(sequences.n_users)[:users]
    shares, firsts = [], []
    for user in drawn.tolist():
        history = model.serving.history(user).items
        kept = retrieve(graph, user, history, NOMINATED)
        others = sequences.kept(sequences.users != user)
        rebuilt = Graph(count_signals(others, graph.n_items, opened.config.signals, model.serving.user_ids))
        exact = retrieve(rebuilt, -1, history, NOMINATED)
        shares.append(len(np.intersect1d(kept, exact)) / max(len(exact), 1))
        firsts.append(kept[:10].tolist() == exact[:10].tolist())
    content = {
        "users": len(drawn),
        "share_of_the_first_100_that_stays": {
            "mean": float(np.mean(shares)),
            "least": float(np.min(shares)),
        },
        "first_ten_equal": float(np.mean(firsts)),
    }
    keep(_kept("own_edges", name), content, {"own_edges_kept": float(np.mean(shares))})


@app.command("all-users")
def all_users(run: Run = _DEMO, name: Name = "", single: int = 300) -> None:
    """Users a second of `recommend_all` over single requests one after the other (medians of 3)."""
    model = starrec.load(run)
    users = model.serving.user_ids
    drawn = [users[at] for at in np.random.default_rng(0).permutation(len(users))[:single].tolist()]
    model.recommend_all(users=drawn[:50])
    one, many = [], []
    for _ in range(3):
        started = time.perf_counter()
        for user in drawn:
            model.recommend(user=user, reasons=False)
        one.append(len(drawn) / (time.perf_counter() - started))
        started = time.perf_counter()
        model.recommend_all()
        many.append(len(users) / (time.perf_counter() - started))
    content = {"users": len(users), "single_per_s": one, "batch_per_s": many}
    keep(_kept("all_users", name), content, {"recommend_all_ratio": median(many) / median(one)})


@app.command()
def reasons(run: Run = _DEMO, name: Name = "", users: int = 300) -> None:
    """How often the family that speaks is the one without which the item falls farthest among all 100."""
    model = starrec.load(run, system="star")
    fast = model.serving.fast
    drawn = np.random.default_rng(0).permutation(len(model.serving.user_ids))[:users]
    names = list(FAMILIES)
    withheld = np.array([[signal in family for signal in READ] for family in FAMILIES.values()])
    agree, falls, chance, spoken = [], [], [], 0
    for user in drawn.tolist():
        asked = model.requests.asked(model.serving.user_ids[user], None)
        task = model.requests.nominated(asked, NOMINATED, model.requests.allowed(None, ()))
        answer = fast.answer(task)
        batch = withhold(np.tile(answer.numbers, (len(names), 1, 1)), withheld)
        without = fast.fast.score(batch)
        base = fast.fast.score(answer.numbers[None])[0]
        # Places among all candidates, by family taken away from all of them.
        places = (without[:, None, :] > without[:, :, None]).sum(axis=2)
        before = (base[None, :] > base[:, None]).sum(axis=1)
        place = {item: at for at, item in enumerate(task.candidates[answer.order].tolist())}
        found = model.recommend(user=model.serving.user_ids[user], n=10)
        number = {item_id: item for item, item_id in enumerate(model.serving.catalogue.item_ids)}
        for row in found:
            if row.reason is None:
                continue
            at = place[number[row.item_id]]
            fallen = places[:, at] - before[at]
            spoken += 1
            agree.append(fallen[names.index(row.reason.family)] == fallen.max())
            falls.append(fallen[names.index(row.reason.family)] > 0)
            chance.append((fallen == fallen.max()).mean())
    content = {
        "users": len(drawn),
        "items_with_a_reason": spoken,
        "family_falls_farthest": float(np.mean(agree)),
        "of_a_family_drawn_at_random": float(np.mean(chance)),
        "item_falls_without_it": float(np.mean(falls)),
    }
    keep(_kept("reasons", name), content, {"reason_agrees": float(np.mean(agree))})


@app.command()
def start(run: Run = _DEMO, times: int = 5) -> None:
    """`starrec recommend` with process start, over `python -c 'import torch'` (medians, in turn)."""
    ours, torch = [], []
    command = [sys.executable, "-c", "from starrec.cli import main; main()", "recommend", "--run", str(run)]
    for _ in range(times):
        for found, call in (
            (ours, [*command, "--history", "Star Wars", "--history", "Fargo"]),
            (torch, [sys.executable, "-c", "import torch"]),
        ):
            started = time.perf_counter()
            subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
            found.append(time.perf_counter() - started)
    content = {"seconds": {"recommend": ours, "import torch": torch}}
    keep("recommender_start", content, {"recommend_start_ratio": median(ours) / median(torch)})


if __name__ == "__main__":
    app()
