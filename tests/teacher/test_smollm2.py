"""The whole team, played by a real language model behind a real socket: SmolLM2-135M by `starrec llm serve`.

It is a poor recommender. What must hold is everything else: each role answers in its schema, tools are called,
a ranking is a permutation, a trajectory parses back. `make test-llm` runs this; plain pytest leaves it out,
because the extra `local-llm` is compiled and a task takes many seconds.
"""

import asyncio
import time
from collections import defaultdict

import pytest

from starrec.llm import LimitsConfig, ModelConfig
from starrec.signals import FactNumbers
from starrec.teacher import ANALYSTS, TOOLS_OF, AgentError, Brief, Plan, TeacherConfig, Verdict, run
from starrec.teacher.agents import Answer
from starrec.tools import think_task
from starrec.trajectories import Spent, linear, parse

pytestmark = pytest.mark.local_llm

N_TASKS = 5
CONTEXT = 8192


@pytest.fixture(scope="module")
def url():
    from same_llm import served

    with served(CONTEXT) as url:
        yield url


@pytest.fixture(scope="module")
def agents(url):
    from starrec.teacher.llm import LLMAgents

    # llama.cpp's Python server holds a model to a schema that stands beside `json_object`, and calls no tools.
    model = ModelConfig(model="smollm2", base_url=url, output="json_object", tools=False, timeout=600)
    limits = LimitsConfig(concurrency=1, context=CONTEXT, output_tokens=512, attempts=2)
    return LLMAgents(TeacherConfig(model=model, limits=limits))


def test_every_role_answers_in_its_schema(agents, world, lessons):
    task = lessons[0][0]
    toolbox = world.toolbox(task)
    brief = Brief(task, think_task(toolbox), toolbox.labels, 0, False, toolbox.ties)
    called = defaultdict(set)
    facts = FactNumbers()

    def caller(agent):
        def call(tool, arguments):
            called[agent].add(tool)
            return Answer(tool, arguments, toolbox.call(tool, arguments, facts))

        return call

    async def everybody():
        assert isinstance(await agents.plan(brief), Plan)
        plan = Plan(text="All.", trust=dict.fromkeys(ANALYSTS, 5))
        findings = [await agents.study(name, brief, plan, [], caller(name)) for name in ANALYSTS]
        verdict = await agents.reflect(brief, plan, findings, [], [], 0, True)
        assert [finding.analyst for finding in findings] == list(ANALYSTS) and isinstance(verdict, Verdict)
        assert isinstance((await agents.rank(brief, plan, findings, [], verdict, caller("ranker"))).order, list)

    asyncio.run(everybody())
    for name in ANALYSTS:
        assert called[name] and called[name] <= set(TOOLS_OF[name])
    assert called["ranker"] == {"compare"}


def test_tasks_end_to_end(agents, world, lessons, capsys):
    spent, started = defaultdict(Spent), time.monotonic()
    ended, limits = 0, []
    for task in lessons[0]:
        if ended == N_TASKS:
            break
        try:
            outcome = asyncio.run(run(agents, world.toolbox(task)))
        except AgentError as error:
            # A small model may come to a limit: an outcome, and not the rule.
            assert error.reason in ("limit", "invalid"), error
            limits.append(str(error))
            assert len(limits) <= N_TASKS, limits
            continue
        ended += 1
        trajectory = outcome.trajectory
        trajectory.check()
        assert parse(linear(trajectory), trajectory.labels) == trajectory.canonical()
        assert sorted(outcome.ranking.items) == sorted(task.candidates.tolist())
        assert trajectory.canonical().calls
        agents_asked = {message.agent for message in trajectory.messages if message.agent}
        assert {"planner", "reflector", "ranker"} <= agents_asked
        for name in agents_asked:
            assert trajectory.cost.agents[name].requests >= 1
        for name, part in trajectory.cost.agents.items():
            spent[name] += part
    assert ended == N_TASKS
    assert sum(part.prompt_tokens for part in spent.values()) > 0
    assert sum(part.cached_tokens for part in spent.values()) > 0, "prompts that begin alike are read once"
    with capsys.disabled():
        seconds = time.monotonic() - started
        print(f"\n{N_TASKS} tasks in {seconds:.0f} s, and {len(limits)} at a limit; a task takes, by agent:")
        print(f"{'agent':<22}{'calls':>8}{'prefilled':>11}{'known':>9}{'decoded':>9}{'seconds':>9}")
        for name, part in spent.items():
            figures = (
                part.requests,
                part.prompt_tokens - part.cached_tokens,
                part.cached_tokens,
                part.completion_tokens,
                part.seconds,
            )
            calls, prefilled, known, decoded, seconds = (figure / N_TASKS for figure in figures)
            print(f"{name:<22}{calls:>8.1f}{prefilled:>11.0f}{known:>9.0f}{decoded:>9.0f}{seconds:>9.1f}")
