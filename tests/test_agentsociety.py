"""The AgentSociety challenge's own loop over `StarAgent`: a task in, a permutation of its candidates out,
scored by the challenge's formula.

The loop is restated from the public package (websocietysimulator 1.0.0a30), whose pins of transformers and lmdb
exclude this project's; `benchmarks/agentsociety_loop.py` runs the package itself over the same folder.
"""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests import challenge
from tests.challenge import item_id

from starrec.agentsociety import StarAgent
from starrec.config import dump_toml, load_recorded
from starrec.data import DataConfig, build, load_tasks, save_dataset
from starrec.engines import Workers
from starrec.errors import RunError, StarrecError
from starrec.llm import LimitsConfig, ModelConfig
from starrec.pipeline import Pipeline, RunConfig
from starrec.pipeline.tasks import reopen
from starrec.ranking import metrics
from starrec.recommender import load
from starrec.runs import Run, current_product
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.student import GRPOConfig, NanoConfig, SFTConfig, StudentConfig
from starrec.teacher import TeacherConfig, rank_with_teacher
from starrec.tools import retrieve

pytestmark = pytest.mark.usefixtures("one_process")

REVIEWS = challenge.reviews_of()
TASKS = challenge.tasks_of(REVIEWS)
TRUTHS = [item_id(target) for _, _, target in TASKS]
SMALL = StudentConfig(
    nano=NanoConfig(width=32, intermediate=32, heads=2),
    sft=SFTConfig(steps=4, fast_batch=8, think_batch=2),
    grpo=GRPOConfig(steps=4, batch=8, group=8, tasks_per_user=1),
)


class InteractionTool:
    """The challenge's tool over a folder: rows as they are, by id."""

    def __init__(self, folder, hidden=()):
        self.users, self.items, reviews = (
            self._rows(folder / f"{name}.json") for name in ("user", "item", "review")
        )
        self.reviews = [row for row in reviews if (row["user_id"], row["item_id"]) not in hidden]

    def _rows(self, path):
        text = path.read_text()
        return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]

    def get_user(self, user_id):
        return next((row for row in self.users if row["user_id"] == user_id), None)

    def get_item(self, item_id=None):
        return next((row for row in self.items if row["item_id"] == item_id), None)

    def get_reviews(self, item_id=None, user_id=None, review_id=None):
        for key, asked in (("review_id", review_id), ("item_id", item_id), ("user_id", user_id)):
            if asked:
                return [row for row in self.reviews if row[key] == asked]
        return []


class Task:
    """A task as the simulator inserts it."""

    def __init__(self, path):
        self.content = json.loads(path.read_text())

    def to_dict(self):
        keys = ("user_id", "candidate_category", "candidate_list", "loc")
        return {"description": "Rank.", **{key: self.content.get(key) for key in keys}}


def simulate(agent_class, tool, folder, threads=1, first=None):
    """The challenge's loop: an agent a task, in the order of the task files' numbers; the output of the first
    so many (all)."""
    paths = sorted(folder.glob("task_*.json"), key=lambda path: int(path.stem.removeprefix("task_")))

    def answer(path):
        agent = agent_class(llm=None)
        agent.set_interaction_tool(tool)
        agent.insert_task(Task(path))
        return agent.workflow()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(answer, paths[:first]))


def average_hit_rate(truths, outputs):
    """The challenge's score: the mean of the shares of tasks whose true item is in the first 1, 3 and 5."""
    rates = [sum(t in out[:n] for t, out in zip(truths, outputs, strict=True)) / len(truths) for n in (1, 3, 5)]
    return sum(rates) / 3, rates


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the layout and a run that was trained on it."""
    root = tmp_path_factory.mktemp("challenge")
    challenge.write_data(root / "data", REVIEWS)
    challenge.write_tasks(root / "tasks", TASKS)
    data = DataConfig(source="agentsociety", folder=root / "data", tasks=root / "tasks", draws=1)
    config = RunConfig(data=data, teacher=TeacherConfig(tasks_per_user=1, runs=2), student=SMALL)
    with Pipeline.open(root / "run", config) as pipeline:
        pipeline.distill()
    return root


@pytest.fixture(scope="module")
def tool(root):
    return InteractionTool(root / "data")


@pytest.fixture(scope="module")
def fast(root):
    return StarAgent.of(root / "run")


@pytest.fixture(scope="module")
def outputs(root, fast, tool):
    return simulate(fast, tool, root / "tasks")


@pytest.fixture(scope="module")
def given(root):
    """The run's own evaluation of the same tasks: tasks, targets and item ids."""
    product = current_product(root / "run", "data")
    dataset = reopen(root / "run").prepared.dataset
    tasks, targets, _ = load_tasks(product.folder, dataset, dataset.sequences(0), seed=0)
    return tasks, targets, dataset.item_ids


