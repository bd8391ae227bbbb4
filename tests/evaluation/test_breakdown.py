"""Groups of tasks, and the difference of two systems in each, by hand."""

import polars as pl
import pytest

from starrec.evaluation.breakdown import breakdown


@pytest.fixture
def ranks(answers):
    # avg_hr of rank 1 is 1, of 2 and 3 it is 2/3, of 6 it is 0.
    places = {"u": [1], "v": [1], "w": [2], "x": [6], "y": [3], "z": [6], "p": [1], "q": [2]}
    other = {"u": [2], "v": [1], "w": [1], "x": [1], "y": [3], "z": [6], "p": [6], "q": [6]}
    return pl.concat([answers("star", places), answers("teacher", other)])


def test_groups_are_quarters_and_differences_are_means(ranks):
    lengths = {f"test/{user}/0": number for number, user in enumerate("uvwxyzpq", start=1)}
    found = breakdown(ranks, "star", "teacher", {"length": lengths}, seed=0, n_resamples=100)
    assert (found["a"], found["b"]) == ("star", "teacher")
    groups = found["groups"]["length"]
    assert [(group["group"], group["n_tasks"]) for group in groups] == [
        ("1–2", 2),
        ("3–4", 2),
        ("5–6", 2),
        ("7–8", 2),
    ]
    # (1/3 + 0) / 2, (-1/3 - 1) / 2, 0, (1 + 2/3) / 2.
    assert [group["difference"] for group in groups] == pytest.approx([1 / 6, -2 / 3, 0, 5 / 6])
    assert [group["a"] for group in groups] == pytest.approx([1, 1 / 3, 1 / 3, 5 / 6])
    for group in groups:
        assert group["ci95"][0] <= group["difference"] <= group["ci95"][1]


def test_equal_numbers_are_not_torn_apart(ranks):
    same = {f"test/{user}/0": 5 for user in "uvwxyzp"} | {"test/q/0": 9}
    groups = breakdown(ranks, "star", "teacher", {"length": same}, seed=0, n_resamples=100)["groups"]["length"]
    assert [(group["group"], group["n_tasks"]) for group in groups] == [("5", 7), ("9", 1)]


def test_only_tasks_of_both_with_a_number_count(ranks):
    assert breakdown(ranks, "star", "absent", {"length": {}}, seed=0) == {}
    found = breakdown(ranks, "star", "teacher", {"length": {"test/u/0": 3.5}}, seed=0, n_resamples=100)
    [group] = found["groups"]["length"]
    assert (group["group"], group["n_tasks"], group["n_users"]) == ("3.5", 1, 1)
