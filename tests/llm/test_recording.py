"""What was asked once can be answered again without a model."""

import asyncio
import json

import pytest

from starrec.errors import StarrecError
from starrec.llm import ModelConfig
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.teacher import AgentError, TeacherConfig, run
from starrec.teacher.llm import LLMAgents
from starrec.teacher.tryout import TryOut

NOWHERE = "http://127.0.0.1:9/v1"


def play(agents, world, tasks):
    async def all_of_them():
        return [(await run(agents, world.toolbox(task))).trajectory for task in tasks]

    return asyncio.run(all_of_them())


def agents(url, **how):
    return LLMAgents(TeacherConfig(model=ModelConfig(model="embedded-policy", base_url=url), **how))


@pytest.fixture(scope="module")
def recorded(world, lessons, tmp_path_factory):
    """A recording over a real socket, and what was played."""
    path = tmp_path_factory.mktemp("recording") / "deep" / "exchanges.jsonl"
    tasks = lessons[0][:4]
    with served(policy_app(world, {task.task_id: task for task in tasks})) as url:
        played = play(agents(url, record=path), world, tasks)
    return path, tasks, played


def test_a_replay_tells_the_same_story_without_a_model(world, recorded):
    path, tasks, played = recorded
    again = agents(NOWHERE, replay=path)
    asyncio.run(TryOut(again).play(world.toolbox(tasks[0]), 0, False))  # there is no model to try
    told = play(again, world, tasks)
    assert told == played
    for one, other in zip(told, played, strict=True):
        assert {name: spent.requests for name, spent in one.cost.agents.items()} == {
            name: spent.requests for name, spent in other.cost.agents.items()
        }


def test_equal_requests_are_answered_as_often_as_they_were_made(world, recorded):
    path, tasks, played = recorded
    again = agents(NOWHERE, replay=path)
    assert play(again, world, tasks[:1]) == played[:1]
    with pytest.raises((StarrecError, AgentError), match=r"holds no further answer to this request.*`planner`"):
        play(again, world, tasks[:1])


def test_what_was_never_asked_is_not_made_up(world, lessons, recorded):
    again = agents(NOWHERE, replay=recorded[0])
    with pytest.raises(StarrecError, match=r"holds no answer to this request.*other tasks, prompts"):
        play(again, world, lessons[0][10:11])
    with pytest.raises(StarrecError, match=r"holds no answer of the model 'other', only of 'embedded-policy'"):
        LLMAgents(TeacherConfig(model=ModelConfig(model="other", base_url=NOWHERE), replay=recorded[0]))


def test_it_holds_no_key_and_every_line_is_whole(recorded, monkeypatch, world, lessons, tmp_path):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    path = tmp_path / "keyed.jsonl"
    task = lessons[0][0]
    with served(policy_app(world, {task.task_id: task})) as url:
        model = ModelConfig(model="embedded-policy", base_url=url, api_key_env="SOME_KEY")
        play(LLMAgents(TeacherConfig(model=model, record=path)), world, [task])
    text = path.read_text()
    assert "sk-very-secret" not in text and len(list(map(json.loads, text.splitlines()))) > 5


def test_a_line_that_a_kill_has_torn_is_dropped_and_recording_goes_on(world, lessons, recorded, tmp_path):
    path, tasks, played = recorded
    torn = tmp_path / "torn.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    torn.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    # What is left of the torn line is no answer, and no error either.
    assert play(agents(NOWHERE, replay=torn), world, tasks[:3]) == played[:3]
    with served(policy_app(world, {task.task_id: task for task in tasks})) as url:
        play(agents(url, record=torn), world, tasks[3:])
    assert play(agents(NOWHERE, replay=torn), world, tasks) == played


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "Cannot replay"),
        (b"\xff\xfe\n", "Cannot replay"),
        (b'{"model": "a"}\n', "line 1, is no line of a recording"),
        (b"[]\n", "line 1, is no line of a recording"),
        (b"hello\n", "line 1, is no line of a recording"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, content, said):
    path = tmp_path / "x.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StarrecError, match=said):
        agents(NOWHERE, replay=path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StarrecError, match="Cannot record to"):
        agents(NOWHERE, record=tmp_path)
