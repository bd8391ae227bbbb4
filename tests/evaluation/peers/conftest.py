"""A graph small enough for hand calculations, and tasks on which chance is chance."""

import numpy as np
import polars as pl
import pytest

from starrec.data import build, leave_one_out

# Training rows, then a validation and a test item that no training row has:
#       a b c
#   u0  1 1 .
#   u1  1 1 1
#   u2  . 1 1
TINY = {"u0": "abde", "u1": "abcde", "u2": "bcde"}


def _tiny(ratings=None):
    rows = [
        (user, item, place, None if ratings is None else ratings(user, item))
        for user, items in TINY.items()
        for place, item in enumerate(items)
    ]
    schema = {"user_id": pl.String, "item_id": pl.String, "time": pl.Int64, "rating": pl.Float32}
    items = pl.DataFrame({"item_id": list("abcde"), "title": list("ABCDE")})
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    dataset = build("tiny", "position", frame if ratings else frame.drop("rating"), items)
    return dataset, leave_one_out(dataset.sequences(0))


@pytest.fixture
def tiny():
    """Dataset and split of `TINY`; takes a function of user and item that rates."""
    return _tiny


@pytest.fixture(scope="session")
def strangers(task):
    """600 tasks with 20 of 1,000 items each, all drawn alike, and targets drawn among the candidates."""
    random = np.random.default_rng(0)
    tasks, targets = [], {}
    for number in range(600):
        drawn = random.choice(1000, 23, replace=False)
        made = task(number, drawn[:3], drawn[3:], task_id=f"live/{number}")
        tasks.append(made)
        targets[made.task_id] = int(random.choice(drawn[3:]))
    return tasks, targets


@pytest.fixture(scope="session")
def from_chance(strangers):
    """Distance of rankings of `strangers` from chance (an avg_hr of 0.15), in standard errors."""
    from starrec.ranking import avg_hr

    tasks, targets = strangers

    def distance(rankings):
        ranks = [r.rank_of(targets[t.task_id]) for t, r in zip(tasks, rankings, strict=True)]
        hits = avg_hr(np.array(ranks))
        return abs(hits.mean() - 0.15) / (hits.std() / len(hits) ** 0.5)

    return distance
