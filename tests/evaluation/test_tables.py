"""The terminal says what results.json holds, and takes no markup from data."""

import io

import polars as pl
import pytest
from rich.console import Console

from starrec.evaluation import (
    comparison_lines,
    print_results,
    scenarios_table,
    summarise,
    systems_table,
    trace_table,
    worked_example,
)
from starrec.evaluation.wording import duration, percent_gain, scenario_notes, verdict
from starrec.teacher import Entry


def printed(*renderables):
    console = Console(width=220, record=True, file=io.StringIO())
    for renderable in renderables:
        console.print(renderable)
    return console.export_text()


def test_each_system_has_a_row_with_its_numbers(results):
    rows = {line.split()[0]: line.split() for line in printed(systems_table(results)).splitlines()[1:]}
    lo, hi = results["systems"]["star"]["avg_hr_ci95"]
    # star's ranks 1, 3, 2, 1, 1, 6: HR 3/6, 5/6, 5/6, mean 13/18.
    assert rows["star"][1:6] == ["0.722", f"{lo:.3f}–{hi:.3f}", "0.500", "0.833", "0.833"]
    assert rows["star"][8:] == ["6", "12", "ms", "25", "ms"]
    assert rows["popularity"][8:] == ["6", "–", "–"]
    assert list(rows) == ["system", "star", "teacher", "popularity", "random"]


def test_the_evidence_is_timed_as_a_whole_and_no_tool_alone(results):
    console = Console(width=220, record=True, file=io.StringIO())
    print_results(console, results)
    shown = console.export_text()
    assert "evidence of a task (all signals at once): p50 2.1 ms, p99 5.2 ms" in shown
    assert not {"item_cf", "user_cf", "transitions", "ease", "popularity"} & set(results["latency_ms"])


def test_a_peer_that_still_improved_is_marked(results):
    """Also in the report; a peer that converged, or that nobody watched, is not."""
    peers = {
        name: {"converged": value} for name, value in (("p_true", True), ("p_none", None), ("p_false", False))
    }
    console = Console(width=220, record=True, file=io.StringIO())
    print_results(console, {**results, "peers": peers})
    marked = [line for line in console.export_text().splitlines() if "stopped improving" in line]
    assert marked == ["p_false had not stopped improving when training ended, and may rank better than shown"]


def test_a_comparison_is_one_line_with_the_teachers_kind(results):
    line = comparison_lines(results)[0].plain
    # star is ahead for each of the 3 users, so in each of 200 resamples: p = 2 (0 + 1) / 201.
    lo, hi = results["comparisons"][0]["ci95"]
    assert line == (
        f"star over teacher: x1.300 [{lo:.3f}, {hi:.3f}], p 0.01 (headline), 6 tasks of 3 users "
        "(teacher: embedded policy, no learned weights)"
    )


def test_a_comparison_without_teacher_does_not_speak_of_one(answers):
    ranks = answers("star", {"u": [1]}).vstack(answers("star_sft", {"u": [2]}))
    results = summarise(ranks, dataset="tiny", comparisons=[("star", "star_sft")], seed=0, n_resamples=10)
    assert comparison_lines(results)[0].plain == (
        "star over star_sft: x1.500 [1.500, 1.500], p 0.18 (corrected), 1 tasks of 1 users"
    )


def test_the_figure_of_each_training_seed_is_shown(results, answers):
    assert "by seed" not in printed(systems_table(results))
    ranks = [answers("star", {"u": [1], "v": [3]}), answers("star", {"u": [2], "v": [5]}, seed=1)]
    several = summarise(
        pl.concat([*ranks, answers("ease", {"u": [4], "v": [2]})]),
        dataset="tiny",
        comparisons=[],
        seed=0,
        n_resamples=10,
    )
    # Seed 0: 1 and 2/3; seed 1: 2/3 and 1/3.
    head, star, ease = printed(systems_table(several)).splitlines()[1:]
    assert head.split()[-2:] == ["by", "seed"]
    assert star.split()[-2:] == ["0.833", "0.500"] and ease.split()[-1] == "–"


def test_the_headline_stands_as_it_is_and_others_are_shown_corrected(results):
    lines = [line.plain for line in comparison_lines(results)]
    other = results["comparisons"][1]
    assert "(headline)" in lines[0] and f"p {other['p_corrected']:.2g} (corrected)" in lines[1]


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ([1.001, 1.2], "better than"),
        ([0.8, 0.999], "worse than"),
        ([0.99, 1.2], "cannot be told apart"),
        ([1.0, 1.2], "cannot be told apart"),
        ([None, None], "cannot be told apart"),
    ],
)
def test_a_claim_needs_its_interval(interval, said):
    assert said in verdict({"ratio": 1.1, "ci95": interval})


