"""Runs over a user's own tables, opened as a program opens them, and a catalogue worth retrieving from."""

import numpy as np
import polars as pl
import pytest

from starrec.data import DataConfig, build
from starrec.pipeline import Pipeline, RunConfig
from starrec.pipeline.signals import split_and_count


@pytest.fixture
def open_run(tmp_path):
    """Opens a run over 40 items and these rows (user, item number, time[, part of a split of their own]); takes
    the sections of the configuration beside `data`."""

    def open_run(rows, announce=lambda line: None, **sections):
        own_split = len(rows[0]) == 4
        header = ["user_id,item_id,timestamp" + (",part" if own_split else "")]
        lines = [",".join([user, f"i{item}", *map(str, rest)]) for user, item, *rest in rows]
        (tmp_path / "log.csv").write_text("\n".join(header + lines) + "\n")
        titles = [f"i{item},Title {item}" for item in range(40)]
        (tmp_path / "items.csv").write_text("\n".join(["item_id,title", *titles]) + "\n")
        data = DataConfig(
            source="tables",
            interactions=tmp_path / "log.csv",
            items=tmp_path / "items.csv",
            split_column="part" if own_split else None,
        )
        return Pipeline.open(tmp_path / "run", RunConfig(data=data, **sections), announce=announce)

    return open_run


@pytest.fixture(scope="module")
def prepared(movies):
    config = RunConfig()
    return split_and_count(movies, config.data, config.data.tie_seed, config.signals)


@pytest.fixture(scope="module")
def movies():
    """150 items, 60 users with 6 to 30 of them."""
    random = np.random.default_rng(0)
    weight = 1 / np.arange(3, 153)
    rows = [
        (f"u{user}", f"i{item}", time)
        for user in range(60)
        for time, item in enumerate(
            random.choice(150, 6 + user % 25, replace=False, p=weight / weight.sum()).tolist()
        )
    ]
    return build(
        "movies",
        "position",
        pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row"),
        pl.DataFrame(
            {"item_id": [f"i{at}" for at in range(150)], "title": [f"Film {at}" for at in range(150)]}
        ),
    )
