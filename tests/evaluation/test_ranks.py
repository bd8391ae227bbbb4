"""ranks.parquet keeps every answer whole, and refuses rows from which no honest number follows."""

import numpy as np
import polars as pl
import pytest

from starrec.data import RankingTask
from starrec.errors import RunError
from starrec.evaluation import (
    RANKS_SCHEMA,
    check_ranks,
    load_ranks,
    mean_avg_hr,
    ranking_changes,
    ranks_frame,
    save_ranks,
)
from starrec.ranking import Ranking


def task(candidates, task_id="test/u/0"):
    return RankingTask(
        task_id=task_id,
        user=0,
        user_id="u",
        history=np.array([1], dtype=np.int32),
        candidates=np.array(candidates, dtype=np.int32),
        split="test",
    )


def test_a_row_holds_the_order_and_the_targets_place_in_it():
    frame = ranks_frame("star", [task([5, 3, 9])], [Ranking((9, 5, 3))], {"test/u/0": 5}, seed=4)
    assert frame.schema == RANKS_SCHEMA
    assert frame.row(0, named=True) == {
        "system": "star",
        "task_id": "test/u/0",
        "user_id": "u",
        "draw": 0,
        "seed": 4,
        "split": "test",
        "scenario": "classic",
        "candidates": [9, 5, 3],
        "target": 5,
        "target_rank": 2,
    }


def test_only_permutations_of_the_candidates_are_answers():
    with pytest.raises(ValueError, match="no permutation"):
        ranks_frame("star", [task([5, 3, 9])], [Ranking((9, 5))], {"test/u/0": 5}, seed=0)


def test_saved_ranks_come_back_the_same(tmp_path, ranks):
    path = save_ranks(tmp_path / "results" / "ranks.parquet", ranks)
    assert load_ranks(path).equals(ranks)


def test_refused_ranks_leave_the_file_as_it_was(tmp_path, ranks):
    path = save_ranks(tmp_path / "ranks.parquet", ranks)
    before = path.read_bytes()
    with pytest.raises(RunError):
        save_ranks(path, ranks.with_columns(target_rank=pl.lit(1, pl.Int32)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def ranked(*ranks):
    """Tasks of six candidates whose target, item 0, is ranked so."""
    tasks = [task(range(6), f"test/u/{number}") for number in range(len(ranks))]
    rankings = [Ranking((*range(1, rank), 0, *range(rank, 6))) for rank in ranks]
    return tasks, rankings, {t.task_id: 0 for t in tasks}


def test_mean_avg_hr_by_hand():
    tasks, rankings, targets = ranked(1, 2, 5, 6)
    # HR@1, @3, @5: rank 1 has all three, rank 2 two of them, rank 5 one, rank 6 none.
    assert mean_avg_hr(tasks, rankings, targets) == pytest.approx((3 + 2 + 1 + 0) / 3 / 4)


def test_changes_between_rankings_by_hand():
    tasks, before, targets = ranked(1, 2, 5, 3)
    _, after, _ = ranked(1, 1, 4, 5)
    # The target stays, rises to the first place, rises elsewhere, falls; the first place changes once.
    assert ranking_changes(tasks, before, after, targets) == {
        "changed_first": 0.25,
        "raised_target": 0.5,
        "lowered_target": 0.25,
        "n_tasks": 4,
    }


def test_missing_and_foreign_files_are_explained(tmp_path):
    with pytest.raises(RunError, match=r"none\.parquet"):
        load_ranks(tmp_path / "none.parquet")
    (tmp_path / "junk.parquet").write_text("junk")
    with pytest.raises(RunError, match=r"Cannot read ranks .*junk\.parquet"):
        load_ranks(tmp_path / "junk.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(RunError, match="does not hold ranks"):
        load_ranks(tmp_path / "other.parquet")


@pytest.mark.parametrize("stated", [0, 1, 3, 21])
def test_a_rank_that_its_own_list_contradicts_is_refused(stated, answers):
    rows = answers("star", {"u": [2]}).with_columns(target_rank=pl.lit(stated, pl.Int32))
    with pytest.raises(RunError, match=f"states rank {stated}"):
        check_ranks(rows, source="x")


def test_two_answers_to_one_task_are_refused(answers):
    once = answers("star", {"u": [2]})
    with pytest.raises(RunError, match="more than once"):
        check_ranks(pl.concat([once, once]), source="x")
    # Under another seed, split or scenario it is another answer.
    others = [
        answers("star", {"u": [2]}, seed=1),
        answers("star", {"u": [2]}, scenario="user_cold_start"),
        answers("star", {"u": [2]}, split="validation"),
    ]
    check_ranks(pl.concat([once, *others]), source="x")


def test_systems_must_have_been_asked_the_same(answers):
    star = answers("star", {"u": [2]})
    fewer = answers("teacher", {"u": [2]}, n_candidates=19)
    with pytest.raises(RunError, match=r"different targets or candidates for task test/u/0"):
        check_ranks(pl.concat([star, fewer]), source="x")
    # The first item of star's list as the teacher's target: consistent in itself, but another question.
    other_target = answers("teacher", {"u": [2]}).with_columns(
        target=pl.lit(0, pl.Int32), target_rank=pl.lit(1, pl.Int32)
    )
    with pytest.raises(RunError, match="different targets"):
        check_ranks(pl.concat([star, other_target]), source="x")


def test_empty_values_are_refused(answers):
    rows = answers("star", {"u": [2]}).with_columns(user_id=pl.lit(None, pl.String))
    with pytest.raises(RunError, match="user_id"):
        check_ranks(rows, source="x")
