"""The command line, end to end: a small shop through the whole pipeline, what bad input says, and what a kill
costs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file, save_file
from tests.commands.conftest import ROOT, TINY, own, refused, starrec, write_shop

from starrec.config import dump_toml, load_toml
from starrec.data import load_saved_dataset
from starrec.errors import StarrecError
from starrec.evaluation import SYSTEMS
from starrec.pipeline import RunConfig
from starrec.runs import current_product, products
from starrec.trajectories import open_asked, parse

COMMANDS = [
    "run",
    "data",
    "signals",
    "teach",
    "trajectories",
    "distill",
    "evaluate",
    "recommend",
    "similar",
    "recommend-all",
    "refresh",
    "export",
    "serve",
    "keys",
    "events",
    "runs",
    "bench",
    "report",
]
pytestmark = pytest.mark.usefixtures("one_process")

HOSTILE = "[bold]</recommend>‹A›\x1b[2J"


def start(*arguments):
    """Start a command in a process group of its own."""
    command = [sys.executable, "-c", "from starrec.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name not in (".lock", ".holder", "log.jsonl")
        and path.suffix not in (".sqlite-shm", ".sqlite-wal")
    }


def read(run):
    """The trajectories over the tasks that were asked last."""
    with open_asked(run) as store:
        return list(store)


def star(run):
    return current_product(run, "distill").path("star", "model.safetensors")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a small shop's files, which is also where commands run."""
    write_shop(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run over the shop, with a person who took one thing and a title that tries everything."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    with (folder / "my_items.csv").open("a") as file:
        file.write(f'hostile,"{HOSTILE}",mug\n')
    with (folder / "my.csv").open("a") as file:
        file.write("once,i0,1700000000\nu0,hostile,1700009999\nu3,hostile,1700009999\n")
    (folder / "tiny.toml").write_text(TINY)
    result = starrec("run", "--config", folder / "tiny.toml", *own(folder), "--run", folder / "runs" / "mine")
    assert result.exit_code == 0, result.output
    return folder, result


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command):
    result = starrec(command, "--help")
    assert result.exit_code == 0 and f"starrec {command} " in result.output.split("Examples:")[1]


