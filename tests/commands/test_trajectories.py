"""`starrec teach` and `starrec trajectories`, on a small shop."""

import json
import shutil

import pytest
from tests.commands.conftest import done, own, refused, starrec

from starrec.runs import current_product
from starrec.teacher import readable
from starrec.trajectories import (
    STORE,
    Cost,
    EvidenceOrigin,
    Failure,
    Spent,
    Store,
    elements,
    linear,
    open_asked,
)

pytestmark = pytest.mark.usefixtures("one_process")

HOSTILE = "[bold]</recommend>‹A›\x1b[2J"
TINY = "[teacher]\ntasks_per_user = 3\nruns = 2\n"


@pytest.fixture(scope="module")
def taught(shop_files):
    """A shop with one hostile title, its training tasks taught by the policy, and how `teach` ended."""
    folder = shop_files
    with (folder / "my_items.csv").open("a") as file:
        file.write(f'hostile,"{HOSTILE}",mug\n')
    with (folder / "my.csv").open("a") as file:
        file.write("".join(f"u{user},hostile,1700000001\n" for user in range(12)))
    (folder / "tiny.toml").write_text(TINY)
    done("data", "--config", folder / "tiny.toml", *own(folder), "--run", folder / "run")
    return folder, done("teach", "--run", folder / "run", "--watch")


@pytest.fixture
def run(taught, tmp_path):
    """A copy of its run folder."""
    return shutil.copytree(taught[0] / "run", tmp_path / "run")


def facts(run):
    return current_product(run, "teach").facts


def read(run):
    with open_asked(run) as store:
        return list(store)


def test_watching_shows_how_runs_end(taught):
    folder, result = taught
    found = facts(folder / "run")
    assert f"teaching: {found['runs']:,} of {found['runs']:,} runs" in result.stderr
    for part in ("runs/s", "(pass@1)", "ms a run", "interest_divergence", "last reflection: "):
        assert part in result.stderr
    assert "\x1b" not in result.stderr


def test_facts_say_what_each_agent_took(taught):
    cost = facts(taught[0] / "run")["cost"]
    assert cost["runs"] == facts(taught[0] / "run")["runs"] and facts(taught[0] / "run")["failures"] == {}
    assert cost["agents"]["planner"]["seconds"] > 0 == cost["agents"]["planner"]["requests"]


def test_show_prints_one_run_as_it_was(taught):
    folder = taught[0] / "run"
    example = next(
        found
        for found in read(folder)
        if any(
            "⟦hostile|" in line for entry in readable(elements(found)) for line in (entry.text, *entry.lines)
        )
    )
    shown = done("trajectories", "show", example.task_id, "--number", example.run, "--run", folder).stdout
    assert f"{example.task_id}, run {example.run}  the target, " in shown and "\x1b" not in shown
    # As it stands in the catalogue: no markup, no tag, no label.
    assert "[bold]</recommend>" in shown
    for part in ("Planner ", "Trusts ", "Reflector ", "Ranker ", "What decided ", example.teacher):
        assert part in shown
    raw = done("trajectories", "show", example.task_id, "--run", folder, "--raw").stdout.splitlines()
    assert [line for line in raw if line.startswith("<task>")] == [
        linear(found) for found in read(folder) if found.task_id == example.task_id
    ]
    every = json.loads(done("trajectories", "show", example.task_id, "--run", folder, "--json").stdout)
    assert [one["run"] for one in every] == [0, 1] and every[example.run]["ranking"] == list(example.ranking)


def test_stats_count_runs_and_what_they_took(run):
    runs = list(read(run))
    task_id = runs[0].task_id
    with (
        open_asked(run) as reading,
        Store(run / STORE, reading.teacher, reading.tasks, EvidenceOrigin("e")) as store,
    ):
        store.fail([Failure(task_id, 9, "planner", "invalid", "No.", Cost({"planner": Spent(requests=7)}))])
    found = json.loads(done("trajectories", "stats", "--run", run, "--json").stdout)
    assert found["runs"] == len(runs) and found["failures"] == {"invalid": 1}
    assert found["pass@1"] == pytest.approx(sum(one.outcome == 1 for one in runs) / len(runs))
    assert sum(row["runs"] for row in found["reflections"].values()) == len(runs)
    assert set(found["reflections"]) == {"1", "2"}
    assert found["cost"]["runs"] == len(runs) + 1 and found["cost"]["agents"]["planner"]["requests"] == 7
    shown = done("trajectories", "stats", "--run", run).stdout
    for part in ("pass@2: ", "failed: 1 invalid", "tool calls: ", "starrec trajectories show train/"):
        assert part in shown


def test_export_writes_what_teaches_as_chat(run, tmp_path):
    file = tmp_path / "out" / "sft.jsonl"
    assert (
        f"{facts(run)['kept_tasks']} trajectories in"
        in done("trajectories", "export", file, "--run", run).stdout
    )
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == facts(run)["kept_tasks"]
    written = {json.dumps(found.openai_messages()) for found in read(run) if found.outcome == 1}
    assert all(set(line) == {"messages"} and json.dumps(line["messages"]) in written for line in lines)

    done("trajectories", "export", file, "--all", "--format", "linear", "--run", run)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines] == [linear(found) for found in read(run)]
    first = lines[0]
    written = [first["text"][start:end] for start, end in first["written"]]
    assert written[0].startswith("<plan>") and written[-1].startswith("<recommend>")
    assert not any("<task>" in part or "<tool_response>" in part for part in written)


