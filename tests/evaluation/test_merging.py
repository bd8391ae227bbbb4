"""Evaluations of the same tasks as one: a system's seeds, what is left out, and whose facts stand."""

import polars as pl
import pytest

from starrec.errors import RunError
from starrec.evaluation import (
    Evaluated,
    load_ranks,
    merge_ranks,
    read_results,
    recompute,
    save_ranks,
    summarise,
    write_merged,
    write_results,
)


def rows(ranks):
    """(system, seed, task, rank of the target), sorted."""
    return sorted(ranks.select("system", "seed", "task_id", "target_rank").iter_rows())


@pytest.fixture
def evaluated(tmp_path):
    """Writes an evaluation as a run leaves it."""

    def evaluated(name, seed, frames, comparisons, **facts):
        ranks = pl.concat(frames)
        folder = tmp_path / name
        save_ranks(folder / "ranks.parquet", ranks)
        facts = {"latency_ms": {}, **facts}
        results = summarise(
            ranks, dataset="tiny", comparisons=comparisons, seed=0, n_resamples=100, facts=facts
        )
        write_results(folder / "results.json", results)
        return Evaluated(folder, seed)

    return evaluated


def test_what_is_trained_has_a_row_for_each_training_seed_and_the_rest_one(answers):
    # As `evaluate` writes them, every row has the evaluation's own seed, 4 here.
    first = pl.concat([answers(name, {"u": [1, 2]}, seed=4) for name in ("star", "star_ce", "teacher")])
    later = pl.concat([answers(name, {"u": [3, 4]}, seed=4) for name in ("star", "star_ce", "teacher")])
    merged, left_out = merge_ranks([(0, first), (9, later)])
    students = [
        (name, seed, f"test/u/{draw}", rank + draw)
        for name in ("star", "star_ce")
        for seed, rank in ((0, 1), (9, 3))
        for draw in (0, 1)
    ]
    assert rows(merged) == [*students, ("teacher", 0, "test/u/0", 1), ("teacher", 0, "test/u/1", 2)]
    assert left_out == []


def test_a_system_with_several_seeds_of_its_own_keeps_them(answers):
    own = pl.concat([answers("mlp_evidence", {"u": [rank]}, seed=rank) for rank in (1, 2)])
    merged, _ = merge_ranks([(5, own), (6, own)])
    assert rows(merged) == [("mlp_evidence", 1, "test/u/0", 1), ("mlp_evidence", 2, "test/u/0", 2)]


def test_a_later_evaluation_over_fewer_tasks_is_left_out_and_said(answers):
    first = answers("star_think", {"u": [1], "v": [2]})
    later = pl.concat([answers("star_think", {"u": [5]}), answers("star", {"u": [1], "v": [1]})])
    same_seed = answers("star_think", {"u": [1]})  # nothing that is not there
    merged, left_out = merge_ranks([(0, first), (1, later), (0, same_seed)])
    assert [row[:2] for row in rows(merged)] == [("star", 1)] * 2 + [("star_think", 0)] * 2
    assert left_out == ["star_think of seed 1 in test/classic: 1 of 2 tasks"]


def test_the_outcome_is_computed_from_the_merged_ranks(evaluated, answers, tmp_path):
    # star scores 1 with seed 0 and 1/3 (rank 5) with seed 1: 2/3 on the one task, twice the teacher's 1/3.
    teacher, peer = answers("teacher", {"u": [4]}), answers("lenskit_ease", {"u": [1]})
    pairs = [("star", "teacher")]
    first = evaluated("a", 0, [answers("star", {"u": [1]}), teacher], pairs, latency_ms={"star": 1}, kind="one")
    second = evaluated("b", 1, [answers("star", {"u": [5]}), teacher], pairs, latency_ms={"star": 2})
    third = evaluated(
        "c",
        0,
        [answers("star", {"u": [1]}), teacher, peer],
        [*pairs, ("lenskit_ease", "star")],
        latency_ms={"lenskit_ease": 3},
        peers={"lenskit_ease": "tuned"},
        kind="other",
    )
    results = write_merged(tmp_path / "out", [first, second, third], {"bench": {"row": "x"}})
    assert read_results(tmp_path / "out" / "results.json") == results
    assert recompute(tmp_path / "out" / "ranks.parquet", tmp_path / "out" / "results.json") == results
    ratios = {(pair["a"], pair["b"]): pair["ratio"] for pair in results["comparisons"]}
    assert ratios == pytest.approx({("star", "teacher"): 2.0, ("lenskit_ease", "star"): 1.5}, abs=1e-5)
    assert results["systems"]["star"]["avg_hr"] == pytest.approx(2 / 3, abs=1e-6)
    assert load_ranks(tmp_path / "out" / "ranks.parquet").height == 4
    # Facts are the first evaluation's that tells them; tables by name hold the names of all.
    assert results["latency_ms"] == {"star": 1, "lenskit_ease": 3}
    assert (results["kind"], results["peers"]) == ("one", {"lenskit_ease": "tuned"})
    assert results["bench"] == {"row": "x"} and results["left_out"] == []
    assert not list((tmp_path / "out").glob(".tmp-*"))


def test_evaluations_of_other_tasks_are_refused(evaluated, answers, tmp_path):
    first = evaluated("a", 0, [answers("star", {"u": [1]})], [])
    other = evaluated("b", 1, [answers("star", {"u": [1]}, n_candidates=10)], [])
    with pytest.raises(RunError, match="different targets or candidates"):
        write_merged(tmp_path / "out", [first, other], {})
