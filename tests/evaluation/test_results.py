"""results.json follows from ranks.parquet: numbers by hand, comparisons on common tasks, recomputation."""

import json
import math
import platform

import polars as pl
import pytest

from starrec.errors import RunError
from starrec.evaluation import (
    environment,
    load_ranks,
    read_results,
    recompute,
    save_ranks,
    summarise,
    write_results,
)


def summarised(*frames, comparisons=(), **options):
    return summarise(
        pl.concat(frames), dataset="tiny", comparisons=comparisons, seed=0, n_resamples=200, **options
    )


def test_accuracy_by_hand(answers):
    # Ranks 1, 3, 2, 20: one hit at 1, three at 3 and at 5. NDCG: 1, 1/log2(4) = 1/2, 1/log2(3), 0.
    system = summarised(answers("star", {"u": [1, 3], "v": [2, 20]}))["systems"]["star"]
    assert (system["hr@1"], system["hr@3"], system["hr@5"]) == (0.25, 0.75, 0.75)
    assert system["avg_hr"] == pytest.approx((0.25 + 0.75 + 0.75) / 3, abs=1e-6)
    assert system["ndcg@10"] == pytest.approx((1 + 1 / 2 + 1 / math.log2(3)) / 4, abs=1e-6)
    assert system["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 20) / 4, abs=1e-6)
    assert (system["n_users"], system["n_tasks"]) == (2, 4)
    # Two users: a resample holds u twice (mean of 1 and 2/3 = 5/6), v twice (of 2/3 and 0 = 1/3), or both.
    assert system["avg_hr_ci95"] == pytest.approx([1 / 3, 5 / 6], abs=1e-6)


def test_comparison_counts_only_tasks_that_both_answered(answers):
    # Common: u's both draws (star 1 and 2/3, teacher 2/3 and 1/3) and v's first (star 1/3, teacher 1).
    star = answers("star", {"u": [1, 3], "v": [4, 1]})
    teacher = answers("teacher", {"u": [2, 5], "v": [1], "w": [1]})
    [compared] = summarised(star, teacher, comparisons=[("star", "teacher")])["comparisons"]
    assert (compared["a"], compared["b"], compared["metric"]) == ("star", "teacher", "avg_hr")
    assert (compared["n_users"], compared["n_tasks"]) == (2, 3)
    assert compared["ratio"] == pytest.approx((1 + 2 / 3 + 1 / 3) / (2 / 3 + 1 / 3 + 1), abs=1e-6)
    # Extremes: u alone (5/3 over 1) and v alone (1/3 over 1).
    assert compared["ci95"] == pytest.approx([1 / 3, 5 / 3], abs=1e-6)


def test_seeds_of_a_system_are_averaged_not_counted_as_tasks(answers):
    # Seed 0 scores 1 and seed 1 scores 1/3 on the one task: 2/3 over the teacher's 1/3.
    star = [answers("star", {"u": [1]}), answers("star", {"u": [5]}, seed=1)]
    results = summarised(*star, answers("teacher", {"u": [4]}), comparisons=[("star", "teacher")])
    assert results["comparisons"][0]["ratio"] == pytest.approx(2, abs=1e-5)
    assert results["comparisons"][0]["n_tasks"] == results["systems"]["star"]["n_tasks"] == 1
    assert results["systems"]["star"]["avg_hr"] == pytest.approx(2 / 3, abs=1e-6)
    assert results["evaluations"][0]["seeds"] == [0, 1]


def test_each_split_and_scenario_is_an_evaluation_and_classic_test_leads(answers):
    results = summarised(
        answers("star", {"u": [9]}, split="validation"),
        answers("star", {"u": [3]}, scenario="evolving_long"),
        answers("star", {"u": [1]}),
    )
    named = [(each["split"], each["scenario"], each["dataset"]) for each in results["evaluations"]]
    assert named == [
        ("test", "classic", "tiny"),
        ("validation", "classic", "tiny"),
        ("test", "evolving_long", "tiny"),
    ]
    assert [each["systems"]["star"]["hr@1"] for each in results["evaluations"]] == [1, 0, 0]
    assert results["systems"] == results["evaluations"][0]["systems"]
    assert results["evaluations"][0]["negatives"] == 19


def test_without_classic_test_tasks_there_is_no_headline(answers):
    results = summarised(answers("star", {"u": [1]}, split="validation"))
    assert results["systems"] == {} and results["comparisons"] == []


def test_a_run_about_cold_items_has_its_headline_there(answers):
    results = summarised(
        answers("star", {"u": [1]}, scenario="item_cold_start"),
        answers("star", {"u": [9]}, scenario="item_cold_start", split="validation"),
    )
    assert results["systems"]["star"]["hr@1"] == 1
    assert results["systems"] == results["evaluations"][0]["systems"]


def test_comparisons_that_cannot_be_made_are_left_out(answers):
    frames = answers("star", {"u": [1]}), answers("teacher", {"v": [1]})
    assert summarised(*frames, comparisons=[("star", "teacher"), ("star", "absent")])["comparisons"] == []


def test_a_ratio_over_nothing_is_null(tmp_path, answers):
    frames = answers("star", {"u": [1]}), answers("teacher", {"u": [20]})
    results = summarised(*frames, comparisons=[("star", "teacher")])
    assert results["comparisons"][0]["ratio"] is None
    assert results["comparisons"][0]["ci95"] == [None, None]
    write_results(tmp_path / "results.json", results)


def test_order_of_rows_does_not_matter(ranks):
    pairs = [("star", "teacher")]
    shuffled = ranks.sample(fraction=1, shuffle=True, seed=1)
    assert summarised(ranks, comparisons=pairs) == summarised(shuffled, comparisons=pairs)


def test_systems_stand_best_first(results):
    assert list(results["systems"]) == ["star", "teacher", "popularity", "random"]


def test_recompute_reproduces_the_file(tmp_path, ranks, results):
    ranks_path = save_ranks(tmp_path / "ranks.parquet", ranks)
    results_path = write_results(tmp_path / "results.json", results)
    before = results_path.read_bytes()
    assert recompute(ranks_path, results_path) == results
    assert results_path.read_bytes() == before


def test_recompute_undoes_a_flattered_number_and_keeps_facts(tmp_path, ranks, results):
    ranks_path = save_ranks(tmp_path / "ranks.parquet", ranks)
    flattered = json.loads(json.dumps(results))
    flattered["systems"]["star"]["avg_hr"] = 0.99
    flattered["evaluations"][0]["comparisons"][0]["ratio"] = 9.0
    results_path = write_results(tmp_path / "results.json", flattered)
    recompute(ranks_path, results_path)
    assert read_results(results_path) == results


def test_recompute_follows_the_ranks(tmp_path, ranks, results, answers):
    worse = pl.concat([ranks.filter(pl.col("system") != "star"), answers("star", {"u": [20]})])
    ranks_path = save_ranks(tmp_path / "ranks.parquet", worse)
    results_path = write_results(tmp_path / "results.json", results)
    assert recompute(ranks_path, results_path)["systems"]["star"]["avg_hr"] == 0
    assert load_ranks(ranks_path).equals(worse)


def test_recompute_explains_unusable_files(tmp_path, ranks):
    ranks_path = save_ranks(tmp_path / "ranks.parquet", ranks)
    results_path = tmp_path / "results.json"
    with pytest.raises(RunError, match=r"results\.json"):
        recompute(ranks_path, results_path)
    for content in ("{", "[]", "{}"):
        results_path.write_text(content)
        with pytest.raises(RunError, match=r"results\.json"):
            recompute(ranks_path, results_path)


def test_what_cannot_be_summarised_is_refused(ranks, answers):
    with pytest.raises(RunError, match="no ranks"):
        summarised(ranks.clear())
    with pytest.raises(ValueError, match="systems"):
        summarised(ranks, facts={"systems": {}})
    differing = answers("star", {"u": [1]}), answers("star", {"v": [1]}, n_candidates=10)
    with pytest.raises(RunError, match="10 to 20 candidates"):
        summarised(*differing)


def test_environment_names_versions_but_no_machine():
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["packages"]["polars"] == pl.__version__
    said = json.dumps(found)
    assert platform.node() not in said and "/" not in said
