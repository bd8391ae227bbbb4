"""What a run says of its split and scenarios, and how too few tasks are reported and not dropped."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from starrec.config import parse_toml
from starrec.data import SCENARIOS, DataConfig, scenario_tasks
from starrec.engines import Workers
from starrec.errors import ConfigError
from starrec.evaluation import SYSTEMS, EvaluationConfig, check_ranks, ranks_frame, summarise
from starrec.pipeline import Pipeline, RunConfig
from starrec.pipeline.greedy_teacher import rank_with_policy
from starrec.pipeline.scenarios import own_seed, rank_fast, scenario_record
from starrec.pipeline.tasks import Tasks
from starrec.signals import Graph
from starrec.tools import World

DAY = 86_400


@pytest.fixture
def tasks_of(tmp_path):
    """The tasks of a run over 60 items and these rows (user, item number, time[, part]), and what was said."""

    def tasks_of(rows, evaluation=None, **data):
        own = len(rows[0]) == 4
        header = "user_id,item_id,timestamp" + (",part" if own else "")
        lines = [f"{user},i{item},{','.join(map(str, rest))}" for user, item, *rest in rows]
        (tmp_path / "log.csv").write_text("\n".join([header, *lines]) + "\n")
        (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"i{n},T {n}\n" for n in range(60)))
        config = RunConfig(
            data=DataConfig(
                source="tables",
                interactions=tmp_path / "log.csv",
                items=tmp_path / "items.csv",
                split_column="part" if own else None,
                **data,
            ),
            evaluation=evaluation or EvaluationConfig(),
        )
        lines = []
        with Pipeline.open(tmp_path / "run", config, announce=lines.append) as pipeline:
            return Tasks(pipeline.signals(), config), lines

    return tasks_of


def crowd(users, length, step=DAY):
    """Users who walk through the items from different ends."""
    return [
        (f"u{user}", (7 * user + place) % 60, 1_600_000_000 + user * 60 + place * step)
        for user in range(users)
        for place in range(length)
    ]


def test_scenarios_with_enough_tasks_are_evaluated_and_the_others_counted(tasks_of):
    tasks, _ = tasks_of(crowd(310, 14))
    assert [each.scenario for each in tasks.evaluations()] == ["classic", "user_cold_start", "classic_popular"]
    assert [len(each.tasks) for each in tasks.evaluations()] == [930, 310, 310]
    # 310 // 3 users moved most.
    record = scenario_record(tasks)
    assert record["not_measurable"] == {
        name: {"tasks": 103, "needed": 300} for name in ("evolving_long", "evolving_short")
    }
    assert record["scenarios"]["classic"] == {"tasks": 930, "users": 310, "users_without_a_task": 0}
    assert record["scenarios"]["evolving_long"] == {"tasks": 103, "users": 103, "users_without_a_task": 0}
    assert record["clock_note"] == {"within_one_day": 0.0, "note": None}
    assert record["split"]["kind"] == "leave-one-out"
    ids = [task.task_id for each in tasks.evaluations() for task in each.tasks]
    assert len(set(ids)) == len(ids) == 1550


def test_draws_of_the_scenarios_are_a_setting(tasks_of):
    evaluation = EvaluationConfig(scenarios=("classic", "evolving_short"), scenario_draws=3)
    tasks, _ = tasks_of(crowd(310, 14), evaluation)
    assert [(each.scenario, len(each.tasks)) for each in tasks.evaluations()] == [
        ("classic", 930),
        ("evolving_short", 309),
    ]


def test_some_users_by_hash_are_asked_in_the_scenarios_and_all_in_classic(tasks_of):
    rows = crowd(340, 6)
    scenarios = ("classic", "user_cold_start")
    tasks, _ = tasks_of(rows, EvaluationConfig(scenarios=scenarios, scenario_users=320))
    classic, cold = tasks.evaluations()
    assert (len(classic.tasks), len(cold.tasks)) == (1020, 320)
    # The others keep theirs when somebody goes.
    fewer, _ = tasks_of(rows[6:], EvaluationConfig(scenarios=scenarios, scenario_users=320))
    before, after = ({task.user_id for task in each.evaluations()[1].tasks} for each in (tasks, fewer))
    assert len(after) == 320 and before - {"u0"} <= after


def test_fewer_users_than_draws_are_asked_and_said_to_be_too_few(tasks_of):
    tasks, lines = tasks_of(crowd(2, 5))
    assert any("6 test tasks of 2 users, and 300 are needed" in line for line in lines)
    assert [(each.scenario, len(each.tasks)) for each in tasks.evaluations()] == [("classic", 6)]
    missing = scenario_record(tasks)["not_measurable"]
    assert missing["classic"] == {"tasks": 6, "needed": 300}
    assert missing["evolving_long"] == {"tasks": 0, "needed": 300} and len(missing) == 5


def test_histories_of_one_sitting_carry_no_claim_about_time(tasks_of):
    tasks, _ = tasks_of(
        crowd(4, 5, step=60) + [("long", place, 1_600_000_000 + DAY * place) for place in range(4)]
    )
    note = scenario_record(tasks)["clock_note"]
    assert note["within_one_day"] == 0.8 and note["note"].startswith("80% of the users")
    assert "no claim about interest over time" in note["note"]


def test_who_left_too_little_of_the_catalogue_is_counted(tasks_of):
    # The first user took 45 of 60 items: 19 negatives cannot be had.
    rows = crowd(5, 8) + [("much", place, 1_700_000_000 + place) for place in range(45)]
    tasks, lines = tasks_of(rows)
    record = scenario_record(tasks)["scenarios"]
    assert record["classic"] == {"tasks": 15, "users": 5, "users_without_a_task": 1}
    assert any("no task for 1 user who took so much of the catalogue" in line for line in lines)
    # Her rows make all items popular but those that nobody took in training.
    assert record["classic_popular"]["users_without_a_task"] == 1


def test_two_moments_are_said_and_users_without_a_history_counted(tasks_of):
    start = 1_600_000_000  # 2020-09-13
    rows = [("a", place, start + place * DAY) for place in range(10)]
    rows += [("b", place, start + place * DAY + 1) for place in range(10)]
    rows += [("new", 30, start + 9 * DAY + 2), ("late", 31, start + 8 * DAY), ("late", 32, start + 9 * DAY)]
    tasks, lines = tasks_of(rows, split="global-time", test_share=0.2, validation_share=0.2)
    # 23 interactions: the latest 4 are those of day 9; the 5 before, of days 7 and 8, are validation.
    split = tasks.prepared.split
    assert "signals: validation from 2020-09-20, test from 2020-09-22 (UTC)" in lines
    assert {task.user_id for task in tasks.test[0]} == {"a", "b", "late"}
    assert split.without_history == {"validation": 1, "test": 1}
    assert "signals: no test task for 1 user with held-out interactions but none before them" in lines
    record = scenario_record(tasks)["split"]
    assert record["kind"] == "global-time" and record["from"] == ["2020-09-20", "2020-09-22"]
    assert record["users_without_history"] == {"validation": 1, "test": 1}
    # No edge of the held-out part is in the graph.
    assert tasks.prepared.world.graph.n_interactions == int((split.sequences.parts == 0).sum()) == 14


def test_cold_items_are_a_run_with_its_own_graph(tasks_of):
    # Items 50 to 53 are taken once each, the others by many.
    rows = crowd(20, 8) + [(f"u{user}", 50 + user, 1_650_000_000 + user) for user in range(4)]
    tasks, _ = tasks_of(
        [row for row in rows if row[1] < 50 or row[2] >= 1_650_000_000], hold_out="item_cold_start"
    )
    (only,) = tasks.evaluations()
    assert only.scenario == "item_cold_start"
    cold = {f"i{50 + user}" for user in range(4)}
    ids = tasks.prepared.dataset.item_ids
    assert {task.scenario for task in only.tasks} == {"item_cold_start"}
    assert cold <= {ids[item] for item in only.targets.values()}
    popularity = tasks.prepared.world.graph.counts.popularity
    assert all(popularity[item] <= 4 for item in only.targets.values())
    assert list(scenario_record(tasks)["not_measurable"]) == ["item_cold_start"]


def test_a_split_of_ones_own_reports_what_lies_the_wrong_way_round(tasks_of):
    rows = [("a", 1, 1, "train"), ("a", 2, 2, "test"), ("a", 3, 3, "train"), ("b", 4, 1, "test")]
    rows += [("b", 5, 2, "train"), ("b", 6, 3, "train"), ("c", 7, 1, "train"), ("c", 8, 2, "test")]
    tasks, lines = tasks_of(rows)
    assert {task.user_id for task in tasks.test[0]} == {"a", "c"}
    assert "signals: no test task for 1 user with held-out interactions but none before them" in lines
    assert any("1 user took training items after the test target" in line for line in lines)
    record = scenario_record(tasks)["split"]
    assert record["users_without_history"] == {"validation": 0, "test": 1}
    assert record["users_trained_after_target"] == 1


@pytest.mark.parametrize(
    "given, message",
    [
        ('["user_cold_start"]', "`classic` among them"),
        ('["classic", "classic"]', "name each scenario once"),
        ('["classic", "item_cold_start"]', r'set `\[data\] hold_out = "item_cold_start"`'),
        ('["classic", "warm"]', "evaluation.scenarios.1"),
    ],
)
def test_scenarios_that_cannot_be_meant(given, message):
    with pytest.raises(ConfigError, match=message):
        parse_toml(f"[evaluation]\nscenarios = {given}\n", RunConfig, "a test")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_sees_what_a_stranger_with_its_history_would_see(small, split, world, scenario, monkeypatch):
    """A history that was cut is all that there is of the user: the graph knows nothing more of her."""
    tasks = scenario_tasks(scenario, small, split.sequences, split, "test", seed=0).tasks
    for task in tasks[:: max(1, len(tasks) // 4)]:
        others = split.train.kept(split.train.users != task.user)
        rebuilt = World.of(small.catalogue, Graph.build(others, small.n_items))
        stranger = replace(task, user=-1, user_id="stranger")
        part = world.graph.without(task.user).fold
        monkeypatch.setattr("starrec.signals.task_view.fold_of", lambda user_id, part=part: part)
        seen, expected = world.toolbox(task).evidence, rebuilt.toolbox(stranger).evidence
        # EASE forgets her by another sum than one that never knew her.
        assert np.allclose(seen.scores, expected.scores, rtol=0, atol=1e-6, equal_nan=True)
        assert np.array_equal(seen.levels, expected.levels) and seen.profile == expected.profile


def test_the_order_of_the_candidates_decides_nothing(small, split, world):
    tasks = [
        task
        for scenario in SCENARIOS
        for task in scenario_tasks(scenario, small, split.sequences, split, "test", seed=0).tasks[:3]
    ]
    turned = [replace(task, candidates=task.candidates[::-1]) for task in tasks]
    with Workers(world, 1) as workers:
        ranked, again = (rank_with_policy(workers, asked, 0) for asked in (tasks, turned))
    assert len(tasks) == 15 and ranked == again


def test_every_fast_system_answers_the_scenarios(small, split, world, newborn):
    config = RunConfig()
    made = [
        scenario_tasks(scenario, small, split.sequences, split, "test", seed=0)
        for scenario in ("user_cold_start", "classic_popular")
    ]
    asked = [each._replace(tasks=each.tasks[:8]) for each in made]
    with Workers(world, 1) as workers:
        tasks = [task for each in asked for task in each.tasks]
        ranked = rank_fast(workers, newborn(0), newborn(1), tasks, config)
    targets = {task_id: item for each in asked for task_id, item in each.targets.items()}
    ranks = pl.concat(
        ranks_frame(name, tasks, rankings, targets, seed=own_seed(name, config))
        for name, rankings in ranked.items()
    )
    check_ranks(ranks, source="a test")
    systems = {"star", "star_sft", "teacher", "teacher_no_reflection", "teacher_v1", "random", *SYSTEMS}
    assert {(name, scenario) for name, scenario in ranks.select("system", "scenario").iter_rows()} == {
        (system, each.scenario) for system in systems for each in asked
    }
    results = summarise(ranks, dataset="small", comparisons=[("star", "teacher")], seed=0, n_resamples=100)
    assert [each["scenario"] for each in results["evaluations"]] == ["classic_popular", "user_cold_start"]
    assert all(each["comparisons"][0]["n_tasks"] == len(asked[0].tasks) for each in results["evaluations"])
