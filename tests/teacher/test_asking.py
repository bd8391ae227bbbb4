"""How models of every kind are asked: whatever a model can, each role answers in its schema and calls tools;
whatever a history's length, a prompt fits the window."""

import asyncio
import json
import re

import numpy as np
import pytest

from starrec.data import RankingTask
from starrec.llm import ModelConfig
from starrec.llm.tokens import estimate
from starrec.teacher import ANALYSTS, TOOLS_OF, TeacherConfig, run
from starrec.teacher.agents import AgentError
from starrec.teacher.llm import LLMAgents
from starrec.trajectories import linear, parse

CALLING = {name: tools[0] for name, tools in TOOLS_OF.items()} | {"ranker": "compare"}
"""The one tool that each role of the scripted team asks."""


def told(body):
    """The input of the agent that is asked, the first one of its conversation."""
    first = next(message["content"] for message in body["messages"] if message["role"] == "user")
    return json.loads(first)


def labels(body):
    return list(dict.fromkeys(re.findall("‹[A-Z]+›", told(body).get("task", ""))))


def answer_of(body):
    """What the role says: all analysts, nothing sent back, candidates in reverse."""
    role, order = told(body)["agent"], labels(body)[::-1]
    match role:
        case "memory":
            return {"text": "Began with " + next(iter(told(body)["window"]["tastes"]), "nothing") + "."}
        case "planner":
            return {"text": "All.", "trust": dict.fromkeys(ANALYSTS, 5), "rounds": 1}
        case "reflector":
            return {"text": "Fine.", "requests": [], "lead": order[:1]}
        case "ranker":
            return {"order": order}
    return {"analyst": role, "order": order}


def _said(body):
    """A model without tool calls: one call first, then the answer, both as JSON text."""
    role = told(body)["agent"]
    asked = any(message["role"] == "assistant" for message in body["messages"])
    if role in CALLING and not asked:
        answer = {"calls": [{"tool": CALLING[role], "window": "recent", "candidates": []}]}
        return json.dumps(answer)
    return json.dumps(answer_of(body))


def scripted(body):
    """The same where one format holds several answers: pydantic-ai's `{"result": {"kind": …, "data": …}}`."""
    written = json.dumps(body).replace('\\"', '"')
    said = _said(body)
    if '"result"' not in written or '"kind"' not in written:
        return said
    final = "Decision" if told(body)["agent"] == "ranker" else "Finding"
    kind = "Calls" if "calls" in json.loads(said) else final
    return json.dumps({"result": {"kind": kind, "data": json.loads(said)}})


def team(server, output, tools=False, **limits):
    model = ModelConfig(model="scripted", base_url=server.url, output=output, tools=tools)
    return LLMAgents(TeacherConfig(model=model, limits={"context": 16_384, **limits}))


def play(agents, toolbox):
    return asyncio.run(run(agents, toolbox))


@pytest.mark.parametrize("output", ["json_object", "json_schema", "prompted"])
def test_a_model_without_tool_calls_asks_for_them_in_its_answers(endpoint, world, lessons, output):
    server = endpoint(scripted)
    task = lessons[0][0]
    outcome = play(team(server, output), world.toolbox(task))
    trajectory = outcome.trajectory
    assert parse(linear(trajectory), trajectory.labels) == trajectory.canonical()
    # Every role asked the tool that it was scripted to ask, and the ranking is what the ranker wrote.
    assert [call.name for call in trajectory.canonical().calls] == [
        *(CALLING[name] for name in ANALYSTS),
        "compare",
    ]
    assert list(trajectory.ranking) == list(reversed(trajectory.labels)) and not outcome.ranking.repairs
    assert not any(body.get("tools") for _, _, body in server.requests)
    formats = [body.get("response_format") for _, _, body in server.requests]
    match output:
        case "json_object":
            assert all(form["type"] == "json_object" and form["schema"]["type"] for form in formats)
        case "json_schema":
            assert all(form["type"] == "json_schema" and form["json_schema"]["schema"] for form in formats)
        case "prompted":
            assert all((form or {"type": "json_object"})["type"] == "json_object" for form in formats)
            assert all("schema" in json.dumps(body["messages"]).lower() for _, _, body in server.requests)


def test_what_does_not_fit_the_schema_is_corrected_and_a_limit_is_an_outcome(endpoint, world, lessons):
    wrong = iter(["no JSON at all", '{"text": 7}'])
    server = endpoint(lambda body: next(wrong, None) or scripted(body))
    toolbox = world.toolbox(lessons[0][0])
    assert (
        play(team(server, "json_object"), toolbox)
        .trajectory.canonical()
        .plan.startswith("All. Trust user_profile 5, ")
    )
    never = endpoint(lambda body: "no JSON at all")
    with pytest.raises(AgentError, match="corrected 2 times in vain") as caught:
        play(team(never, "json_object"), toolbox)
    assert (caught.value.agent, caught.value.reason, len(never.requests)) == ("planner", "invalid", 3)


def test_a_history_of_2000_items_fits_the_window_and_its_beginning_is_remembered(endpoint, world):
    # One topic first, then others, over and over: 2,000 places, as a rewatching household would have.
    first, rest = list(range(12)), list(range(12, 48))
    history = np.array([*first * 10, *(rest * 60)[: 2000 - 120]], dtype=np.int32)
    assert len(history) == 2000
    task = RankingTask("live/long", -1, "?", history, np.arange(6, dtype=np.int32))
    context, output = 4096, 512
    server = endpoint(scripted)
    model = ModelConfig(model="scripted", base_url=server.url, output="json_object", tools=False)
    limits = {"context": context, "output_tokens": output}
    trajectory = play(LLMAgents(TeacherConfig(model=model, limits=limits)), world.toolbox(task)).trajectory
    assert parse(linear(trajectory), trajectory.labels) == trajectory.canonical()
    windows = [told(body)["window"] for _, _, body in server.requests if told(body)["agent"] == "memory"]
    # All but the 16 latest, a hundred at a time, in order.
    assert [len(window["items"]) for window in windows] == [100] * 19 + [84]
    for _, _, body in server.requests:
        said = "".join(message["content"] or "" for message in body["messages"])
        assert estimate(said) <= context - output, told(body)["agent"]
    planner = next(told(body) for _, _, body in server.requests if told(body)["agent"] == "planner")
    assert planner["memory"].startswith("Began with ")


def test_a_window_of_history_that_cannot_fit_is_said_before_the_model_is_asked(endpoint, world):
    history = np.tile(np.arange(48, dtype=np.int32), 4)
    task = RankingTask("live/long", -1, "?", history, np.arange(6, dtype=np.int32))
    server = endpoint(scripted)
    agents = team(server, "json_object", context=2048, output_tokens=256)
    with pytest.raises(Exception, match=r"A window of 100 items .* takes about \d+ tokens.*limits.context"):
        play(agents, world.toolbox(task))
    assert not server.requests
