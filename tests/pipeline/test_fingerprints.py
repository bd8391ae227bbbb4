"""Each step gives what its format version stands for: its output on a small fixed input, by hash.

A hash that changed says that what was made before is not what would be made now. Where that was meant, raise
the version in `starrec.pipeline.fingerprints.FORMATS` and write both here; where it was not, the change is a
mistake.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
import torch

import starrec.teacher
from starrec.config import canonical, fingerprint, parse_toml
from starrec.data import (
    SplitRule,
    evaluation_tasks,
    load_tables,
    task_key,
    training_positions,
    training_tasks,
)
from starrec.engines import Workers
from starrec.evaluation import ranks_frame, summarise
from starrec.evaluation.controls import GRID, NAMES, PolicyArrays, gather_numbers, search
from starrec.pipeline import RunConfig, fingerprints
from starrec.pipeline.fingerprints import FORMATS, distill_inputs, draw_inputs, evaluate_inputs, teach_inputs
from starrec.ranking import Ranking
from starrec.signals import SIGNALS
from starrec.student import NUMBERS, gather_tasks, make_samples, read_samples
from starrec.teacher import agents, policy_sha
from starrec.tools import TOOLS
from starrec.trajectories import linear

MADE = {
    "data": (1, "ff185a1db67dbc3f"),
    "tasks": (1, "cbcfe667b90b3af8"),
    "signals": (1, "0a8fcca7f2d93eb0"),
    "teacher": (3, "42b9997973b29f08"),
    "student": (11, "537d0179769ee0b4"),
    "controls": (4, "4a5efe6b6bf17af5"),
    # 4: teacher_v1 is ranked too; 5: scenarios, controls, peers, seeds, Holm, the whole catalogue;
    # 6: all that is retrieved is ranked, in one pass; 7: distributions of signals;
    # 8: another retriever, and which system serves
    "evaluation": (8, "e9c2e47dba158dbd"),
}


@pytest.fixture
def data(tmp_path):
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,rating\n"
        + "".join(f"u{n % 7},i{n * n % 23},{1_500_000_000 + 999 * n},{1 + n % 5}\n" for n in range(90))
    )
    (tmp_path / "items.csv").write_text(
        "item_id,title,categories,year\n"
        + "".join(f"i{n}, Title {n} ,a|b {n % 3},{1990 + n}\n" for n in range(23))
    )
    dataset, _ = load_tables(tmp_path / "log.csv", tmp_path / "items.csv")
    return dataset.interactions.rows(), dataset.users.rows(), dataset.items.rows(), dataset.repeats


@pytest.fixture
def tasks(small, split):
    drawn = evaluation_tasks(small, small.sequences(0), split, "test", seed=0)
    positions = training_positions(small, split, per_user=3, seed=1)
    taught = training_tasks(small, split, positions, seed=0, epoch=2)
    return [
        (task.task_id, task_key(task, targets[task.task_id], small))
        for d in (drawn, taught)
        for task, targets in ((task, d[1]) for task in d[0])
    ]


@pytest.fixture
def signals(world, lessons):
    spoken = []
    for task in lessons[0][:12]:
        toolbox = world.toolbox(task)
        facts = [
            toolbox.evidence.fact(name, column) for name in SIGNALS for column in range(len(task.candidates))
        ]
        spoken.append([toolbox.evidence.levels.tolist(), [world.sentence(fact) for fact in facts if fact]])
    return spoken


@pytest.fixture
def teacher(lessons):
    prompts = sorted((Path(starrec.teacher.__file__).parent / "prompts").glob("*.md"))
    assert prompts
    schemas = [
        kind.model_json_schema() for kind in (agents.Plan, agents.Finding, agents.Verdict, agents.Decision)
    ]
    tools = [[spec.name, spec.description, spec.parameters] for spec in TOOLS.values()]
    return policy_sha(), list(map(linear, lessons[2])), [p.read_text() for p in prompts], schemas, tools


@pytest.fixture
def student(world, lessons, tokenizer, newborn):
    tasks, _, runs = lessons
    given = gather_tasks(world, tasks[:6])
    # Sums of floats end in digits that differ between machines.
    rows = [(given.numbers.round(3) + 0.0).tolist(), given.order.tolist()]
    samples = make_samples(tokenizer, runs[:6], 1024)
    read = [
        [sample.ids.tolist(), sample.learn.tolist(), sample.label_ids.tolist(), sample.ranking.tolist()]
        for sample in samples
    ]
    with torch.no_grad():
        star = newborn(3)
        ranked = [list(map(int, star.rank(task).items)) for task in tasks[:6]]
        text, _ = read_samples(star.model, samples, int(tokenizer.pad_token_id))
        loss = round(float(text.mean()), 3)
    return tokenizer.get_vocab(), NUMBERS, rows, read, ranked, loss


@pytest.fixture
def controls(world, lessons, tmp_path):
    tasks, targets, _ = lessons
    with Workers(world, 1) as workers:
        numbers = gather_numbers(workers, tasks[:12], tmp_path / "numbers")
    found = search(PolicyArrays(numbers, numbers.rows_of(tasks[:12], targets)), 0, proposals=20)
    read = numbers.numbers[:3].round(3) + 0.0  # without negative zeros
    return NAMES, read.tolist(), asdict(found), [asdict(each) for each in GRID]


@pytest.fixture
def evaluation(small, split):
    tasks, targets = evaluation_tasks(small, small.sequences(0), split, "test", seed=0)
    given, reverse = (
        ranks_frame(
            name, tasks, [Ranking(tuple(map(int, t.candidates[::step]))) for t in tasks], targets, seed=0
        )
        for name, step in (("star", 1), ("teacher", -1))
    )
    again = reverse.with_columns(seed=pl.lit(1, pl.Int32))
    return summarise(
        pl.concat([given, reverse, again]),
        dataset="small",
        comparisons=[],
        headline=("star", "teacher"),
        seed=0,
        n_resamples=50,
    )


@pytest.mark.parametrize("name", MADE)
def test_the_output_is_that_of_the_version(request, name):
    made = request.getfixturevalue(name)
    text = json.dumps(canonical(made), ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (FORMATS[name], digest) == MADE[name]


def test_every_version_is_held():
    assert set(MADE) == set(FORMATS)


@pytest.mark.parametrize(
    ("toml", "changed"),
    [
        ("", set()),
        # At its default, as a release that adds a setting finds it in a product made before.
        ("[data]\ndraws = 3\n[teacher]\nruns = 4\n", set()),
        ("[teacher]\nengine = 'ray'\n", set()),
        ("[data]\ndraws = 2\n", {"distill", "evaluate"}),
        ("[data]\neval_users = 5\n", {"distill", "evaluate"}),
        ("[data]\nnegatives = 9\n", {"draw", "teach", "distill", "evaluate"}),
        ("[signals]\nridge = 7.0\n", {"teacher", "teach", "distill", "evaluate"}),
        ("[teacher]\nruns = 5\n", {"teach"}),
        ("[teacher]\nseed = 1\n", {"teacher", "teach", "evaluate"}),
        ("[student.grpo]\nsteps = 7\n", {"distill"}),
        ("[student.grpo]\ngradient = 'sampled'\n", {"distill"}),
        ("[student.grpo]\nlate = 0.0\n", {"distill"}),
        ("[evaluation]\nseed = 1\n", {"evaluate"}),
        ("[evaluation]\npeers = []\n", {"evaluate"}),
        ("[evaluation]\nscenarios = ['classic']\n", {"evaluate"}),
        ("[data]\nsplit = 'global-time'\n", {"draw", "teach", "distill", "evaluate"}),
        ("[data]\nhold_out = 'item_cold_start'\n", {"draw", "teach", "distill", "evaluate"}),
        # Of no split but that at two moments.
        ("[data]\ntest_share = 0.2\n", set()),
    ],
)
def test_a_step_depends_on_its_own_settings_alone(small, toml, changed):
    """Each step by itself: what a change of an earlier step does reaches it through that step's fingerprint."""

    def names(config):
        inputs = {
            "draw": draw_inputs(config),
            "teach": teach_inputs(config, {"train/u/1/0": "a"}),
            "distill": distill_inputs(config, small, "taught"),
            "evaluate": evaluate_inputs(config, small, "student"),
        }
        named = {step: fingerprint(given) for step, given in inputs.items()}
        return {**named, "teacher": fingerprints.teacher(config, explore=True).fingerprint}

    config = parse_toml(toml, RunConfig, "a test")
    before, after = names(RunConfig()), names(config)
    assert config.data.reading == RunConfig().data.reading
    assert {step for step in before if before[step] != after[step]} == changed


@pytest.mark.parametrize(
    "toml", ["", "split = 'global-time'\ntest_share = 0.3", "hold_out = 'item_cold_start'"]
)
def test_the_split_is_read_back_from_the_inputs(small, toml):
    """As the recommender does, which counts again what the student was taught with."""
    config = parse_toml(f"[data]\n{toml}\n", RunConfig, "a test")
    evidence = canonical(distill_inputs(config, small, "taught"))["evidence"]
    assert ("split" in evidence) == bool(toml)
    assert SplitRule.model_validate(evidence.get("split", {})) == config.data.rule


def test_sampled_and_greedy_runs_are_not_mistaken_for_each_other():
    config = RunConfig()
    assert (
        fingerprints.teacher(config, explore=True).fingerprint
        != fingerprints.teacher(config, explore=False).fingerprint
    )


def test_tasks_count_by_content_and_in_any_order(small):
    config = RunConfig()
    one = fingerprint(teach_inputs(config, {"a": "1", "b": "2"}))
    assert fingerprint(teach_inputs(config, {"c": "2", "d": "1"})) == one
    assert fingerprint(teach_inputs(config, {"a": "1"})) != one
