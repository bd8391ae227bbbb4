"""Runs over a user's own tables, opened as a program opens them."""

import pytest

from starrec.data import DataConfig
from starrec.pipeline import Pipeline, RunConfig


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
