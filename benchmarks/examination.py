"""The claim checker examined by the second generator (`tests/signals/claim_generator.py`) over MovieLens-100K.

Sentences about what test tasks may see, half of them true and half of them lies, go to the checker. A true one
passes if every claim found in it is verified, and at least one is found; a lie is caught if any claim of it is
contradicted or unverifiable. A sentence in which no claim is found is neither: nobody would be warned.

Wordings are split in two by a hash of their text. Who works on the checker looks at failures of the one half
only; the score of the other, held back, says how well new wordings are read.

    .venv/bin/python benchmarks/examination.py [--true 1000] [--false 1000] [--seed 0] [--show-held-back]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from starrec.data import Dataset, RankingTask, Split, evaluation_tasks, leave_one_out, load_movielens_100k
from starrec.signals import Graph, Semantics, TaskView
from starrec.signals.checker import Checker

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "signals"))
from claim_generator import Sentence, World, generate

Verdict: TypeAlias = Literal["verified", "contradicted", "unverifiable"]
Check: TypeAlias = Callable[[RankingTask, str], Sequence[Verdict]]
"""The verdict on each claim that is found in a text, against what the task may see."""

BARS = {"true_verified": 0.995, "false_caught": 0.99}


def examine(
    n_true: int = 1000,
    n_false: int = 1000,
    seed: int = 0,
    *,
    check: Check | None = None,
    dataset: Dataset | None = None,
    a_task: int = 6,
    shown: int = 5,
    show_held_back: bool = False,
) -> dict[str, Any]:
    """Shares of true sentences verified and of lies caught, by relation and lie, with examples of failures.

    Args:
        check: the checker; the project's own unless told.
        dataset: MovieLens-100K unless told.
        a_task: sentences asked for each test task; tasks are drawn by the seed.
        shown: failures shown for each relation and lie.
        show_held_back: whether failures of wordings that are held back are shown too.
    """
    dataset = dataset or load_movielens_100k(Path.home() / ".cache" / "starrec")
    sequences = dataset.sequences(tie_seed=0)
    split = leave_one_out(sequences)
    tasks, _ = evaluation_tasks(dataset, sequences, split, "test", seed=seed, draws=1)
    judge = check or own_checker(dataset, split)
    world, random = World(dataset, split.train), Random(seed)
    wanted = {True: n_true, False: n_false}
    outcomes: list[tuple[Sentence, str]] = []
    while any(wanted.values()):
        task = random.choice(tasks)
        for sentence in generate(world, task, random, a_task):
            if wanted[sentence.truth]:
                wanted[sentence.truth] -= 1
                outcomes.append((sentence, outcome(judge(task, sentence.text))))
    return report(outcomes, shown, show_held_back)


def outcome(verdicts: Sequence[Verdict]) -> str:
    """`verified` if all are; else the worst: `contradicted` before `unverifiable`; `no claim` without any."""
    for found in ("contradicted", "unverifiable", "verified"):
        if found in verdicts:
            return found
    return "no claim"


def report(
    outcomes: Sequence[tuple[Sentence, str]], shown: int = 5, show_held_back: bool = False
) -> dict[str, Any]:
    """What `examine` returns, of sentences and what was said of them."""
    counts: dict[str, Counter[str]] = {"true": Counter(), "false": Counter()}
    held: dict[str, Counter[bool]] = {"true": Counter(), "false": Counter()}
    relations: defaultdict[str, Counter[str]] = defaultdict(Counter)
    lies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    failures: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for sentence, said in outcomes:
        kind = "true" if sentence.truth else "false"
        right = (said == "verified") if sentence.truth else said in ("contradicted", "unverifiable")
        counts[kind][said] += 1
        if sentence.held_back:
            held[kind][right] += 1
        relations[sentence.relation][f"{kind} {'right' if right else 'wrong'}"] += 1
        if sentence.lie:
            lies[sentence.lie][said] += 1
        name = f"{kind}: {sentence.relation}" + (f", {sentence.lie}" if sentence.lie else "")
        hidden = sentence.held_back and not show_held_back
        if not right and not hidden and len(failures[name]) < shown:
            failures[name].append({"text": sentence.text, "said": said})
    true, false = counts["true"], counts["false"]
    caught = false["contradicted"] + false["unverifiable"]
    return {
        "true": dict(true),
        "false": dict(false),
        "true_verified": true["verified"] / max(true.total(), 1),
        "false_caught": caught / max(false.total(), 1),
        "false_contradicted": false["contradicted"] / max(false.total(), 1),
        "true_verified_held_back": held["true"][True] / max(held["true"].total(), 1),
        "false_caught_held_back": held["false"][True] / max(held["false"].total(), 1),
        "held_back": {kind: found.total() for kind, found in held.items()},
        "relations": {name: dict(sorted(found.items())) for name, found in sorted(relations.items())},
        "lies": {name: dict(sorted(found.items())) for name, found in sorted(lies.items())},
        "failures": dict(sorted(failures.items())),
    }


def own_checker(dataset: Dataset, split: Split) -> Check:
    """The project's checker over the training graph."""
    graph, semantics = Graph.build(split.train, dataset.n_items), Semantics.of(dataset)
    checker = Checker.of(dataset)

    @lru_cache(maxsize=1)
    def view(task: RankingTask) -> TaskView:
        return TaskView.of(graph, semantics, task)

    return lambda task, text: [claim.verdict for claim in checker.check(text, view(task))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--true", type=int, default=1000)
    arguments.add_argument("--false", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--show-held-back", action="store_true")
    given = arguments.parse_args()
    found = examine(given.true, given.false, given.seed, show_held_back=given.show_held_back)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    for name, bar in BARS.items():
        for said in (name, f"{name}_held_back"):
            print(f"{'met   ' if found[said] >= bar else 'MISSED'}  {said}: {found[said]:.4f}, at least {bar}")


if __name__ == "__main__":
    main()
