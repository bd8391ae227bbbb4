"""The outcome filter: who teaches, how often runs succeed."""

from dataclasses import replace

import numpy as np
import pytest

from starrec.data import RankingTask
from starrec.trajectories import (
    judge,
    keep,
    one_per_task,
    pass_at,
    target_columns,
)


def task(task_id, candidates):
    return RankingTask(
        task_id=task_id,
        user=0,
        user_id="u",
        history=np.array([9], np.int32),
        candidates=np.array(candidates, np.int32),
        split="train",
    )


@pytest.fixture
def runs(make):
    """Ranks of the target over four runs: task a 1 1 1 1, b 1 3 1 2, c 2 6 4 3, d 1 5 5 5."""
    places = {"a": (1, 1, 1, 1), "b": (1, 3, 1, 2), "c": (2, 6, 4, 3), "d": (1, 5, 5, 5)}
    return [
        make(task_id=name, run=run, place=place, n=6, outcome=place)
        for name, row in places.items()
        for run, place in enumerate(row)
    ]


def test_the_outcome_is_the_targets_rank(make):
    # Candidates 5 8 2 7 are A B C D; the target 2 is C, and the ranking is B C A D.
    trajectory = make(task_id="t", place=3)
    columns = target_columns([task("t", [5, 8, 2, 7])], {"t": 2})
    assert columns == {"t": 2}
    (judged,) = judge([trajectory], columns)
    assert trajectory.ranking == ("‹B›", "‹C›", "‹A›", "‹D›")
    assert judged.outcome == 2 and judged.cost == trajectory.cost
    assert replace(judged, outcome=None) == trajectory


def test_a_target_must_be_there(make):
    with pytest.raises(KeyError):
        target_columns([task("t", [5, 8])], {})
    with pytest.raises(ValueError, match="not in list"):
        target_columns([task("t", [5, 8])], {"t": 6})


def test_only_successful_runs_are_kept(runs):
    assert [(t.task_id, t.run) for t in keep(runs)] == [
        *(("a", run) for run in range(4)), ("b", 0), ("b", 2), ("d", 0)
    ]  # fmt: skip
    assert len(list(keep(runs, top_k=3))) == 4 + 4 + 2 + 1
    assert list(keep(runs, top_k=6)) == runs


def test_unjudged_runs_are_not_filtered(make):
    for use in (lambda runs: list(keep(runs)), lambda runs: pass_at(runs, 1)):
        with pytest.raises(ValueError, match=r"test/7/0 run 0 has no outcome"):
            use([make()])


def test_pass_at(runs):
    assert pass_at(runs, 1) == pytest.approx((4 + 2 + 0 + 1) / 16)
    assert pass_at(runs, 4) == pytest.approx(3 / 4)
    # Two runs of four without replacement: b misses with 1/6 (2 of its 2 failures among 6 pairs), d with 3/6.
    assert pass_at(runs, 2) == pytest.approx((1 + 5 / 6 + 0 + 1 / 2) / 4)
    assert pass_at(runs[:1] + runs[8:10], 4) == pytest.approx((1 + 0) / 2)
    assert pass_at([], 1) == 0.0


def test_the_run_of_a_task_that_teaches_is_drawn_by_the_seed_not_by_length_order_or_number(make):
    winners = set()
    for seed in range(30):
        runs = [make(run=run, says="Long and winding." * run) for run in range(4)]
        other = make(task_id="other", run=5)
        winner, alone = one_per_task([runs[0], other, *runs[1:]], seed)
        assert alone == other
        assert one_per_task(runs[::-1], seed) == [winner]
        winners.add(winner.run)
    assert winners == {0, 1, 2, 3}
