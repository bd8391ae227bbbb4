"""The embedded policy behind a socket: agents that ask it tell the story of the policy itself."""

import asyncio
import json
import subprocess
import sys

import httpx2
import pytest

from starrec.llm import LimitsConfig, ModelConfig
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.teacher import EmbeddedPolicy, Plan, TeacherConfig, run
from starrec.teacher.llm import LLMAgents
from starrec.tools import think_task
from starrec.trajectories import linear


@pytest.fixture(scope="module")
def url(world, lessons):
    tasks = {task.task_id: task for task in lessons[0]}
    with served(policy_app(world, tasks)) as url:
        yield url


@pytest.fixture(scope="module")
def agents(url):
    model = ModelConfig(model="embedded-policy", base_url=url)
    return LLMAgents(TeacherConfig(model=model, limits=LimitsConfig(context=131_072)))


@pytest.mark.parametrize(("number", "explore"), [(0, False), (0, True), (3, True)])
def test_over_the_socket_the_story_is_the_same(world, lessons, agents, number, explore):
    async def both(task):
        asked = await run(agents, world.toolbox(task), number=number, explore=explore)
        own = await run(EmbeddedPolicy(), world.toolbox(task), number=number, explore=explore)
        return asked.trajectory, own.trajectory

    async def all_of(tasks):
        return await asyncio.gather(*map(both, tasks))

    stories = asyncio.run(all_of(lessons[0][:12]))
    for asked, own in stories:
        assert asked.messages == own.messages
        assert linear(asked).encode() == linear(own).encode()
    # Some Reflectors sent work back, so that later turns were asked for as well.
    assert 2 in {len(own.canonical().reflections) for _, own in stories}


def test_over_the_socket_what_came_first_is_remembered(world, small, task):
    # Longer than a prompt shows, so that the beginning is told as memory only.
    known = task(-1, range(12, 48), [0, 1, 2, 3, 4, 5], task_id="live/long")
    with served(policy_app(world, {known.task_id: known})) as url:
        agents = LLMAgents(TeacherConfig(model=ModelConfig(model="embedded-policy", base_url=url)))
        asked = asyncio.run(run(agents, world.toolbox(known))).trajectory
    own = asyncio.run(run(EmbeddedPolicy(), world.toolbox(known))).trajectory
    assert "at first" in own.canonical().plan
    assert asked.messages == own.messages


def asked(agent, task, world, **inputs):
    told = {"agent": agent, "task": think_task(world.toolbox(task)), **inputs}
    return {
        "model": "embedded",
        "messages": [{"role": "system", "content": "…"}, {"role": "user", "content": json.dumps(told)}],
    }


def post(url, body, task_id=None, **headers):
    headers = {"X-Starrec-Task": task_id, **headers} if task_id is not None else headers
    return httpx2.post(f"{url}/chat/completions", json=body, headers=headers)


PLAN = Plan(text="All.", trust={"recent_interest": 5})


def offered(*names):
    return [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]


def test_an_answer_comes_as_the_request_wants_it(world, lessons, url):
    task = lessons[0][0]
    body = asked("planner", task, world)
    message = post(url, body, task.task_id).json()["choices"][0]["message"]
    plan = Plan.model_validate_json(message["content"])
    assert plan == asyncio.run(EmbeddedPolicy().plan(brief_of(world, task)))
    reply = post(url, {**body, "tools": offered("final_result")}, task.task_id).json()["choices"][0]
    called = reply["message"]["tool_calls"][0]["function"]
    assert reply["finish_reason"] == "tool_calls" and called["name"] == "final_result"
    assert Plan.model_validate_json(called["arguments"]) == plan


def brief_of(world, task):
    from starrec.teacher import Brief

    toolbox = world.toolbox(task)
    return Brief(task, think_task(toolbox), toolbox.labels, 0, False, toolbox.ties)


def test_calls_that_the_policy_never_made_do_not_shift_its_own(world, lessons, url):
    task = lessons[0][0]
    body = asked("ranker", task, world, plan=PLAN.model_dump(), findings=[], verdict={"text": "", "lead": []})
    body["tools"] = offered("compare", "final_result")

    def reply():
        return post(url, body, task.task_id).json()["choices"][0]["message"]

    def exchange(message, answer):
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": answer}
        body["messages"] += [message, result]

    wrong = {"name": "final_result", "arguments": '{"order": ["‹ZZ›"'}
    foreign = {"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": wrong}]}
    exchange(foreign, "no JSON")
    first = reply()
    assert first["tool_calls"][0]["function"]["name"] == "compare"
    exchange(first, "rows")
    last = reply()["tool_calls"][0]
    assert last["function"]["name"] == "final_result" and last["id"] != first["tool_calls"][0]["id"]


@pytest.mark.parametrize(
    ("task_id", "change", "status", "said"),
    [
        (None, {}, 404, "X-Starrec-Task"),
        ("test/nobody/0", {}, 404, "no task 'test/nobody/0'"),
        ("", {"messages": "hello"}, 400, "messages"),
        ("known", {"messages": [{"role": "user", "content": "Hello!"}]}, 400, "not an agent's input"),
        ("known", {"stream": True}, 400, "`stream`"),
    ],
)
def test_what_cannot_be_answered_is_said_in_the_protocols_own_form(
    world, lessons, url, task_id, change, status, said
):
    task = lessons[0][0]
    response = post(
        url, {**asked("planner", task, world), **change}, task.task_id if task_id == "known" else task_id
    )
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


def test_an_agent_that_is_told_too_little_or_may_not_call_is_refused(world, lessons, url):
    task = lessons[0][0]
    for agent, inputs, said in [
        ("chef", {"plan": PLAN.model_dump()}, "no agent 'chef'"),
        ("reflector", {}, "must be given the `plan`"),
        ("recent_interest", {"plan": PLAN.model_dump()}, "does not offer"),
    ]:
        response = post(url, asked(agent, task, world, **inputs), task.task_id)
        assert response.status_code == 400 and said in response.json()["error"]["message"]


def test_it_names_its_model(url):
    assert [model["id"] for model in httpx2.get(f"{url}/models").json()["data"]] == ["embedded-policy"]


def test_the_server_needs_no_torch():
    code = (
        "import sys, starrec.server.policy, starrec.server.listening; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'pydantic_ai')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_it_remembers_by_the_rule_of_the_policy(lessons, url):
    told = {"agent": "memory", "memory": "Crime", "window": {"items": ["⟦1|x⟧"], "tastes": {"Drama": 2}}}
    body = {"model": "any", "messages": [{"role": "user", "content": json.dumps(told)}]}
    message = post(url, body, lessons[0][0].task_id).json()["choices"][0]["message"]
    assert json.loads(message["content"]) == {"text": "Crime, then Drama"}