def test_help_waits_for_no_library():
    program = (
        "import sys, starrec.cli as c\n"
        "try: c.app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'polars', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_the_demos_configuration_is_the_default_with_every_key_explained():
    text = (ROOT / "configs" / "demo.toml").read_text(encoding="utf-8")
    assert text.partition("\n\n")[2] == dump_toml(RunConfig()), "write it anew with `make configs`"
    load_toml(ROOT / "configs" / "smoke.toml", RunConfig)


# The whole pipeline


def test_a_run_ends_with_table_comparison_example_and_next_steps(finished):
    folder, result = finished
    out = result.stdout
    for part in ("avg_hr", "star over teacher: x", "(teacher: embedded policy, no learned weights)"):
        assert part in out
    for part in (
        "← true item",
        "What to do next",
        "starrec recommend --run",
        "starrec serve --run",
        "report.html",
    ):
        assert out.index(part) > out.index("star over teacher")
    assert "teach:" in result.stderr and "teach:" not in out
    run = folder / "runs" / "mine"
    for name in ("config.toml", "log.jsonl", "results.json", "report.html", "results/ranks.parquet"):
        assert (run / name).is_file()
    assert not list(run.rglob(".tmp-*"))


def test_a_person_with_one_interaction_is_never_a_task(finished):
    folder, _ = finished
    dataset = json.loads(current_product(folder / "runs" / "mine", "data").path("dataset.json").read_text())
    assert dataset["name"] == "my"
    tasks = {run.task_id.split("/")[1] for run in read(folder / "runs" / "mine")}
    assert len(tasks) == 60 and "once" not in tasks
    results = json.loads((folder / "runs" / "mine" / "results.json").read_text())
    assert results["systems"]["star"]["n_users"] == 60


def test_latency_is_of_what_was_timed_and_no_tool_alone(finished):
    folder, _ = finished
    latency = json.loads((folder / "runs" / "mine" / "results.json").read_text())["latency_ms"]
    # All ten signals of a task are gathered at once: that time has a name of its own.
    assert set(latency) == {"star", "star_sft", "star_think", "teacher", "evidence", "ease_decayed"}
    assert all(0 < timed["p50"] <= timed["p95"] <= timed["p99"] for timed in latency.values())


def test_a_second_run_does_nothing_again(finished):
    folder, _ = finished
    run = folder / "runs" / "mine"
    before = contents(run)
    result = starrec("run", "--config", folder / "tiny.toml", *own(folder), "--run", run)
    assert result.exit_code == 0
    assert contents(run) == before
    assert "star over teacher: x" in result.stdout and "done before" in result.stderr


def test_each_step_finds_the_configuration_in_the_run_folder(finished):
    folder, _ = finished
    run = folder / "runs" / "mine"
    before = contents(run)
    for command in ("data", "signals", "teach", "distill", "evaluate"):
        assert starrec(command, "--run", run).exit_code == 0
    assert contents(run) == before
    assert re.search(r"\d+% of the \d+ people who took", starrec("signals", "--run", run).stdout)


def test_recompute_gives_the_same_numbers(finished, tmp_path):
    folder, _ = finished
    run = shutil.copytree(folder / "runs" / "mine", tmp_path / "copy")
    results = json.loads((run / "results.json").read_text())
    broken = {**results, "systems": {}}
    (run / "results.json").write_text(json.dumps(broken))
    again = starrec("evaluate", "--run", run, "--recompute")
    assert again.exit_code == 0 and "star over teacher" in again.stdout
    assert json.loads((run / "results.json").read_text()) == results
    refused(starrec("evaluate", "--run", run, "--recompute", "--update-data"), "--recompute", "--update-data")


# Recommending


def test_recommend_gives_rows_with_reasons(finished):
    folder, _ = finished
    run = folder / "runs" / "mine"
    shown = starrec("recommend", "--run", run, "--history", "blue MUG", "--history", "Red lamp", "--top", 3)
    assert shown.exit_code == 0 and "After Blue mug, Red lamp" in shown.stdout
    thought = starrec(
        *("recommend", "--run", run, "--history", "blue MUG", "--history", "Red lamp", "--top", 30),
        *("--json", "--think"),
    )
    answer = json.loads(thought.stdout)
    assert answer["history"] == ["Blue mug", "Red lamp"]
    rows = answer["recommendations"]
    assert [row["rank"] for row in rows] == list(range(1, 31))
    titles = [row["title"] for row in rows]
    assert len(set(titles)) == 30 and not set(titles) & {"Blue mug", "Red lamp"}
    assert all(re.search(r"\d", row["reason"]["counts"]) for row in rows if row["reason"])
    assert any(row["reason"] for row in rows) and answer["system"] in ("star", "teacher", *SYSTEMS)
    assert answer["trace"][0]["kind"] == "plan" and answer["trace"][-1]["kind"] == "recommend"
    assert [answer["readable"][at]["who"] for at in (0, 1, -2, -1)] == [
        "Task",
        "Planner",
        "Ranker",
        "What decided",
    ]
    assert f"First place: {titles[0]}" in answer["readable"][-1]["text"]


def test_recommend_thinks_aloud_for_people_or_as_it_learned(finished):
    folder, _ = finished
    asked = ["recommend", "--run", folder / "runs" / "mine", "--history", "bold recommend A", "--top", 2]
    shown = starrec(*asked, "--think")
    assert shown.exit_code == 0 and "\x1b" not in shown.stdout
    assert "History: [bold]</recommend>‹A›" in shown.stdout and "What decided" in shown.stdout
    raw = starrec(*asked, "--think", "--raw")
    assert raw.exit_code == 0
    [line] = [line for line in raw.stdout.splitlines() if line.startswith("<task>")]
    assert len(parse(line).ranking) == 20
    refused(starrec(*asked, "--raw"), "--raw", "--think")


def test_a_known_user_and_own_candidates_and_filters(finished, tmp_path):
    folder, _ = finished
    run = folder / "runs" / "mine"
    ids = load_saved_dataset(current_product(run, "data").folder)
    user = ids.user_ids[0]
    shown = starrec("recommend", "--run", run, "--user", user, "--top", 2)
    assert shown.exit_code == 0 and f"User {user}, after" in shown.stdout
    (tmp_path / "shelf.txt").write_text("\ufeff" + "\n".join([*ids.item_ids[4:8], "", "Blue mug"]))
    ranked = starrec(
        *("recommend", "--run", run, "--history", "Red lamp", "--candidates", tmp_path / "shelf.txt", "--json")
    )
    rows = json.loads(ranked.stdout)["recommendations"]
    blue = ids.item_ids[ids.titles.index("Blue mug")]
    assert {row["item_id"] for row in rows} == {*ids.item_ids[4:8], blue}
    refused(
        starrec("recommend", "--run", run, "--user", user, "--candidates", tmp_path / "none.txt"), "none.txt"
    )
    kind = ids.items["categories"].to_list()[4][0]
    asked = ["recommend", "--run", run, "--history", "Red lamp", "--json", "--top", 30]
    everything = json.loads(starrec(*asked).stdout)["recommendations"]
    some = json.loads(starrec(*asked, "--where", f"categories={kind}").stdout)["recommendations"]
    of_kind = {
        item
        for item, kinds in zip(ids.item_ids, ids.items["categories"].to_list(), strict=True)
        if kind in kinds
    }
    assert some and {row["item_id"] for row in some} <= of_kind
    without = json.loads(starrec(*asked, "--exclude", everything[0]["title"]).stdout)["recommendations"]
    assert everything[0]["item_id"] not in {row["item_id"] for row in without}
    refused(starrec(*asked, "--where", "categories"), "KEY=VALUE")
    refused(starrec(*asked, "--where", "year=soon"), "FIRST..LAST")


def test_updates_are_served(finished, tmp_path):
    """Two hundred people who took the same two things change what is recommended, and are known."""
    folder, _ = finished
    run = shutil.copytree(folder / "runs" / "mine", tmp_path / "mine")
    data = load_saved_dataset(current_product(run, "data").folder)
    first, then = "i3", "i47"
    title = data.titles[data.item_ids.index(first)]
    asked = ["recommend", "--run", run, "--history", title, "--system", "item_cf", "--json", "--top", 50]
    before = json.loads(starrec(*asked).stdout)["recommendations"]
    rows = [f"new{n},{item},{1_800_000_000 + n}" for n in range(200) for item in (first, then)]
    (tmp_path / "new.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    done = starrec("signals", "update", "--run", run, "--interactions", tmp_path / "new.csv")
    assert done.exit_code == 0 and "200 new users" in done.output
    after = json.loads(starrec(*asked).stdout)["recommendations"]
    assert after[0]["item_id"] == then != before[0]["item_id"]
    assert "the 2" in after[0]["reason"]["counts"]  # of 200 people and more
    known = json.loads(starrec("recommend", "--run", run, "--user", "new7", "--json").stdout)
    assert known["history"] == [data.titles[data.item_ids.index(item)] for item in (first, then)]


def test_similar_items_and_all_users(finished, tmp_path):
    folder, _ = finished
    run = folder / "runs" / "mine"
    shown = starrec("similar", "blue mug", "--run", run, "--top", 4)
    assert shown.exit_code == 0 and "After Blue mug" in shown.stdout
    out = tmp_path / "recs.parquet"
    done = starrec("recommend-all", "--run", run, "--top", 3, "--out", out)
    table = pl.read_parquet(out)
    users = load_saved_dataset(current_product(run, "data").folder).n_users
    assert done.exit_code == 0 and f"{3 * users:,} recommendations for {users:,} users" in done.stdout
    assert table.columns == ["user_id", "rank", "item_id", "title", "score"] and table.height == 3 * users


def test_titles_are_shown_as_they_are(finished):
    folder, _ = finished
    history = ["--history", "bold recommend A"]
    shown = starrec("recommend", "--run", folder / "runs" / "mine", *history, "--top", 1)
    assert shown.exit_code == 0 and "[bold]</recommend>‹A›" in shown.stdout and "\x1b" not in shown.stdout


def test_unknown_titles_get_suggestions(finished):
    folder, _ = finished
    run = folder / "runs" / "mine"
    refused(starrec("recommend", "--run", run, "--history", "mug"), "'mug'", "Blue mug")
    refused(starrec("recommend", "--run", folder / "none", "--history", "Blue mug"), "none", "starrec run")
    nothing = starrec("recommend", "--run", run)
    assert nothing.exit_code == 0 and "by popularity" in nothing.stdout
    refused(starrec("recommend", "--run", run, "--user", "nobody"), "'nobody'")
    assert starrec("recommend", "--run", run, "--history", "Blue mug", "--top", 0).exit_code == 2
    refused(starrec("recommend", "--run", run, "--history", "Blue mug", "--top", 201), "1 to 200")


# Bad input


def lines_of(name, change):
    def apply(folder):
        path = folder / name
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))

    return apply


