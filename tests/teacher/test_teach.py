"""Teaching: every run accounted for, once, whatever fails, stops or is killed."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from starrec.data import RankingTask
from starrec.engines import Workers, open_engine
from starrec.errors import ConfigError, RunError
from starrec.teacher import (
    AgentError,
    Budget,
    EmbeddedPolicy,
    Spending,
    TeacherConfig,
    estimate,
    missing,
    teach,
    teach_with,
)
from starrec.trajectories import (
    Cost,
    EvidenceOrigin,
    Failure,
    Spent,
    Store,
    Teacher,
    Trajectory,
    target_columns,
)

RUNS = 3


@pytest.fixture(scope="module")
def asked(lessons):
    """Some tasks, and where their targets stand."""
    tasks, targets, _ = lessons
    return tasks[:12], target_columns(tasks[:12], targets)


@pytest.fixture(scope="module")
def undisturbed(world, asked, tmp_path_factory):
    """What the embedded policy gives, by task and run."""
    tasks, columns = asked
    folder = tmp_path_factory.mktemp("undisturbed")
    with store_in(folder, tasks) as store, Workers(world, 1) as workers:
        told = list(teach(workers, missing(tasks, RUNS, store), columns, store, 0))
    assert sum(map(len, told)) == len(tasks) * RUNS
    return by_key(read(folder, tasks))


def store_in(folder, tasks):
    """The store that tests teach into, keyed as they like."""
    keys = {task.task_id: task.task_id for task in tasks}
    return Store(folder / "runs.sqlite", Teacher("policy"), keys, EvidenceOrigin("counts"))


def read(folder, tasks):
    with store_in(folder, tasks) as store:
        return list(store)


def by_key(runs):
    found = [((run.task_id, run.run), run) for run in runs]
    assert len(found) == len(dict(found)), "a run is stored twice"
    return dict(found)


class Unsteady(EmbeddedPolicy):
    """The policy, with a model's manners: it lets others go first, and in some runs it gives no answer."""

    def __init__(self, reasons=None):
        super().__init__(0)
        self.reasons = reasons or {}
        self.at_once = self.most = self.begun = 0

    async def plan(self, brief):
        self.begun += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.001 * (brief.run + 1))
        self.at_once -= 1
        brief.meter.add("planner", Spent(requests=1, prompt_tokens=100, completion_tokens=10, usd=0.5))
        if reason := self.reasons.get((brief.task.task_id, brief.run)):
            raise AgentError(f"No plan ({reason}).", "planner", reason)
        return await super().plan(brief)


def run_unsteady(agents, world, asked, folder, *, retry=False, budget=None, concurrency=5):
    tasks, columns = asked
    spending = Spending(Budget.parse(budget) if budget else None)
    with store_in(folder, tasks) as store:
        work = missing(tasks, RUNS, store, retry=retry)
        told = [
            run
            for ended in teach_with(
                agents, world, work, columns, store, concurrency=concurrency, spending=spending
            )
            for run in ended
        ]
        return told, store.done(), store.failed(), spending


def test_agents_that_are_waited_for_give_the_same_trajectories_side_by_side(
    world, asked, undisturbed, tmp_path
):
    agents = Unsteady()
    told, done, failed, _ = run_unsteady(agents, world, asked, tmp_path)
    assert by_key(told) == by_key(read(tmp_path, asked[0])) == undisturbed
    assert not failed and done == set(undisturbed) and agents.most == 5
    assert told[0].cost.agents["planner"].requests == 1 and told[0].outcome is not None


def test_agents_are_waited_for_where_an_event_loop_runs_already(world, asked, undisturbed, tmp_path):
    """As in a notebook."""

    async def cell():
        return run_unsteady(Unsteady(), world, asked, tmp_path)

    told, done, failed, _ = asyncio.run(cell())
    assert by_key(told) == by_key(read(tmp_path, asked[0])) == undisturbed and not failed
    assert done == set(undisturbed)

    class Broken(Unsteady):
        async def plan(self, brief):
            raise ZeroDivisionError

    async def broken_cell():
        return run_unsteady(Broken(), world, asked, tmp_path / "again")

    (tmp_path / "again").mkdir()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(broken_cell())


def test_a_run_without_an_end_is_recorded_with_its_cost_and_only_an_endpoint_is_asked_again(
    world, asked, undisturbed, tmp_path
):
    keys = sorted(undisturbed)
    reasons = {keys[1]: "limit", keys[4]: "invalid", keys[7]: "endpoint", keys[8]: "endpoint"}
    told, done, failed, _ = run_unsteady(Unsteady(reasons), world, asked, tmp_path)
    assert {key: (f.reason, f.agent) for key, f in failed.items()} == {
        key: (reason, "planner") for key, reason in reasons.items()
    }
    assert len(told) == len(undisturbed) and done == set(undisturbed) - set(reasons)
    spent = failed[keys[1]].cost.agents["planner"]
    assert spent.requests == 1 and spent.seconds > 0 and failed[keys[1]].message == "No plan (limit)."

    mended = Unsteady()
    told, _, failed, _ = run_unsteady(mended, world, asked, tmp_path)
    assert set(by_key(told)) == {keys[7], keys[8]} and set(failed) == {keys[1], keys[4]}
    told, done, failed, _ = run_unsteady(mended, world, asked, tmp_path, retry=True)
    assert set(by_key(told)) == {keys[1], keys[4]} and not failed
    assert by_key(read(tmp_path, asked[0])) == undisturbed


