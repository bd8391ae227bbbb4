"""Figures show the numbers of results.json, no others."""

import json

import polars as pl
import pytest

from starrec.evaluation import accuracy_picture, summarise
from starrec.evaluation.charts import accuracy_figure, colour, hits_figure, latency_figure, training_figures


def test_accuracy_bars_and_whiskers_reach_the_interval(results):
    evaluation = results["evaluations"][0]
    bars = accuracy_figure(evaluation)["data"][0]
    assert bars["y"] == ["random", "popularity", "teacher", "star"]
    for name, value, above, below in zip(
        bars["y"], bars["x"], bars["error_x"]["array"], bars["error_x"]["arrayminus"], strict=True
    ):
        system = evaluation["systems"][name]
        assert value == system["avg_hr"]
        assert [value - below, value + above] == pytest.approx(system["avg_hr_ci95"])


def test_chance_follows_the_number_of_candidates(answers):
    # HR@k of a random order of 10 is k / 10; the mean over 1, 3 and 5 is 0.3.
    ranks = answers("star", {"u": [1]}, n_candidates=10)
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    [line] = accuracy_figure(results["evaluations"][0])["layout"]["shapes"]
    assert line["x0"] == line["x1"] == pytest.approx(0.3)


def test_hits_are_shares_of_the_first_k(ranks, results):
    traces = {trace["name"]: trace["y"] for trace in hits_figure(ranks, results["evaluations"][0])["data"]}
    # The best of the others is shown beside student and teacher.
    assert list(traces) == ["star", "teacher", "popularity", "chance"]
    # star's ranks: 1, 3, 2, 1, 1, 6.
    assert traces["star"][:6] == pytest.approx([3 / 6, 4 / 6, 5 / 6, 5 / 6, 5 / 6, 1], abs=1e-4)
    assert len(traces["star"]) == 20 and traces["star"][-1] == 1


def test_hits_ignore_other_splits_and_scenarios(ranks, results, answers):
    more = pl.concat([ranks, answers("star", {"u": [20] * 9}, scenario="user_cold_start")])
    evaluation = results["evaluations"][0]
    assert hits_figure(more, evaluation) == hits_figure(ranks, evaluation)


def test_latency_is_on_a_log_axis_that_holds_every_point(facts):
    figure = latency_figure(facts["latency_ms"])
    low, high = figure["layout"]["xaxis"]["range"]
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert 10**low <= 2.1 and 10**high >= 25.0
    quickest_last = [trace["y"] for trace in figure["data"] if trace.get("name") == "p50"]
    assert quickest_last == [["star", "teacher", "evidence"]]


def test_training_has_one_figure_a_quantity_without_gaps(facts):
    figures = training_figures(facts["training"]["curves"])
    assert list(figures) == ["sft: loss", "grpo: reward", "grpo: validation_avg_hr"]
    assert (figures["sft: loss"]["data"][0]["x"], figures["sft: loss"]["data"][0]["y"]) == (
        [10, 20],
        [2.5, 1.5],
    )
    assert figures["grpo: validation_avg_hr"]["data"][0]["x"] == [20]


def test_system_names_are_no_markup_in_figures(facts):
    latency = {"<b>x</b>": facts["latency_ms"]["star"]}
    assert "<b>" not in json.dumps(latency_figure(latency))


def test_the_student_alone_has_the_accent():
    assert colour("star") == "--accent"
    assert {colour(name) for name in ("star_sft", "teacher", "starling", "item_cf")}.isdisjoint({"--accent"})
    assert colour("starling") == colour("item_cf") != colour("star_sft")


def test_the_picture_is_a_png(tmp_path, results):
    path = accuracy_picture(results, tmp_path / "docs" / "accuracy.png")
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