BAD_DATA = {
    "missing file": (lambda folder: (folder / "my.csv").unlink(), ["There is no file", "my.csv"]),
    "one column": (
        lines_of("my.csv", lambda lines: [line.replace(",", " ") for line in lines]),
        ["only one column", "It needs a header that names its columns"],
    ),
    "missing column": (
        lines_of("my.csv", lambda lines: [lines[0].replace("user_id", "userid"), *lines[1:]]),
        ["no column 'user_id'", "--column interactions.user_id=userid"],
    ),
    "time that is no number": (
        lines_of("my.csv", lambda lines: [*lines[:2], "u0,i1,yesterday\n", *lines[2:]]),
        ["my.csv, line 3, column 'timestamp'", "'yesterday' is not a number", "--skip-bad-rows"],
    ),
    "empty file": (lines_of("my.csv", lambda lines: []), ["my.csv is empty"]),
    "header alone": (
        lines_of("my.csv", lambda lines: lines[:1]),
        ["my.csv", "has no interactions under the header"],
    ),
    "item without title": (
        lines_of("my_items.csv", lambda lines: [*lines, "i60,,mug\n"]),
        ["my_items.csv, line 62, column 'title'", "there is no title"],
    ),
    "fewer than 20 items": (
        lambda folder: [
            lines_of("my_items.csv", lambda lines: lines[:20])(folder),
            lines_of("my.csv", lambda lines: ["user_id,item_id,timestamp\n", "u,i1,1\n"])(folder),
        ],
        ["19 usable items", "20"],
    ),
    "nobody to test": (
        lines_of("my.csv", lambda lines: ["user_id,item_id,timestamp\n", "u,i1,1\n", "v,i2,1\n"]),
        ["3 or more interactions"],
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_refused_and_leave_nothing(shop, case):
    change, parts = BAD_DATA[case]
    change(shop)
    before = contents(shop)
    result = starrec("run", "--config", "tiny.toml", "--interactions", "my.csv", "--items", "my_items.csv")
    refused(result, *parts)
    if case != "nobody to test":
        assert contents(shop) == before and not (shop / "runs").exists()


def test_mended_data_are_not_refused_for_having_been_wrong(shop):
    path = shop / "my.csv"
    path.write_text(path.read_text().replace("timestamp", "when", 1).replace("u0,i", "u0,gone-i", 1))
    command = ["data", "--interactions", "my.csv", "--items", "my_items.csv"]
    refused(starrec(*command), "timestamp")
    command += ["--column", "timestamp=when"]
    refused(starrec(*command), "'gone-i", "is not among the items")
    result = starrec(*command, "--skip-bad-rows")
    assert result.exit_code == 0 and "1 bad row" in result.output
    recorded = tomllib.loads((shop / "runs" / "my" / "config.toml").read_text())["data"]
    assert recorded["columns"]["timestamp"] == "when" and recorded["skip_bad_rows"] is True


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--interactions", "my.csv"], ["--interactions needs --items"]),
        (["--items", "my_items.csv"], ["--items needs --interactions"]),
        ([*own(Path()), "--local", "x"], ["--local", "--interactions"]),
        ([*own(Path()), "--column", "title"], ["NAME=COLUMN"]),
        ([*own(Path()), "--column", "titel=name"], ["Did you mean title?"]),
        ([*own(Path()), "--delimiter", ";;"], ["only one column", "';;'", "--delimiter ','"]),
        (["--config", "none.toml"], ["none.toml"]),
    ],
)
def test_flags_that_cannot_be_meant(shop, arguments, parts):
    refused(starrec("run", *arguments), *parts)
    assert not (shop / "runs").exists()


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[student.grpo]\nstep = 3\n", ["`student.grpo.step`", "did you mean `steps`?"]),
        ("[student.grpo]\nsteps = 0\n", ["`student.grpo.steps`", "0"]),
        ("[student\n", ["not valid TOML"]),
    ],
)
def test_a_configuration_that_cannot_be_meant(shop, toml, parts):
    (shop / "bad.toml").write_text(toml)
    refused(starrec("run", "--config", "bad.toml"), "bad.toml", *parts)
    assert not (shop / "runs").exists()


