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

SHIFTED = {"star": 1, "teacher": 3}


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


def test_several_seeds_give_each_its_figure_and_an_interval_over_users_and_seeds(answers):
    # Seed 0: u 1, v 2/3; seed 1: u 2/3, v 1/3. In sixths of the means 5/6 and 3/6; of the users 5/6 and 3/6.
    star = [answers("star", {"u": [1], "v": [3]}), answers("star", {"u": [2], "v": [5]}, seed=7)]
    teacher = answers("teacher", {"u": [1], "v": [2]})
    results = summarised(*star, teacher, comparisons=[("star", "teacher")])
    system = results["systems"]["star"]
    assert system["by_seed"] == {"0": pytest.approx(5 / 6, abs=1e-6), "7": pytest.approx(1 / 2, abs=1e-6)}
    assert (system["n_seeds"], system["n_users"], system["n_tasks"]) == (2, 2, 2)
    assert system["hr@1"] == 1 / 4 and system["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 5) / 4, abs=1e-6)
    # Variances of the two means, (1/3)² / 2, over 2 seeds and over 2 users; no remainder. t with 1 degree of
    # freedom at 97.5% is tan(.475 pi).
    around = math.tan(0.475 * math.pi) * math.sqrt(2 * (1 / 3) ** 2 / 2 / 2)
    assert system["avg_hr_ci95"] == pytest.approx([2 / 3 - around, 2 / 3 + around], abs=1e-5)
    assert results["systems"]["teacher"]["by_seed"] == {"0": pytest.approx(5 / 6, abs=1e-6)}
    assert results["systems"]["teacher"]["n_seeds"] == 1
    [compared] = results["comparisons"]
    assert compared["n_seeds"] == [2, 1] and compared["ratio"] == pytest.approx(4 / 5, abs=1e-6)
    # On the logarithm, with users' means 5/6, 3/6 over 2/3 less 1, 2/3 over 5/6: 1.25 - 1.2 and .75 - .8, of
    # variance .005, and seeds' means 1.25 and .75, of variance .125; each over 2.
    around = math.tan(0.475 * math.pi) * math.sqrt((0.125 + 0.005) / 2)
    bounds = [4 / 5 * math.exp(-around), 4 / 5 * math.exp(around)]
    assert compared["ci95"] == pytest.approx(bounds, rel=1e-5)


def test_tasks_that_one_training_lacks_are_left_out_and_counted(answers):
    star = [answers("star", {"u": [1], "v": [3]}), answers("star", {"u": [5]}, seed=1)]
    system = summarised(*star)["systems"]["star"]
    assert (system["n_tasks"], system["n_tasks_left_out"]) == (1, 1)
    assert system["avg_hr"] == pytest.approx((1 + 1 / 3) / 2, abs=1e-6)
    assert "n_tasks_left_out" not in summarised(star[0])["systems"]["star"]
    with pytest.raises(RunError, match=r"all training seeds of star \(0, 1\)"):
        summarised(answers("star", {"u": [1]}), answers("star", {"v": [5]}, seed=1))


def pairs_of(evaluation):
    return {(pair["a"], pair["b"]): pair for pair in evaluation["comparisons"]}


def test_the_headline_stands_and_the_others_are_corrected_by_holm(ranks):
    pairs = [("star", "popularity"), ("star", "teacher"), ("teacher", "popularity"), ("star", "random")]
    results = summarised(ranks, comparisons=pairs, headline=("star", "teacher"))
    found = pairs_of(results)
    # First, though it was listed second; once, though it was also named as the headline.
    assert next(iter(found)) == ("star", "teacher") and len(results["comparisons"]) == 4
    assert found.pop(("star", "teacher")).keys().isdisjoint({"p_corrected"})
    assert [pair["headline"] for pair in results["comparisons"]] == [True, False, False, False]
    # Of three the smallest p-value counts three times, the next twice, and none falls below the one before.
    highest = 0.0
    for factor, pair in zip((3, 2, 1), sorted(found.values(), key=lambda pair: pair["p"]), strict=True):
        highest = max(highest, factor * pair["p"])
        assert pair["p_corrected"] == pytest.approx(min(1, highest), abs=2e-6)
    assert results["protocol"]["headline"] == ["star", "teacher"]
    assert "Holm" in results["protocol"]["p_values"] and "bootstrap" in results["protocol"]["intervals"]


def test_only_the_classic_test_evaluation_has_a_headline(ranks, answers):
    other = [answers(name, {"u": [rank], "v": [2]}, scenario="evolving_long") for name, rank in SHIFTED.items()]
    evaluations = summarised(ranks, *other, headline=("star", "teacher"))["evaluations"]
    assert [pairs_of(each)["star", "teacher"]["headline"] for each in evaluations] == [True, False]
    assert pairs_of(evaluations[1])["star", "teacher"]["p_corrected"] == pytest.approx(
        pairs_of(evaluations[1])["star", "teacher"]["p"]
    )


def test_a_headline_that_cannot_be_compared_is_an_error_with_the_systems_there_are(ranks, answers):
    with pytest.raises(
        RunError, match=r"lenskit_ease, which did not.*two of: star, teacher, popularity, random"
    ):
        summarised(ranks, headline=("star", "lenskit_ease"))
    with pytest.raises(RunError, match="did not both rank"):
        summarised(answers("star", {"u": [1]}), answers("teacher", {"v": [1]}), headline=("star", "teacher"))
    # Where there are no classic test tasks there is none to declare.
    validation = answers("star", {"u": [1]}, split="validation")
    assert summarised(validation, headline=("star", "teacher"))["comparisons"] == []


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


def test_recompute_reproduces_seeds_and_headline(tmp_path, ranks, facts):
    popularity = ranks.filter(pl.col("system") == "popularity")
    others = [popularity.with_columns(seed=pl.lit(seed, pl.Int32)) for seed in range(3)]
    shifted = ranks.filter(pl.col("system") == "teacher").with_columns(
        system=pl.lit("popularity"), seed=pl.lit(3, pl.Int32)
    )
    several = pl.concat([ranks.filter(pl.col("system") != "popularity"), *others, shifted])
    results = summarised(
        several, comparisons=[("teacher", "popularity")], headline=("star", "popularity"), facts=facts
    )
    assert results["systems"]["popularity"]["n_seeds"] == 4
    ranks_path = save_ranks(tmp_path / "ranks.parquet", several.sample(fraction=1, shuffle=True, seed=2))
    results_path = write_results(tmp_path / "results.json", results)
    before = results_path.read_bytes()
    assert recompute(ranks_path, results_path) == read_results(results_path)
    assert results_path.read_bytes() == before
    flattered = json.loads(before)
    flattered["comparisons"][1]["p_corrected"] = 0.001
    flattered["systems"]["popularity"]["by_seed"]["3"] = 0.99
    write_results(results_path, flattered)
    recompute(ranks_path, results_path)
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
