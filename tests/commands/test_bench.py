"""`starrec bench` on a small shop: what a kill costs, what seeds and rows share, outcomes, and bad input."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from starrec.evaluation import load_ranks, recompute
from starrec.runs import lock_folder, products

from .conftest import done, refused, starrec, write_shop

pytestmark = pytest.mark.usefixtures("one_process")

TINY = """
[data]
draws = 1
[teacher]
tasks_per_user = 1
runs = 2
[student]
evaluate_every = 4
[student.nano]
width = 32
intermediate = 32
heads = 2
[student.sft]
steps = 4
fast_batch = 4
think_batch = 1
[student.grpo]
steps = 4
batch = 4
group = 4
tasks_per_user = 1
[evaluation]
n_resamples = 100
think_users = 1
ungrounded_users = 1
latency_requests = 20
probe_tasks = 4
tie_seeds = 1
worked_examples = 1
controls = []
peers = []
"""
SUITE = """
title = "A shop"
[datasets.elsewhere]
source = "https://example.org/elsewhere"
[[rows]]
name = "shop"
config = "tiny.toml"
seeds = [0, 7]
overrides.data = { source = "tables", interactions = "my.csv", items = "my_items.csv" }
[[rows]]
name = "thinking"
config = "tiny.toml"
adds_to = "shop"
overrides.data = { source = "tables", interactions = "my.csv", items = "my_items.csv" }
overrides.evaluation.think_users = 2
[[rows]]
name = "away"
config = "tiny.toml"
needs = "elsewhere"
overrides.data = { source = "tables", interactions = "log.csv", items = "items.csv" }
"""


def write_suite(folder):
    write_shop(folder)
    (folder / "tiny.toml").write_text(TINY)
    (folder / "small.toml").write_text(SUITE)
    return folder / "small.toml"


def contents(folder):
    passing = (".lock", ".holder", "log.jsonl")
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in passing and not path.suffix.startswith(".sqlite-")
    }


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    """A suite that was killed while its first student was trained, and then run to its end; what it said."""
    folder = tmp_path_factory.mktemp("bench")
    suite = write_suite(folder)
    arguments = ["bench", suite, "--out", folder / "out"]
    command = [sys.executable, "-c", "from starrec.cli import main; main()", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "STARREC_DATA"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ) as killed:
        for line in killed.stderr:
            if "distill: nano" in line:
                break
        os.killpg(killed.pid, signal.SIGKILL)
    states = done("bench", suite, "--out", folder / "out", "--list").output
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STARREC_DATA", str(folder / "nothing"))
        return folder, states, done(*arguments)


def test_a_killed_suite_goes_on_with_the_step_that_was_under_way(benched):
    _, states, result = benched
    assert re.search(r"shop +under way +0 of 2 +\d", states)
    assert re.search(r"thinking +open +0 of 1", states)
    first, second = (result.stderr.split(f"row shop, seed {seed}: ", 1)[1] for seed in (0, 7))
    assert "(done before)" in first.partition("seed 0: teach: ")[2].splitlines()[0]
    assert "SFT" in first.partition("seed 7")[0] and "SFT" in second


def test_seeds_and_added_rows_share_data_and_teaching(benched):
    folder, _, _ = benched
    made = [product.step for product, _ in products(folder / "out" / "small" / "shop" / "run")]
    # Two students, one for each seed; three evaluations, as the added row evaluates the first one otherwise.
    assert made == ["data", "teach", "distill", "distill", "evaluate", "evaluate", "evaluate"]
    assert not (folder / "out" / "small" / "thinking" / "run").exists()


def test_the_outcome_holds_each_training_seed_and_the_rest_once(benched):
    folder, _, _ = benched
    outcome = folder / "out" / "small" / "shop"
    ranks = load_ranks(outcome / "ranks.parquet")
    seeds = dict(ranks.group_by("system").agg(pl.col("seed").unique().sort()).iter_rows())
    trained = {"star": [0, 7], "star_sft": [0, 7], "star_think": [0, 7]}
    assert seeds == {system: trained.get(system, [0]) for system in seeds} and len(seeds) > 8
    # The added row thinks for two users, and the first seed of its home row for one of them.
    assert ranks.filter(system="star_think", seed=0).height == 2
    assert ranks.filter(system="star", seed=7)["task_id"].n_unique() == 60
    results = json.loads((outcome / "results.json").read_text())
    kept = results["bench"]
    assert (kept["suite"], kept["row"], kept["title"]) == ("small", "shop", "A shop")
    assert [(part["row"], part["seed"]) for part in kept["made_of"]] == [
        ("shop", 0), ("shop", 7), ("thinking", 0)
    ]  # fmt: skip
    assert recompute(outcome / "ranks.parquet", outcome / "results.json") == results
    own = load_ranks(folder / "out" / "small" / "thinking" / "ranks.parquet")
    assert own.filter(system="star_think").height == 2 and own["seed"].unique().to_list() == [0]


def test_progress_states_and_what_is_not_run_here_are_said(benched):
    folder, _, result = benched
    assert "small: 1 of 3 rows done, 1 open, 1 not run here" in result.stderr
    assert "row away: not run here: it needs elsewhere" in result.stderr
    for shown in (result, done("bench", folder / "small.toml", "--out", folder / "out", "--list")):
        assert re.search(r"shop +done +2 of 2 +\d+\.\d +0\.\d{3}", shown.stdout)
        assert re.search(r"thinking +done +1 of 1 +\d+\.\d +0\.\d{3} +shop", shown.stdout)
        assert re.search(r"away +not run here +0 of 1", shown.stdout)
    assert "Set STARREC_DATA to the folder that holds elsewhere" in result.stdout
    assert "https://example.org/elsewhere" in result.stdout


def test_what_is_done_is_not_done_again(benched):
    folder, _, _ = benched
    before = contents(folder / "out")
    again = done("bench", folder / "small.toml", "--out", folder / "out")
    assert contents(folder / "out") == before
    assert again.stderr.count("done before") == 3 and "teach:" not in again.stderr


def test_a_row_in_use_is_refused(benched):
    folder, _, _ = benched
    lock = lock_folder(folder / "out" / "small" / "shop", "wait")
    try:
        command = ["bench", folder / "small.toml", "--out", folder / "out", "--row", "thinking"]
        refused(starrec(*command), f"in use by process {os.getpid()}", "--row", "--out")
    finally:
        lock.release()


def test_a_row_that_fails_does_not_keep_the_others_from_running(tmp_path):
    suite = write_suite(tmp_path)
    (tmp_path / "my.csv").write_text("user_id,item_id,timestamp\nu,gone,1\n")
    said = starrec("bench", suite, "--out", tmp_path / "out")
    refused(said, "2 of 2 rows of small failed", "Row shop:", "Row thinking:", "'gone'")


ROW = '[[rows]]\nname = "shop"\nconfig = "tiny.toml"\n'
BAD = {
    "no file": (None, ["none.toml", "Give the path of a TOML file"]),
    "no TOML": ("title =", ["is not valid TOML"]),
    "no rows": ('title = "x"\nrows = []', ["`rows`"]),
    "unknown key": (f'{ROW}seed = [1]\n', ["rows.0.seed", "did you mean `seeds`?"]),
    "duplicate row": (ROW + ROW, ["row 'shop'", "two rows of this name"]),
    "name that is a path": (ROW.replace("shop", "../shop"), ["rows.0.name", "../shop"]),
    "missing configuration": (ROW.replace("tiny", "none"), ["row 'shop'", "none.toml", "relative to"]),
    "bad configuration": (ROW.replace("tiny", "bad"), ["row 'shop'", "bad.toml", "`data.draws`"]),
    "unknown override": (f"{ROW}overrides.data.drws = 1\n", ["row 'shop'", "data.drws", "mean `draws`?"]),
    "bad override": (f"{ROW}overrides.data.draws = 0\n", ["row 'shop'", "data.draws", "got 0"]),
    "bad further seeds": (
        f"{ROW}seeds = [1, 2]\nfurther_seeds.evaluation.think_users = 0\n",
        ["row 'shop'", "evaluation.think_users", "got 0"],
    ),
    "further seeds with other tasks": (
        f"{ROW}seeds = [1, 2]\nfurther_seeds.data.draws = 2\n",
        ["row 'shop'", "`further_seeds` changes `data`"],
    ),
    "seed as an override": (f"{ROW}overrides.student.seed = 1\n", ["row 'shop'", "student.seed", "`seeds`"]),
    "seed twice": (f"{ROW}seeds = [1, 1]\n", ["row 'shop'", "[1, 1]"]),
    "no seeds": (f"{ROW}seeds = []\n", ["rows.0.seeds"]),
    "unknown dataset": (f'{ROW}needs = "games"\n', ["row 'shop'", "[datasets.games]"]),
    "adds to nothing": (f'{ROW}adds_to = "shap"\n', ["row 'shop'", "earlier row", "'shap'", "none"]),
    "adds to other tasks": (
        f'{ROW}{ROW.replace("shop", "more")}adds_to = "shop"\noverrides.data.draws = 2\n',
        ["row 'more'", "'shop'", "`data` are others"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_suites_are_refused_before_anything_is_run(tmp_path, case):
    text, parts = BAD[case]
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "bad.toml").write_text("[data]\ndraws = 'x'\n")
    suite = tmp_path / ("none.toml" if text is None else "small.toml")
    if text is not None:
        suite.write_text(text if "title" in text else f'title = "x"\n{text}')
    refused(starrec("bench", suite, "--out", tmp_path / "out"), *parts)
    assert not (tmp_path / "out").exists()


def test_unknown_rows_and_rows_that_cannot_be_run_are_refused(tmp_path, monkeypatch):
    suite = write_suite(tmp_path)
    monkeypatch.setenv("STARREC_DATA", str(tmp_path))
    for more in ([], ["--list"]):
        command = ["bench", suite, "--out", tmp_path / "out", "--row", "shopp", *more]
        refused(starrec(*command), "no row 'shopp'", "Did you mean shop", "shop, thinking, away")
    said = refused(starrec("bench", suite, "--row", "away"), "needs elsewhere", "Set STARREC_DATA")
    assert str(tmp_path / "elsewhere") in said
    assert not (tmp_path / "out").exists() and not Path("runs/bench/small").exists()