# Runs


def test_any_setting_may_change_and_only_what_depends_on_it_is_made_anew(finished, tmp_path):
    run = shutil.copytree(finished[0] / "runs" / "mine", tmp_path / "mine")
    before = {product.folder for product, _ in products(run)}
    weights = star(run).read_bytes()
    config = run / "config.toml"
    for command, change, unchanged in (
        ("run", ("concurrency = 8", "concurrency = 3"), ("teach", "distill", "evaluate")),
        ("evaluate", ("think_users = 1", "think_users = 2"), ("teach", "distill")),
        ("distill", ("steps = 8\n", "steps = 4\n"), ("teach", "evaluate")),
    ):
        assert change[0] in config.read_text()
        (tmp_path / "other.toml").write_text(config.read_text().replace(*change))
        used = {step: current_product(run, step).fingerprint for step in unchanged}
        result = starrec(command, "--config", tmp_path / "other.toml", "--run", run)
        assert result.exit_code == 0, result.output
        assert {step: current_product(run, step).fingerprint for step in unchanged} == used
        assert all(folder.is_dir() for folder in before)
    assert star(run).read_bytes() != weights
    assert len(products(run)) == len(before) + 2
    # And back: everything is there.
    assert starrec("run", "--config", finished[0] / "tiny.toml", *own(finished[0]), "--run", run).exit_code == 0
    assert star(run).read_bytes() == weights

    shown = json.loads(starrec("runs", "show", "--run", run, "--json").stdout)
    assert len(shown["products"]) == len(before) + 2 and shown["trajectories"]["teachers"] == 1
    differing = {key for row in shown["products"] for key in row["differs"]}
    assert {"student.sft.steps", "student.grpo.steps", "evaluation.think_users"} <= differing
    assert "older" in starrec("runs", "show", "--run", run).stdout
    listed = json.loads(starrec("runs", "list", tmp_path, "--json").stdout)
    done = ["data", "evidence", "teach", "distill", "controls", "evaluate"]
    assert listed[0]["done"] == done and listed[0]["bytes"] > 1000
    assert starrec("runs", "clean", "--run", run, input="n\n").exit_code == 1
    assert len(products(run)) == len(before) + 2
    taught = len(read(run))
    cleaned = starrec("runs", "clean", "--run", run, "--yes")
    assert cleaned.exit_code == 0 and cleaned.stdout.count("distill/") == 1
    assert {product.folder for product, _ in products(run)} == before and len(read(run)) == taught
    assert "nothing that its last call did not" in starrec("runs", "clean", "--run", run).stdout
    assert starrec("runs", "clean", "--run", run, "--everything", "--yes").exit_code == 0 and not run.exists()
    refused(starrec("runs", "list", tmp_path / "none"), "no run in")