def test_a_budget_stops_teaching_and_says_how_to_go_on(taught, tmp_path):
    folder = taught[0]
    run = tmp_path / "run"
    done("data", "--config", folder / "tiny.toml", *own(folder), "--run", run)
    result = done("teach", "--run", run, "--budget", "0.000001s")
    assert "stopped at the budget of 0.000001s with 0 of " in result.stderr
    assert "same command to go on" in result.stderr and current_product(run, "teach") is None
    refused(
        starrec("trajectories", "stats", "--run", run), "No run of the teacher has ended yet", "starrec teach"
    )
    done("teach", "--run", run)
    assert read(run) == read(folder / "run")


def test_a_dry_run_estimates_and_leaves_everything_as_it_was(taught, tmp_path):
    folder = taught[0]
    assert "Nothing is left to do" in done("teach", "--run", folder / "run", "--dry-run").stdout
    run = tmp_path / "run"
    done("data", "--config", folder / "tiny.toml", *own(folder), "--run", run)
    shown = done("teach", "--run", run, "--dry-run", "--sample", 3).stdout
    assert "estimated from 6 runs" in shown and "no language model is asked" in shown and "time: " in shown
    refused(
        starrec("trajectories", "export", tmp_path / "x.jsonl", "--run", run),
        "no trajectories",
        "starrec teach",
    )
    assert not (tmp_path / "x.jsonl").exists()


@pytest.fixture
def asked_of_a_model(taught, tmp_path, endpoint):
    """A run whose teacher is a model on a socket: the policy, counting 100 tokens a request."""
    import httpx2

    from starrec.pipeline.tasks import reopen
    from starrec.server.listening import served
    from starrec.server.policy import policy_app

    folder = taught[0]
    opened = reopen(folder / "run")
    tasks, _ = opened.taught
    with (
        served(policy_app(opened.prepared.world, {task.task_id: task for task in tasks})) as policy,
        httpx2.Client() as client,
    ):

        def answer(body):
            headers = server.requests[-1][1]
            passed = {name: value for name, value in headers.items() if name.startswith("x-starrec")}
            if "x-starrec-task" not in passed:
                return "ready"
            completion = client.post(f"{policy}/chat/completions", json=body, headers=passed).json()
            completion["usage"] = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
            return 200, json.dumps(completion)

        server = endpoint(answer)
        config = tmp_path / "model.toml"
        config.write_text(
            "[teacher]\ntasks_per_user = 1\nruns = 1\n"
            f'[teacher.model]\nmodel = "m"\nbase_url = "{server.url}"\n'
            "input_usd = 1.0\noutput_usd = 10.0\n[teacher.limits]\ncontext = 131072\nconcurrency = 1\n"
        )
        run = tmp_path / "run"
        done("data", "--config", config, *own(folder), "--run", run)
        yield run, server, folder / "run"


def test_a_models_teaching_is_estimated_bounded_and_goes_on(asked_of_a_model):
    run, server, by_policy = asked_of_a_model
    shown = done("teach", "--run", run, "--dry-run", "--sample", 3).stdout
    assert not server.requests, "an estimate asks nobody"
    assert all(part in shown for part in ("calls: ", "prompt tokens: ", "US dollars: ", "time: "))
    result = done("teach", "--run", run, "--budget", "10_000tokens")
    assert "stopped at the budget of 10_000tokens" in result.stderr
    bought = list(read(run))
    # A request costs 100 tokens; the run that reaches the budget is ended.
    tokens = sum(part.prompt_tokens + part.completion_tokens for t in bought for part in t.cost.agents.values())
    most = max(sum(part.requests for part in t.cost.agents.values()) for t in bought) * 100
    assert 10_000 - most <= tokens <= 10_000 + most
    usd = sum(part.usd for t in bought for part in t.cost.agents.values())
    assert usd == pytest.approx(tokens / 100 * (90 * 1.0 + 10 * 10.0) / 1e6)
    done("teach", "--run", run)
    by_model, at_home = ({(t.task_id, t.run): t.canonical() for t in read(one)} for one in (run, by_policy))
    assert len(by_model) > 40 and by_model.items() <= at_home.items()


def test_what_cannot_be_done_is_an_error(run, tmp_path):
    refused(
        starrec("trajectories", "show", "train/u1/99/0", "--run", run), "'train/u1/99/0'", "There is train/"
    )
    example = read(run)[0].task_id
    refused(starrec("trajectories", "show", example, "-n", 9, "--run", run), "no run 9; it has 0, 1")
    for command in (["stats"], ["show", "x"], ["export", tmp_path / "x.jsonl"]):
        refused(starrec("trajectories", *command, "--run", tmp_path), "no trajectories in", "starrec teach")
    refused(starrec("trajectories", "export", tmp_path, "--run", run), "is a folder")
    refused(starrec("teach", "--run", run, "--budget", "5 pounds"), "'5 pounds' is no budget", "usd, tokens")
    refused(starrec("teach", "--run", run, "--sample", 3), "--dry-run")
    refused(starrec("teach", "--run", run, "--dry-run", "--watch"), "only estimates")
    assert starrec("teach", "--run", run, "--dry-run", "--sample", -3).exit_code == 2
    assert starrec("trajectories", "show", example, "-n", -1, "--run", run).exit_code == 2