def test_citations_are_counted_with_and_without_constraints(results):
    console = Console(width=220, record=True, file=io.StringIO())
    print_results(console, results)
    lines = [line for line in console.export_text().splitlines() if "citations hold" in line]
    assert lines == [
        "star_think (by construction: decoding is constrained to the facts of the trace's tools): 10 of 10 "
        "citations hold, 0 figures without one; 3 of 6 reflections cite a figure; 5 traces",
        "star_think_ungrounded (the same student, decoding unconstrained): 7 of 10 citations hold, 4 figures "
        "without one; 3 of 6 reflections cite a figure; 5 traces",
    ]


def test_results_end_with_the_verdict(results):
    console = Console(width=220, record=True, file=io.StringIO())
    print_results(console, results)
    lines = console.export_text().splitlines()
    assert lines[-1].strip() == verdict(results["comparisons"][0])


def test_a_long_trace_is_cut_in_the_middle_where_few_steps_are_asked_for():
    entries = [
        Entry(f"agent {at}", f"step {at}.", tuple(f"line {at}.{line}" for line in range(at)))
        for at in range(10)
    ]
    shown = printed(trace_table(entries, most=4, most_lines=2))
    assert [at for at in range(10) if f"step {at}." in shown] == [0, 1, 8, 9] and "… 6 more steps" in shown
    assert "line 8.1" in shown and "line 8.2" not in shown and shown.count("… 6 more") == 2
    assert "more" not in printed(trace_table(entries)) and "line 9.8" in printed(trace_table(entries))


def test_a_worked_example_shows_data_as_it_is_written(facts, hostile):
    shown = printed(worked_example(facts["worked_examples"][0]))
    # [bold] is a title's text here, not console markup, and a mention reads as its title.
    # In the title as user and target, in the history, as text and line of an entry, in the ranking.
    assert shown.count(hostile) == 6
    assert "Asks about Fargo (1996) ‹A›." in shown
    assert "see <i>Tag" in shown


def test_the_true_item_is_shown_even_below_the_cut():
    example = {
        "user_id": "1",
        "history": [f"Old {place}" for place in range(5)],
        "readable": [],
        "ranking": [f"Film {place}" for place in range(20)],
        "target": "Film 17",
        "rank": 18,
    }
    shown = printed(worked_example(example, shown_history=2, shown_ranking=3))
    assert "… 3 older" in shown and "Old 2" not in shown and "Old 3" in shown
    assert "18  Film 17   ← true item" in shown and "Film 2" in shown and "Film 3" not in shown


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0.842, "0.84 ms"), (4.25, "4.2 ms"), (17.3, "17 ms"), (999.4, "999 ms"), (999.6, "1.0 s"), (None, "–")],
)
def test_durations_are_in_the_unit_a_person_would_use(milliseconds, said):
    assert duration(milliseconds) == said


def test_gains_are_signed():
    assert [percent_gain(ratio) for ratio in (1.045, 0.968, 1.0, None)] == ["+4.5%", "−3.2%", "+0.0%", "–"]


def test_accuracy_by_scenario_and_what_has_to_be_known_of_it(answers):
    ranks = pl.concat(
        [
            answers("star", {"u": [1], "v": [2]}),
            answers("teacher", {"u": [2], "v": [4]}),
            # Another order, and a system that did not answer here.
            answers("star", {"u": [9], "v": [9]}, scenario="user_cold_start"),
        ]
    )
    facts = {
        "not_measurable": {
            "classic": {"tasks": 2, "needed": 300},
            "evolving_long": {"tasks": 17, "needed": 300},
        },
        "scenarios": {
            "classic": {"tasks": 2, "users": 2, "users_without_a_task": 3},
            "evolving_long": {"tasks": 17, "users": 17, "users_without_a_task": None},
        },
        "clock_note": {"within_one_day": 0.68, "note": "No claim about time."},
    }
    results = summarise(ranks, dataset="tiny", comparisons=[], seed=0, n_resamples=10, facts=facts)
    lines = [line.split() for line in printed(scenarios_table(results)).splitlines()[1:]]
    # star: HR 1/2, 1, 1 is 5/6; ranks 9 hit nothing. teacher: 0, 1/2, 1.
    assert lines[0] == ["system", "classic", "user_cold_start"]
    assert lines[1:] == [["star", "0.833", "0.000"], ["teacher", "0.500", "–"], ["tasks", "2", "2"]]
    notes = [
        "classic: 2 tasks of 300 needed; its figures are for orientation only.",
        "evolving_long: 17 tasks of 300 needed; not measurable.",
        "classic: no task for 3 users with a test item.",
        "No claim about time.",
    ]
    assert scenario_notes(results) == notes
    console = Console(width=220, record=True, file=io.StringIO())
    print_results(console, results)
    shown = console.export_text()
    assert "avg_hr by scenario" in shown and all(note in shown for note in notes)