def test_a_run_answers_without_its_files_and_from_another_folder(shop, monkeypatch):
    assert starrec("data", *own(Path()), "--run", "runs/mine").exit_code == 0
    (shop / "elsewhere").mkdir()
    monkeypatch.chdir(shop / "elsewhere")
    again = starrec("signals", "--run", "../runs/mine")
    assert again.exit_code == 0 and "done before" in again.stderr and "not there" not in again.stderr
    moved = shop / "elsewhere" / "my.csv"
    (shop / "my.csv").rename(moved)
    again = starrec("teach", "--run", "../runs/mine", "--dry-run", "--sample", 2)
    assert again.exit_code == 0 and "my.csv is not there (any more); the run's own copy answers" in again.stderr
    # The same content under another name is the same data.
    named = starrec("data", "--interactions", moved, "--items", "../my_items.csv", "--run", "../runs/mine")
    assert named.exit_code == 0 and "done before" in named.stderr
    assert len(products(shop / "runs" / "mine")) == 1
    refused(starrec("data", *own(shop / "none"), "--run", "../runs/mine", "--delimiter", ";"), "no file")


def test_an_edited_file_is_reported_and_taken_in_when_asked_for(shop):
    run = shop / "runs" / "mine"
    assert starrec("data", "--config", "tiny.toml", *own(shop), "--run", run).exit_code == 0
    assert starrec("teach", "--run", run).exit_code == 0
    before = {(t.task_id, t.run): t for t in read(run)}
    with (shop / "my.csv").open("a") as file:
        file.writelines(f"u{user},n{user % 5},1790000000\n" for user in range(45))
    with (shop / "my_items.csv").open("a") as file:
        file.writelines(f"n{item},New {item},mug\n" for item in range(5))
    again = starrec("teach", "--run", run)
    assert "my.csv differs from what this run read" in again.stderr and "--update-data" in again.stderr
    assert "(done before)" in again.stderr and len(products(run)) == 2

    taken = starrec("teach", "--run", run, "--update-data")
    assert taken.exit_code == 0 and "961 interactions" in taken.stderr
    tasks = len({task_id for task_id, _ in before})
    known = rf"teach: {tasks} of \d+ tasks are answered already \({len(before):,} runs stored\)"
    assert re.search(known, taken.stderr)
    after = {(t.task_id, t.run): t for t in read(run)}
    assert before.items() <= after.items() and len(after) > len(before)
    assert starrec("data", "--run", run).exit_code == 0
    assert len(products(run)) == 4 and "done before" in starrec("teach", "--run", run).stderr
    # Settings of the reading changed too: what would be read is not what is known.
    with (shop / "my.csv").open("a") as file:
        file.write("u0,i1,1790000001\n")
    refused(starrec("data", "--run", run, *own(shop), "--delimiter", ";"), "was edited", "--update-data")