def test_a_model_that_is_down_is_not_asked_for_every_run(world, asked, tmp_path):
    tasks, _ = asked
    every = {(task.task_id, run): "endpoint" for task in tasks for run in range(RUNS)}
    agents = Unsteady(every)
    with pytest.raises(RunError, match=r"could not be asked for \d+ runs in a row.*No plan.*same command"):
        run_unsteady(agents, world, asked, tmp_path)
    assert 20 <= agents.begun < len(every)
    with store_in(tmp_path, asked[0]) as store:
        assert store.count == 0 and 20 <= len(store.failed()) <= agents.begun


def test_a_mistake_in_an_agent_ends_teaching_with_what_was_done_stored(world, asked, tmp_path):
    class Broken(Unsteady):
        async def plan(self, brief):
            if self.begun == 8:
                raise ZeroDivisionError
            return await super().plan(brief)

    with pytest.raises(ZeroDivisionError):
        run_unsteady(Broken(), world, asked, tmp_path)
    assert by_key(read(tmp_path, asked[0]))


@pytest.mark.parametrize(("budget", "most"), [("5usd", 10), ("1_100tokens", 10), ("0.000001s", 0)])
def test_a_budget_stops_before_it_is_exceeded_by_more_than_runs_under_way(
    world, asked, undisturbed, tmp_path, budget, most
):
    agents = Unsteady()
    told, _, _, spending = run_unsteady(agents, world, asked, tmp_path, budget=budget, concurrency=2)
    assert spending.stopped and len(told) == agents.begun
    assert max(most - 1, 0) <= len(told) <= most, "all that began has ended, and not much more than was allowed"
    told, _, _, spending = run_unsteady(agents, world, asked, tmp_path, budget="500usd")
    assert not spending.stopped and by_key(read(tmp_path, asked[0])) == undisturbed


def test_the_policy_stops_at_a_time_too_and_goes_on(world, asked, undisturbed, tmp_path):
    tasks, columns = asked
    now = iter(range(1000))
    spending = Spending(Budget.parse("4s"), clock=lambda: next(now))
    with store_in(tmp_path, asked[0]) as store, Workers(world, 1) as workers:
        first = list(teach(workers, missing(tasks, RUNS, store), columns, store, 0, spending, batch=2))
        assert spending.stopped and 0 < len(first) < 6
        list(teach(workers, missing(tasks, RUNS, store), columns, store, 0))
    assert by_key(read(tmp_path, asked[0])) == undisturbed


@pytest.mark.parametrize("text", ["5", "usd", "5 pounds", "-5usd", "0usd", "nanusd", "1e3usd", "", "5usd5"])
def test_what_is_no_budget_is_refused_with_the_units(text):
    with pytest.raises(ConfigError, match=r"no budget.*usd, tokens, s, min, h"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("text", "limit", "resource"),
    [
        ("5.00usd", 5, "usd"),
        ("200_000 tokens", 200_000, "tokens"),
        ("30MIN", 1800, "seconds"),
        ("2h", 7200, "seconds"),
    ],
)
def test_budgets(text, limit, resource):
    found = Budget.parse(text)
    assert (found.limit, found.resource) == (limit, resource)


def test_ray_gives_the_same_trajectories(world, asked, undisturbed, tmp_path):
    tasks, columns = asked
    with (
        open_engine(world, "ray", address="local", processes=1) as engine,
        store_in(tmp_path, asked[0]) as store,
    ):
        list(teach(engine, missing(tasks, RUNS, store), columns, store, 0, batch=3))
    found = by_key(read(tmp_path, asked[0]))
    assert {key: run.canonical() for key, run in found.items()} == {
        key: run.canonical() for key, run in undisturbed.items()
    }
    assert list(found) == list(undisturbed)


