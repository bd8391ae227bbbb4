"""A small world for the second generator, in which every relation and every lie comes about."""

from __future__ import annotations

import numpy as np
import polars as pl

from starrec.data import Dataset, RankingTask, Split, build, evaluation_tasks, leave_one_out

_DAY = 86_400
_FIRST = ("Amber", "Broken", "Crystal", "Distant", "Early", "Frozen", "Golden", "Hidden", "Iron", "Jade")
_SECOND = ("Anchor", "Bridge", "Castle", "Desert", "Echo", "Forest", "Garden", "Harbour")
_TOPICS = ("Drama", "Comedy", "War", "Sci-Fi", "Children's", "Film-Noir", "Western", "Crime")


def small_dataset(people: int = 150, seed: int = 1) -> Dataset:
    """80 films in eight topics; people like three topics best, and watch 5 to 45 films within 60 days."""
    random = np.random.default_rng(seed)
    topic = np.arange(80) % len(_TOPICS)
    liking = 1 / (1 + np.arange(80) // len(_TOPICS))
    rows = []
    for person in range(people):
        home = random.choice(len(_TOPICS), size=3, replace=False)
        weight = liking * np.where(np.isin(topic, home), 6.0, 1.0)
        size = int(random.integers(5, 46))
        taken = random.choice(80, size=size, replace=False, p=weight / weight.sum())
        days = np.sort(random.integers(0, 60, size=size))
        rows += [
            (f"p{person}", f"f{item}", int(day) * _DAY + place)
            for place, (item, day) in enumerate(zip(taken, days, strict=True))
        ]
    items = pl.DataFrame(
        {
            "item_id": [f"f{item}" for item in range(80)],
            "title": [f"{first}{second.lower()}" for first in _FIRST for second in _SECOND],
            "categories": [
                sorted({_TOPICS[item % 8], _TOPICS[item // 8 % 8]} if item % 3 else {_TOPICS[item % 8]})
                for item in range(80)
            ],
            "year": [1950 + item // 2 for item in range(80)],
        }
    )
    schema = ["user_id", "item_id", "time"]
    return build("small films", "clock", pl.DataFrame(rows, schema=schema, orient="row"), items)


def tasks_of(dataset: Dataset, seed: int = 0) -> tuple[Split, list[RankingTask]]:
    """The split of a dataset and one test task a user."""
    sequences = dataset.sequences(0)
    split = leave_one_out(sequences)
    tasks, _ = evaluation_tasks(dataset, sequences, split, "test", seed=seed, draws=1)
    return split, tasks