def test_nobody_to_teach_is_an_error_before_anything_is_stored(shop):
    header, *lines = (shop / "my.csv").read_text().splitlines()
    few = [line for user in range(60) for line in [x for x in lines if x.startswith(f"u{user},")][:5]]
    (shop / "five.csv").write_text("\n".join([header, *few]) + "\n")
    command = ["--interactions", "five.csv", "--items", "my_items.csv", "--run", "runs/five"]
    assert starrec("data", *command).exit_code == 0
    recorded = (shop / "runs" / "five" / "config.toml").read_text()
    (shop / "three.toml").write_text(recorded.replace("min_history = 1", "min_history = 3"))
    teach = ["teach", "--config", "three.toml", "--run", "runs/five"]
    refused(starrec(*teach), "nobody to teach", "min_history = 2", "6 interactions")
    assert not (shop / "runs" / "five" / "trajectories.sqlite").exists()
    (shop / "two.toml").write_text(recorded.replace("min_history = 1", "min_history = 2"))
    taught = starrec("teach", "--config", "two.toml", "--run", "runs/five")
    assert taught.exit_code == 0 and "240 runs over 60 tasks" in taught.stderr, taught.output


def test_a_strangers_folder_is_left_alone(shop):
    (shop / "thesis").mkdir()
    (shop / "thesis" / "thesis.tex").write_text("precious")
    refused(starrec("data", *own(shop), "--run", "thesis"), "not a run folder")
    assert [path.name for path in (shop / "thesis").iterdir()] == ["thesis.tex"]


