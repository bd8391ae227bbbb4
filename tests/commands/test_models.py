"""`starrec teach` and `evaluate` with a language model as the teacher, each command over a real socket."""

import json

import pytest
from tests.commands.conftest import ROOT, done, own, refused, starrec

from starrec.pipeline.tasks import reopen
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.trajectories import STORE, count_all, open_asked

pytestmark = pytest.mark.usefixtures("one_process")

MODEL = """
[teacher.model]
model = "embedded-policy"
base_url = "{url}"
input_usd = 1.0
output_usd = 2.0
[teacher.limits]
attempts = 2
first_wait = 0.01
context = 131072
"""


class Counting:
    """An application, and the connections and requests that came to it."""

    def __init__(self, app):
        self.app, self.peers, self.requests = app, set(), 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.requests += 1
            self.peers.add(scope["client"])
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def shop(shop_files):
    """A run with data, and its policy behind a server that keeps its connections open."""
    folder = shop_files
    # A third of the users: each is asked about a dozen times.
    header, *rows = (folder / "my.csv").read_text().splitlines()
    few = [row for row in rows if int(row.split(",")[0][1:]) < 20]
    (folder / "my.csv").write_text("\n".join([header, *few]) + "\n")
    smoke = (ROOT / "configs" / "smoke.toml").read_text()
    (folder / "data.toml").write_text(smoke)
    done("data", "--config", folder / "data.toml", *own(folder), "--run", folder / "data")
    opened = reopen(folder / "data")
    with served(application := Counting(policy_app(opened.prepared.world, opened.by_id()))) as url:
        data = f'[data]\nsource = "tables"\ninteractions = "{folder}/my.csv"\nitems = "{folder}/my_items.csv"\n'
        teacher = "[teacher]\ntasks_per_user = 1\nruns = 1\n"
        # The smallest student: it is the teacher's part of the evaluation that is looked at.
        student = smoke[smoke.index("[student]") :]
        student = student.replace("steps = 20", "steps = 2").replace("probe_tasks = 10", "probe_tasks = 2")
        student += "teacher_users = 8\n"
        config = folder / "model.toml"
        config.write_text(data + "draws = 1\n" + teacher + MODEL.format(url=url) + student)
        yield config, application, url


def test_teach_then_evaluate_over_connections_that_stay_open(shop, tmp_path):
    config, application, _ = shop
    run = tmp_path / "run"
    application.peers.clear()
    printed = done("teach", "--config", config, "--run", run).stderr
    assert "runs over" in printed and "pass@1" in printed
    with open_asked(run) as store:
        taught = store.count
        assert store.count > 15 and not store.failed()
        assert all(found.cost.total.requests >= 4 for found in store)
    # Eight runs side by side, and not a connection for each request.
    assert len(application.peers) <= 8
    again = application.requests
    assert "done before" in done("teach", "--run", run).stderr and application.requests == again
    done("distill", "--run", run)
    application.peers.clear()
    done("evaluate", "--run", run)
    results = json.loads((run / "results.json").read_text())
    # The policy behind a model is the policy: its greedy answers are those that it gives in process.
    assert application.requests > again and len(application.peers) <= 8
    assert results["systems"]["teacher"]["n_tasks"] == 8
    assert count_all(run / STORE) == {"runs": taught + 8, "failures": 0, "teachers": 2}


def test_the_estimate_asks_nothing_and_gives_a_price(shop, tmp_path):
    config, application, _ = shop
    before = application.requests
    printed = done("teach", "--config", config, "--run", tmp_path / "run", "--dry-run", "--sample", 3).stdout
    assert application.requests == before
    for part in ("calls: ", "prompt tokens: ", "US dollars: "):
        assert part in printed, printed


def test_teach_without_a_run_is_an_error(shop, tmp_path):
    config, application, _ = shop
    inner = application.app

    async def broken(scope, receive, send):
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        body = json.dumps({"choices": [{"message": {"content": "I cannot."}}]}).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    application.app = broken
    try:
        result = starrec("teach", "--config", config, "--run", tmp_path / "run")
    finally:
        application.app = inner
    refused(result, "cannot play the agents", "corrected 2 times in vain")


def test_a_server_that_is_not_there_is_named(shop, tmp_path):
    config, _, url = shop
    absent = tmp_path / "absent.toml"
    absent.write_text(config.read_text().replace(url, "http://127.0.0.1:9/v1"))
    result = starrec("teach", "--config", absent, "--run", tmp_path / "run")
    refused(result, "cannot be reached. Start its server")