def test_a_node_of_a_ray_cluster_that_dies_costs_what_it_had_in_flight(world, lessons, tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    tasks, targets, _ = lessons
    columns = target_columns(tasks, targets)
    with store_in(tmp_path / "here", tasks) as store, Workers(world, 1) as workers:
        list(teach(workers, missing(tasks, RUNS, store), columns, store, 0, batch=2))
    undisturbed = by_key(read(tmp_path / "here", tasks))
    node = {"num_cpus": 1, "object_store_memory": 96 * 2**20}
    checks = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {**node, "include_dashboard": False, "_system_config": checks}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            doomed = cluster.add_node(**node)
            ray.init(cluster.address, log_to_driver=False, logging_level="error")
            with (
                open_engine(world, "ray", address=cluster.address) as engine,
                store_in(tmp_path / "there", tasks) as store,
            ):
                assert engine.processes == 2
                told = []
                for ended in teach(engine, missing(tasks, RUNS, store), columns, store, 0, batch=2):
                    told += ended
                    if doomed is not None and len(told) >= 5 * 2 * RUNS:
                        cluster.remove_node(doomed, allow_graceful=False)
                        doomed = None
        finally:
            ray.shutdown()
            cluster.shutdown()
    assert doomed is None and len(told) == len(undisturbed)
    found = by_key(read(tmp_path / "there", tasks))
    assert {key: run.canonical() for key, run in found.items()} == {
        key: run.canonical() for key, run in undisturbed.items()
    }


def test_an_estimate_is_the_policys_time_or_what_a_model_would_be_sent(world, asked, tmp_path):
    tasks, _ = asked
    with store_in(tmp_path, asked[0]) as store:
        work = missing(tasks, RUNS, store)
    policy = estimate(world, work, 4, TeacherConfig(), processes=2)
    assert (policy.runs, policy.sampled) == (len(tasks) * RUNS, 4 * RUNS)
    assert 0 <= policy.seconds.low <= policy.seconds.expected < policy.seconds.high
    assert policy.requests.expected == 0 == policy.prompt_tokens.expected and policy.usd.expected == 0

    priced = {"model": "openai:any", "input_usd": 1.0, "output_usd": 10.0}
    model = estimate(world, work, 4, TeacherConfig(model=priced), processes=2)
    for figure in (model.seconds, model.requests, model.prompt_tokens, model.completion_tokens, model.usd):
        assert 0 < figure.low < figure.expected < figure.high
    # Planner, an analyst, reflector and ranker at least, which calls `compare`; a task is told to each of them.
    assert model.requests.low >= 5 * model.runs and model.prompt_tokens.low > model.requests.low * 100
    at_prices = (model.prompt_tokens.expected + 10 * model.completion_tokens.expected) / 1e6
    assert model.usd.expected == pytest.approx(at_prices)
    slow = TeacherConfig(model=priced, limits={"requests_per_minute": 1})
    assert estimate(world, work, 4, slow, 2).seconds.low == pytest.approx(60 * model.requests.low)
    unknown = TeacherConfig(model={"model": "mine", "base_url": "http://127.0.0.1:1/v1"})
    assert estimate(world, work, 4, unknown, 2).usd is None
    assert estimate(world, [], 4, TeacherConfig(), 2).runs == 0


TEACHER = """
import pickle, sys
from pathlib import Path
from starrec.engines import Workers
from starrec.teacher import missing, teach
from starrec.trajectories import EvidenceOrigin, Store, Teacher
world, tasks, columns = pickle.loads(Path(sys.argv[1]).read_bytes())
keys = {task.task_id: task.task_id for task in tasks}
path = Path(sys.argv[2]) / "runs.sqlite"
with Store(path, Teacher("policy"), keys, EvidenceOrigin("counts")) as store, Workers(world, 1) as workers:
    for ended in teach(workers, missing(tasks, 3, store), columns, store, 0, batch=1):
        print(store.count, flush=True)
"""


def test_killed_twice_it_ends_as_if_it_had_not_been(world, asked, undisturbed, tmp_path):
    (tmp_path / "work").write_bytes(pickle.dumps((world, *asked)))
    command = [sys.executable, "-c", TEACHER, str(tmp_path / "work"), str(tmp_path / "store")]
    for lines, pause in ((2, 0.004), (3, 0.0)):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(lines):
                assert process.stdout.readline()
            time.sleep(pause)
            os.kill(process.pid, signal.SIGKILL)
    assert 0 < len(by_key(read(tmp_path / "store", asked[0]))) < len(undisturbed)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = by_key(read(tmp_path / "store", asked[0]))
    assert {key: run.canonical() for key, run in found.items()} == {
        key: run.canonical() for key, run in undisturbed.items()
    }


def test_every_run_that_ends_is_told_of_as_what_it_is(world, asked, tmp_path):
    tasks, _ = asked
    reasons = {(tasks[0].task_id, 0): "limit"}
    told, _, _, spending = run_unsteady(Unsteady(reasons), world, asked, tmp_path)
    assert sum(isinstance(run, Failure) for run in told) == 1
    assert all(isinstance(run, (Failure, Trajectory)) and isinstance(run.cost, Cost) for run in told)
    assert spending.used("tokens") == 110 * len(told) and spending.used("usd") == 0.5 * len(told)
    assert isinstance(tasks[0], RankingTask)