def test_a_corrupt_checkpoint_or_student_is_named(finished, tmp_path):
    folder, _ = finished
    run = shutil.copytree(folder / "runs" / "mine", tmp_path / "mine")
    product = current_product(run, "distill")
    model = star(run)
    model.write_bytes(model.read_bytes()[:1000])
    asked = ["recommend", "--run", run, "--history", "Blue mug", "--think"]
    refused(starrec(*asked), "star", "starrec distill")
    shutil.copy(star(folder / "runs" / "mine"), model)
    rows = model.parent / "rows.safetensors"
    # As of a release whose student reads fewer numbers of a candidate.
    weights = load_file(rows)
    fewer = {name: weights[name][..., :-4].contiguous() for name in ("enter.weight", "mean", "scale")}
    save_file(weights | fewer, rows)
    refused(starrec(*asked), "cannot be loaded", "starrec distill")
    rows.unlink()
    refused(
        starrec(*asked),
        "lacks its rows.safetensors",
        "starrec distill",
    )

    product.path("product.json").unlink()
    checkpoint = product.path("sft.checkpoint")
    checkpoint.write_bytes(b"half a checkpoint")
    before = contents(run)
    refused(starrec("distill", "--run", run), "sft.checkpoint", "corrupt", "Delete it")
    assert contents(run) == before
    checkpoint.unlink()
    assert starrec("distill", "--run", run).exit_code == 0
    assert model.read_bytes() == star(folder / "runs" / "mine").read_bytes()


# What an interruption costs


def wait_for(process, condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_group(process, signal_):
    os.killpg(process.pid, signal_)
    return process.communicate(timeout=60)[0]


def test_killed_in_teach_and_in_distill_it_ends_as_if_it_had_not_been(finished, tmp_path):
    folder, _ = finished
    undisturbed, run = folder / "runs" / "mine", tmp_path / "mine"
    assert starrec("data", "--config", folder / "tiny.toml", *own(folder), "--run", run).exit_code == 0
    taught = read(undisturbed)

    def stored():
        try:
            return len(read(run))
        except StarrecError:
            return 0

    for signal_, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        before = stored()
        stopped = start("teach", "--run", run)
        wait_for(stopped, lambda before=before: stored() > before)
        printed = kill_group(stopped, signal_)
        assert stopped.returncode == code, printed
        assert len(read(run)) < len(taught)
    assert "run the same command" in printed and "Traceback" not in printed

    stopped = start("distill", "--run", run)
    wait_for(stopped, lambda: list(run.glob("distill/*/sft")))
    kill_group(stopped, signal.SIGKILL)
    assert not list(run.glob("distill/*/star"))

    ended = start("distill", "--run", run)
    output = ended.communicate(timeout=300)[0]
    assert ended.returncode == 0, output
    assert read(run) == taught
    assert star(run).read_bytes() == star(undisturbed).read_bytes()
    assert not list(run.rglob(".tmp-*"))