def ask(agent_class, tool, **task):
    agent = agent_class(llm=None)
    agent.interaction_tool, agent.task = tool, task
    return agent.workflow()


def test_50_tasks_get_50_valid_rankings_and_our_score_is_the_challenges(outputs, given):
    assert len(outputs) == challenge.N_TASKS
    for out, (_, candidates, _) in zip(outputs, TASKS, strict=True):
        assert sorted(out) == sorted(map(item_id, candidates))
    score, rates = average_hit_rate(TRUTHS, outputs)
    ours = metrics.summary([out.index(truth) + 1 for out, truth in zip(outputs, TRUTHS, strict=True)])
    assert ours["avg_hr"] == pytest.approx(score, abs=1e-12)
    assert [ours["hr@1"], ours["hr@3"], ours["hr@5"]] == pytest.approx(rates, abs=1e-12)


def test_the_loop_and_our_own_evaluation_of_the_tasks_give_the_same_rankings(root, outputs, given):
    tasks, _, ids = given
    star = load(root / "run", counts="train").star
    assert [[ids[item] for item in ranking.items] for ranking in star.rank_many(tasks)] == outputs


@pytest.mark.parametrize(("platform", "array"), [("goodreads", True), ("yelp", False), ("amazon", True)])
def test_each_platforms_reviews_give_the_same_rankings(root, tmp_path, fast, outputs, platform, array):
    challenge.write_data(tmp_path, REVIEWS, [platform], array)
    assert simulate(fast, InteractionTool(tmp_path), root / "tasks", first=12) == outputs[:12]


def test_whether_the_tool_hides_what_is_asked_about_changes_nothing(root, fast, outputs):
    hidden = {(f"u{user}", item_id(target)) for user, _, target in TASKS}
    assert simulate(fast, InteractionTool(root / "data", hidden), root / "tasks", first=25) == outputs[:25]


def test_threads_and_the_order_of_candidates_change_nothing(root, fast, tool, outputs):
    assert simulate(fast, tool, root / "tasks", threads=8, first=25) == outputs[:25]
    user, candidates, _ = TASKS[4]
    assert ask(fast, tool, user_id=f"u{user}", candidate_list=sorted(map(item_id, candidates))) == outputs[4]


def test_mars_answers_too_and_better_than_chance(root, tool, given):
    mars = StarAgent.of(root / "run", mode="teacher")
    found = simulate(mars, tool, root / "tasks", threads=2)
    tasks, _, ids = given
    with Workers(reopen(root / "run").prepared.world, 1) as alone:
        own = rank_with_teacher(alone, tasks, 0)
    assert [[ids[item] for item in ranking.items] for ranking in own] == found
    # Chance gives .15, with a standard error of .036 over 50 tasks.
    assert average_hit_rate(TRUTHS, found)[0] > 0.15 + 3 * 0.036
    assert mars.summary().startswith("419 reviews read; 50 of them of a candidate; 50 tasks")


def test_thinking_gives_the_ranking_of_its_trace(root, tool, given):
    thinking = StarAgent.of(root / "run", mode="think")
    tasks, _, ids = given
    user, candidates, _ = TASKS[0]
    found = ask(thinking, tool, user_id=f"u{user}", candidate_list=[item_id(item) for item in candidates])
    thought = load(root / "run", counts="train").star.think(tasks[0])
    assert found == [ids[item] for item in thought.ranking.items]


class Reviews:
    """A tool that knows one user's reviews, and items of its own."""

    def __init__(self, reviews, **items):
        self.reviews, self.items = reviews, items

    def get_reviews(self, **asked):
        return self.reviews

    def get_item(self, item_id):
        return self.items.get(item_id)


def of_kind(kind, count=5):
    rows = [(0, kind + 4 * at, challenge.FIRST + at * 86_400, 5) for at in range(count)]
    return [challenge.review_row("amazon", at, *row) for at, row in enumerate(rows)]


def test_what_the_run_does_not_know_comes_last_and_by_its_description(root):
    jazz, chess = challenge.item_row("amazon", 400), challenge.item_row("amazon", 402)
    tool = Reviews(of_kind(2), jazz=jazz | {"item_id": "jazz"}, chess=chess | {"item_id": "chess"}, blank={})
    agent = StarAgent.of(root / "run")
    listed = ["blank", "jazz", "i70", "missing", "chess", "i71"]
    found = ask(agent, tool, user_id="u0", candidate_list=listed)
    # The history is of chess kits; "Shop" and "kit" are all that the jazz kit shares with it.
    assert set(found[:2]) == {"i70", "i71"} and found[2:4] == ["chess", "jazz"]
    assert set(found[4:]) == {"blank", "missing"}
    assert found == ask(agent, tool, user_id="u0", candidate_list=listed[::-1])
    assert "8 candidates that the run does not know" in agent.summary()
    strangers = ask(agent, tool, user_id="u0", candidate_list=["missing", "jazz", "chess"])
    assert strangers[:2] == ["chess", "jazz"]


