"""Pictures show the numbers of results.json, no others."""

import re

import polars as pl
import pytest

from starrec.evaluation import accuracy_picture, summarise
from starrec.evaluation.charts import (
    accuracy_chart,
    breakdown_chart,
    evaluation_name,
    frontier,
    hits,
    latency_chart,
    role,
    scenarios_chart,
    svg,
    training_charts,
)


def rows(figure):
    [axes] = figure.axes
    return [label.get_text() for label in axes.get_yticklabels()]


def test_accuracy_bars_and_whiskers_reach_the_interval(results):
    evaluation = results["evaluations"][0]
    figure = accuracy_chart(evaluation)
    [axes] = figure.axes
    assert rows(figure) == ["random", "popularity", "teacher", "star"]
    whiskers = [container for container in axes.containers if hasattr(container, "has_xerr")]
    for bar, whisker, name in zip(axes.patches, whiskers, rows(figure), strict=True):
        system = evaluation["systems"][name]
        assert bar.get_width() == system["avg_hr"]
        [segment] = whisker[2][0].get_segments()
        assert segment[:, 0].tolist() == pytest.approx(system["avg_hr_ci95"])


def test_chance_follows_the_number_of_candidates(answers):
    # HR@k of a random order of 10 is k / 10; the mean over 1, 3 and 5 is 0.3.
    ranks = answers("star", {"u": [1]}, n_candidates=10)
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10)
    [axes] = accuracy_chart(results["evaluations"][0]).axes
    [line] = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert list(line.get_xdata()) == pytest.approx([0.3, 0.3])


def test_hits_are_shares_of_the_first_k(ranks, results):
    cutoffs, shares = hits(ranks, results["evaluations"][0])
    # The best of the others is shown beside student and teacher.
    assert list(shares) == ["star", "teacher", "popularity"] and cutoffs.tolist() == list(range(1, 21))
    # star's ranks: 1, 3, 2, 1, 1, 6.
    assert shares["star"][:6] == pytest.approx([3 / 6, 4 / 6, 5 / 6, 5 / 6, 5 / 6, 1], abs=1e-4)
    assert shares["star"][-1] == 1


def test_hits_ignore_other_splits_and_scenarios(ranks, results, answers):
    more = pl.concat([ranks, answers("star", {"u": [20] * 9}, scenario="user_cold_start")])
    evaluation = results["evaluations"][0]
    for name, share in hits(more, evaluation)[1].items():
        assert share.tolist() == hits(ranks, evaluation)[1][name].tolist()


def test_the_frontier_is_what_nothing_beats_in_both():
    # c is slower than a and no better; d is as quick as b and worse.
    points = {"a": (1.0, 0.6), "b": (5.0, 0.7), "c": (2.0, 0.6), "d": (5.0, 0.65), "e": (90.0, 0.71)}
    assert frontier(points) == ["a", "b", "e"]


def test_latency_is_on_a_log_axis_that_holds_every_point(results, facts):
    evaluation = results["evaluations"][0]
    [axes] = latency_chart(evaluation, facts["latency_ms"]).axes
    low, high = axes.get_xlim()
    assert axes.get_xscale() == "log" and low <= 4.0 and high >= 12.0
    # Evidence has a time and no accuracy, popularity an accuracy and no time.
    assert {text.get_text() for text in axes.texts} == {"star 12 ms", "teacher 4.0 ms"}
    assert latency_chart(evaluation, {"star": facts["latency_ms"]["star"]}) is None


def test_scenarios_stand_in_order_with_each_systems_accuracy(ranks, answers):
    both = pl.concat([ranks, answers("star", {"u": [2]}, scenario="user_cold_start")])
    evaluations = summarise(both, dataset="tiny", comparisons=[], seed=0, n_resamples=10)["evaluations"]
    figure = scenarios_chart(evaluations, ["star", "teacher"])
    assert rows(figure) == ["user_cold_start", "classic"]
    [axes] = figure.axes
    star, teacher = (container[0].get_xdata() for container in axes.containers)
    # Rank 2 is 2/3; star's mean is (1 + 2/3 + 2/3 + 1 + 1 + 0) / 6 = 13/18, the teacher's 10/18.
    assert list(star) == pytest.approx([2 / 3, 13 / 18], abs=1e-6)
    assert list(teacher) == pytest.approx([10 / 18], abs=1e-6)
    assert evaluation_name({"split": "validation", "scenario": "classic"}) == "validation, classic"


def test_training_has_one_figure_a_quantity_without_gaps(facts):
    figures = training_charts(facts["training"]["curves"])
    assert list(figures) == ["sft: loss", "grpo: reward", "grpo: validation_avg_hr"]
    lines = {name: figure.axes[0].lines[0] for name, figure in figures.items()}
    assert list(lines["sft: loss"].get_xdata()) == [10, 20]
    assert list(lines["sft: loss"].get_ydata()) == [2.5, 1.5]
    assert list(lines["grpo: validation_avg_hr"].get_xdata()) == [20]


def test_breakdown_shows_each_group_with_its_interval():
    groups = [
        {"group": "1–4", "difference": 0.1, "ci95": [-0.1, 0.2]},
        {"group": "$5$", "difference": -0.2, "ci95": [-0.3, -0.1]},
    ]
    [axes] = breakdown_chart(groups, "length").axes
    points, _, (whiskers,) = axes.containers[0]
    assert list(points.get_ydata()) == [0.1, -0.2]
    assert [segment[:, 1].tolist() for segment in whiskers.get_segments()] == [
        pytest.approx([-0.1, 0.2]),
        pytest.approx([-0.3, -0.1]),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1–4", "$5$"]


def test_names_are_no_markup_and_no_mathematics_in_pictures(answers):
    name = "<b>&$x^2$</b>"
    results = summarise(answers(name, {"u": [1]}), dataset="d", comparisons=[], seed=0, n_resamples=10)
    drawn = svg(accuracy_chart(results["evaluations"][0]), 'a "b" <c>')
    assert "<b>" not in drawn and "&lt;b&gt;&amp;$x^2$&lt;/b&gt;" in drawn
    assert 'aria-label="a &quot;b&quot; &lt;c>"' in drawn


def test_the_same_picture_is_the_same_text_and_names_of_two_do_not_meet(results):
    evaluation = results["evaluations"][0]
    first, again = (svg(accuracy_chart(evaluation), "one") for _ in range(2))
    other = svg(accuracy_chart(evaluation), "another")
    ids = re.compile(r'id="([^"]+)"')
    assert first == again
    assert set(ids.findall(first)).isdisjoint(ids.findall(other))


def test_the_student_alone_has_the_accent():
    assert role("star") == "accent"
    assert {role(name) for name in ("star_sft", "teacher", "starling", "item_cf")}.isdisjoint({"accent"})
    assert role("starling") == role("item_cf") != role("star_sft")


def test_the_picture_is_a_png(tmp_path, results):
    path = accuracy_picture(results, tmp_path / "docs" / "accuracy.png")
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