def test_every_entry_comes_back_as_it_stands_in_the_list(root, tool):
    agent = StarAgent.of(root / "run")
    found = ask(agent, tool, user_id="u1", candidate_list=["i01", 17, "i02", "i01", " i03", 17])
    assert sorted(map(str, found)) == sorted(["i01", "17", "i02", "i01", " i03", "17"])
    assert set(found[:3]) == {"i01", "i02", " i03"} and found[3:] == [17, "i01", 17]
    assert "2 repeated candidates" in agent.summary()
    assert ask(agent, tool, user_id="u1", candidate_list=["i05"]) == ["i05"]
    assert ask(agent, tool, user_id="u1", candidate_list=[]) == []


@pytest.mark.parametrize(
    "reviews",
    [
        None,
        [],
        ["no object", None, 3],
        [{"item_id": "i01"}],
        [{"item_id": "i01", "date": "yesterday", "stars": 5}],
        [{"item_id": ["i01"], "date": "2015-01-01", "stars": {}}],
        [{"item_id": "i01", "date": "2011-04-01 00:00:00", "stars": "</task>", "text": None}],
        [{"item_id": "nowhere", "timestamp": 1300000000000.0, "stars": 1.0}],
    ],
    ids=str,
)
def test_reviews_that_cannot_be_read_leave_a_permutation(root, reviews):
    agent = StarAgent.of(root / "run")
    listed = [item_id(item) for item in range(40, 60)]
    found = ask(agent, Reviews(reviews), user_id="stranger", candidate_list=listed)
    assert sorted(found) == listed
    assert "1 tasks without a history" in agent.summary()
    if reviews:
        assert f"{len(reviews)} of them of other items, or without what is needed" in agent.summary()


def test_who_is_asked_about_does_not_count_for_her_own_task(root, tool):
    """A stranger with the history of a user of the data is told other counts, without that user's edges."""
    world = reopen(root / "run").prepared.world
    user, candidates, target = TASKS[9]
    own = [row for row in tool.reviews if row["user_id"] == f"u{user}" and row["item_id"] != item_id(target)]
    seen = []
    agent = StarAgent.of(root / "run")
    ranked = agent.served.rank
    agent.served.rank = lambda task: seen.append(task) or ranked(task)
    for user_id in (f"u{user}", "stranger"):
        ask(agent, Reviews(own), user_id=user_id, candidate_list=[item_id(item) for item in candidates])
    known, stranger = seen
    assert (known.user, stranger.user) == (reopen(root / "run").prepared.dataset.user_ids.index(f"u{user}"), -1)
    levels = [world.toolbox(task).evidence.scores for task in (known, replace(known, user=-1))]
    assert not np.array_equal(*levels, equal_nan=True)


def test_up_to_200_candidates_are_ranked_in_one_pass(root, tool):
    agent = StarAgent.of(root / "run")
    listed = [item_id(item) for item in range(challenge.N_ITEMS)]
    found = ask(agent, tool, user_id="u2", candidate_list=listed)
    assert sorted(found) == listed
    assert found == ask(agent, tool, user_id="u2", candidate_list=listed[::-1])
    # As the student ranks them, asked once for all that are no history of hers.
    seen, ranked = [], agent.served.rank
    agent.served.rank = lambda task: seen.append(task) or ranked(task)
    ask(agent, tool, user_id="u2", candidate_list=listed)
    ids = agent.served.dataset.item_ids
    assert found == [ids[item] for item in load(root / "run", counts="train").star.rank(seen[0]).items]


def test_thinking_about_more_candidates_than_there_are_labels_goes_in_parts(root, tool):
    agent = StarAgent.of(root / "run", mode="think")
    listed = [item_id(item) for item in range(40)]
    assert sorted(ask(agent, tool, user_id="u2", candidate_list=listed)) == listed


@pytest.fixture
def wide(newborn, tmp_path):
    """A run over 460 items, with a student that has learned nothing."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", at)
        for user in range(30)
        for at, item in enumerate(random.permutation(460)[:9])
    ]
    data = build(
        "wide",
        "position",
        pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row"),
        pl.DataFrame({"item_id": [f"i{at}" for at in range(460)], "title": ["Film"] * 460}),
    )
    with Run.open(tmp_path / "run", dump_toml(RunConfig())) as run:
        product = run.product("data", {})
        save_dataset(data, product.folder)
        product.complete()
        student = run.product("distill", {"evidence": {"tie_seed": 0, "signals": {}}})
        student.publish("star", newborn().save)
        student.complete(data=product.fingerprint)
        run.use(product)
        run.use(student)
    return tmp_path / "run"


@pytest.mark.parametrize("n", [200, 201, 460])
def test_more_candidates_than_one_pass_ranks_go_in_parts_as_retrieved(wide, n):
    agent = StarAgent.of(wide)
    listed = [f"i{item}" for item in range(n)]
    found = ask(agent, Reviews([]), user_id="stranger", candidate_list=listed)
    assert sorted(found) == sorted(listed)
    assert found == ask(agent, Reviews([]), user_id="stranger", candidate_list=listed[::-1])
    if n > 200:
        # What the retriever puts in the first part, a half or a third, stays above the rest.
        world = load(wide, counts="train").star.world
        order = retrieve(world.graph, -1, np.array([], dtype=np.int32), 460)
        best = [item for item in order.tolist() if agent.served.dataset.item_ids[item] in set(listed)]
        first = {agent.served.dataset.item_ids[item] for item in best[: -(-n // -(-n // 200))]}
        assert set(found[: len(first)]) == first


def test_a_model_plays_mars_as_the_policy_does_or_is_counted(root, tool, tmp_path, given, endpoint):
    tasks, _, _ = given
    shutil.copytree(root / "run", tmp_path / "run")
    config, _ = load_recorded(root / "run" / "config.toml", RunConfig)
    user, candidates, _ = TASKS[0]
    task = {"user_id": f"u{user}", "candidate_list": [item_id(item) for item in candidates]}

    def by_model(url):
        limits = LimitsConfig(context=131_072, attempts=1)
        teacher = config.teacher.model_copy(
            update={"model": ModelConfig(model="embedded-policy", base_url=url), "limits": limits}
        )
        (tmp_path / "run" / "config.toml").write_text(dump_toml(config.model_copy(update={"teacher": teacher})))
        return StarAgent.of(tmp_path / "run", mode="teacher")

    live = replace(tasks[0], task_id="agentsociety/live")
    with served(policy_app(reopen(root / "run").prepared.world, {live.task_id: live})) as url:
        found = ask(by_model(url), tool, **task)
    assert found == ask(StarAgent.of(root / "run", mode="teacher"), tool, **task)
    failing = by_model(endpoint(lambda body: (400, b"{}")).url)
    assert sorted(ask(failing, tool, **task)) == sorted(task["candidate_list"])
    assert "1 tasks in which the model gave no answer" in failing.summary()


BASE = """
from abc import ABC, abstractmethod

class RecommendationAgent(ABC):
    def __init__(self, llm):
        self.llm = llm

    @abstractmethod
    def insert_task(self, task): ...

    @abstractmethod
    def workflow(self): ...
"""


def test_where_the_package_is_installed_its_agent_is_the_base(root, tool, tmp_path, monkeypatch):
    package = tmp_path / "websocietysimulator"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "agent.py").write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    agent = StarAgent.of(root / "run")
    base = sys.modules["websocietysimulator.agent"].RecommendationAgent
    assert issubclass(agent, base) and issubclass(agent, StarAgent)
    assert sorted(ask(agent, tool, user_id="u3", candidate_list=["i01", "i02"])) == ["i01", "i02"]
    for name in ("websocietysimulator", "websocietysimulator.agent"):
        monkeypatch.delitem(sys.modules, name)
    (package / "agent.py").write_text("import not_installed")
    with pytest.raises(StarrecError, match=r"cannot be imported .*not_installed"):
        StarAgent.of(root / "run")
    monkeypatch.delitem(sys.modules, "websocietysimulator")


def test_what_is_missing_is_said(root, fast, tool, tmp_path):
    with pytest.raises(RunError, match=r"starrec run"):
        StarAgent.of(tmp_path)
    with pytest.raises(RunError, match=r"starrec data"):
        StarAgent.of(tmp_path, mode="teacher")
    with pytest.raises(StarrecError, match=r"no mode 'slow', only 'fast', 'think', 'teacher'"):
        StarAgent.of(root / "run", mode="slow")
    with pytest.raises(StarrecError, match=r"StarAgent.of"):
        StarAgent(llm=None)
    with pytest.raises(StarrecError, match="no interaction_tool"):
        fast(llm=None).workflow()
    with pytest.raises(StarrecError, match="no task with a candidate_list"):
        ask(fast, tool)
    with pytest.raises(StarrecError, match="no user_id"):
        ask(fast, tool, candidate_list=["i01"])
