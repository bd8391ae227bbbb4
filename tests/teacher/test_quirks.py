"""A real server over a real socket, with the habits of others: every run ends, and says what the policy
says."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from starrec.errors import ConfigError, RunError
from starrec.server.listening import served
from starrec.server.policy import policy_app
from starrec.teacher import EmbeddedPolicy, TeacherConfig, run
from starrec.teacher.asking import teach_by_models
from starrec.trajectories import EvidenceOrigin, Store, Teacher, statistics, target_columns


class Refused(Exception):
    """With what the server says, under which status."""

    def __init__(self, message, status=400):
        super().__init__(message)
        self.status = status


class Habits:
    """An ASGI application before another one, with one habit. It keeps its connections open."""

    def __init__(self, app):
        self.app = app
        self.asks: Callable[[dict], None] = lambda body: None
        """Given the body of a request; raises Refused."""
        self.answers: Callable[[dict], Any] = lambda body: body
        """Given the body of a completion; the body that is sent instead."""
        self.asked = []
        self.peers = set()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        message = await receive()
        sent = message["body"]
        while message.get("more_body"):
            message = await receive()
            sent += message["body"]
        body = json.loads(sent)
        self.asked.append(body)
        self.peers.add(scope["client"])
        try:
            self.asks(body)
        except Refused as error:
            await respond(send, error.status, json.dumps({"error": {"message": str(error)}}))
            return
        parts = []

        async def again():
            return {"type": "http.request", "body": sent, "more_body": False}

        async def kept(part):
            parts.append(part)

        await self.app(scope, again, kept)
        text = b"".join(part.get("body", b"") for part in parts)
        if parts[0]["status"] == 200:
            answered = self.answers(json.loads(text))
            text = answered if isinstance(answered, str) else json.dumps(answered, ensure_ascii=False)
        await respond(send, parts[0]["status"], text)


async def respond(send, status, text):
    body = text if isinstance(text, bytes) else text.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def tasks(lessons):
    return lessons[0][:2]


@pytest.fixture(scope="module")
def server(world, tasks):
    habits = Habits(policy_app(world, {task.task_id: task for task in tasks}))
    with served(habits) as url:
        yield habits, url


@pytest.fixture
def habits(server):
    """The server, without a habit; to be given one."""
    server[0].__init__(server[0].app)
    return server[0]


@pytest.fixture(scope="module")
def undisturbed(world, tasks):
    """What the policy does in process, by task."""

    async def play():
        return {
            task.task_id: (await run(EmbeddedPolicy(), world.toolbox(task), explore=True)).trajectory
            for task in tasks
        }

    return asyncio.run(play())


def store_in(folder, tasks):
    keys = {task.task_id: task.task_id for task in tasks}
    return Store(folder / "runs.sqlite", Teacher("m"), keys, EvidenceOrigin("counts"))


@pytest.fixture
def teach(server, world, tasks, lessons, tmp_path):
    """Teaches a run over each task; the runs, the failures, and what was announced."""

    def taught(limits=(), kept=None, **model):
        config = TeacherConfig(
            model={"model": "m", "base_url": server[1], "output": "auto", **model},
            limits={"attempts": 2, "first_wait": 0.01, "context": 131_072, **dict(limits)},
        )
        said = []
        columns = target_columns(tasks, lessons[1])
        work = [(task, [0]) for task in tasks]
        with store_in(tmp_path / f"store-{len(list(tmp_path.iterdir()))}", tasks) as store:
            for _ in teach_by_models(config, world, work, columns, store, announce=said.append, kept=kept):
                pass
            return list(store), list(store.failed().values()), said

    return taught


def message(body):
    return body["choices"][0]["message"]


def calls(body):
    return message(body).get("tool_calls") or []


def edits(change):
    """A habit of changing the message of each answer."""

    def answers(body):
        change(body, message(body))
        return body

    return answers


def arguments(change):
    """A habit of changing the arguments of each call."""

    def answers(body):
        for call in calls(body):
            call["function"]["arguments"] = change(json.loads(call["function"]["arguments"]))
        return body

    return answers


def as_text(form):
    """A habit of writing the first call as text."""

    def answers(body):
        if calls(body):
            called = calls(body)[0]["function"]
            text = form(called["name"], json.loads(called["arguments"]))
            body["choices"][0] |= {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return body

    return answers


def content(form):
    """A habit of writing around each text."""

    def change(_, said):
        if said.get("content"):
            said["content"] = form(said["content"])

    return edits(change)


def dumped(value):
    return json.dumps(value, ensure_ascii=False)


def labelled(form):
    """A habit of writing labels in another way, where a label stands alone."""

    def relabel(value):
        match value:
            case str() if len(value) == 3 and value[0] == "‹":
                return form(value[1])
            case list():
                return [relabel(entry) for entry in value]
            case dict():
                return {key: value if key == "text" else relabel(value) for key, value in value.items()}
        return value

    def answers(body):
        said = message(body)
        if said.get("content"):
            said["content"] = dumped(relabel(json.loads(said["content"])))
        return arguments(lambda given: dumped(relabel(given)))(body)

    return answers


ANSWERS = {
    "arguments as an object": arguments(lambda given: given),
    "arguments in a fence": arguments(lambda given: f"```json\n{dumped(given)}\n```"),
    "fields of its own": arguments(lambda given: dumped({**given, "explanation": "because"})),
    "lists as text": arguments(
        lambda given: dumped({k: dumped(v) if isinstance(v, list) else v for k, v in given.items()})
    ),
    "tagged calls": as_text(
        lambda name, given: f"<tool_call>\n{dumped({'name': name, 'arguments': given})}\n</tool_call>"
    ),
    "bare calls": as_text(lambda name, given: dumped({"name": name, "arguments": given})),
    "fenced calls": as_text(lambda name, given: f"```json\n{dumped({'name': name, 'parameters': given})}\n```"),
    "calls of llama": as_text(lambda name, given: f"<function={name}>{dumped(given)}</function>"),
    "calls of mistral": as_text(lambda name, given: f"[TOOL_CALLS]{name}[ARGS]{dumped(given)}"),
    "no ids": edits(lambda body, said: [call.update(id="") for call in calls(body)]),
    "null ids": edits(lambda body, said: [call.update(id=None) for call in calls(body)]),
    "the same id for all": edits(lambda body, said: [call.update(id="call_0") for call in calls(body)]),
    "only choices": lambda body: {"choices": [{"message": message(body)}]},
    "no usage": lambda body: {key: value for key, value in body.items() if key != "usage"},
    "null usage": lambda body: body | {"usage": {"prompt_tokens": None}},
    "legacy calls": edits(
        lambda body, said: (
            said.update(function_call=said.pop("tool_calls")[0]["function"]) if calls(body) else 0
        )
    ),
    "empty calls": edits(lambda body, said: said.setdefault("tool_calls", [])),
    "another finish": lambda body: body | {"choices": [{**body["choices"][0], "finish_reason": "eos"}]},
    "null finish": lambda body: body | {"choices": [{**body["choices"][0], "finish_reason": None}]},
    "parts": edits(
        lambda body, said: (
            said.update(content=[{"type": "text", "text": said["content"]}]) if said.get("content") else 0
        )
    ),
    "text beside a call": edits(lambda body, said: said.update(content="Sure!") if calls(body) else 0),
    "reasoning": edits(lambda body, said: said.update(reasoning="Hm.", content=said.get("content") or "")),
    "a stream": lambda body: (
        "data: "
        + json.dumps(body | {"choices": [{"delta": message(body), "finish_reason": "stop"}]})
        + "\n\ndata: [DONE]\n\n"
    ),
    "a fence": content(lambda text: f"Here is my answer:\n```json\n{text}\n```\nI hope this helps!"),
    "thinking": content(lambda text: f"<think>\nLet me look at {{them}}.\n</think>\n\n{text}"),
    "thinking without its first tag": content(lambda text: f"Let me look.\n</think>\n\n{text}"),
    "small labels": labelled(str.lower),
    "dotted labels": labelled(lambda name: f"{name}."),
    "places": labelled(lambda name: str(ord(name) - 64)),
}
IN_TEXT = (
    "tagged calls",
    "parts",
    "a stream",
    "a fence",
    "thinking",
    "thinking without its first tag",
    "places",
)
"""What may differ where the answer is text."""


@pytest.mark.parametrize(
    ("name", "output"), [(name, "auto") for name in ANSWERS] + [(name, "prompted") for name in IN_TEXT]
)
def test_what_a_server_answers_is_read(habits, teach, undisturbed, name, output):
    habits.answers = ANSWERS[name]
    runs, failures, _ = teach(output=output)
    assert not failures
    assert {found.task_id: found.canonical() for found in runs} == {
        task_id: expected.canonical() for task_id, expected in undisturbed.items()
    }
    # One event loop keeps to its connections: those of the runs that went side by side, and no more.
    assert len(habits.peers) <= 8


def refuses(test, said, status=400):
    def asks(body):
        if test(body):
            raise Refused(said, status)

    return asks


def has(name, *allowed):
    return lambda body: name in body and body[name] not in allowed


REFUSES = {
    "a temperature": (has("temperature", 1), "'temperature' does not support this", "leave_out"),
    "max_tokens": (has("max_tokens"), "use 'max_completion_tokens'", 'token_limit = "max_completion_tokens"'),
    "any token limit": (
        lambda body: body.keys() & {"max_tokens", "max_completion_tokens"},
        "unknown parameter: max_tokens",
        'leave_out = ["max_tokens"]',
    ),
    "a forced tool": (has("tool_choice", "auto"), "this tool_choice is not supported", "force_tools = false"),
    "any tool_choice": (has("tool_choice"), "tool_choice is not supported", 'leave_out = ["tool_choice"]'),
    "tools": (has("tools"), "m does not support tools", "tools = false"),
    "system messages": (
        lambda body: any(m["role"] == "system" for m in body["messages"]),
        "System role not supported",
        "system_role = false",
    ),
    "a parameter, without a word": (has("temperature"), "Bad Request", 'leave_out = ["temperature"]'),
    "two things": (
        lambda body: "temperature" in body or body.get("tool_choice") == "required",
        "temperature and tool_choice are not supported",
        'leave_out = ["temperature"], force_tools = false',
    ),
    # These need no other way of asking.
    "null for a text": (
        lambda body: any(m.get("content") is None for m in body["messages"]),
        "nil content",
        "",
    ),
    "two system messages": (
        lambda body: sum(m["role"] == "system" for m in body["messages"]) > 1,
        "roles must alternate",
        "",
    ),
    "strict tools": (lambda body: '"strict"' in json.dumps(body.get("tools")), "Unrecognized key: strict", ""),
    "references": (lambda body: "$defs" in json.dumps(body), "$defs not supported", ""),
    "an object for a choice": (lambda body: isinstance(body.get("tool_choice"), dict), "must be a string", ""),
}


@pytest.mark.parametrize("name", REFUSES)
def test_what_a_server_refuses_is_not_sent(habits, teach, undisturbed, name):
    test, said, settings = REFUSES[name]
    habits.asks = refuses(test, said)
    runs, failures, announced = teach()
    assert not failures and len(runs) == len(undisturbed)
    assert {found.task_id: found.ranking for found in runs} == {
        task_id: expected.ranking for task_id, expected in undisturbed.items()
    }
    assert (settings in announced[0]) if settings else not announced


def test_a_form_that_fails_inside_the_server_is_left(habits, teach):
    # llama.cpp's Python server answers 500 to a json_schema.
    habits.asks = refuses(has("response_format"), "KeyError: 'json_object'", 500)
    runs, _, announced = teach(output="prompted", tools=False)
    assert len(runs) == 2 and 'leave_out = ["response_format"]' in announced[0]


def test_the_form_that_was_asked_for_is_not_exchanged_but_another_is_named(habits, teach):
    habits.asks = refuses(has("tools"), "m does not support tools")
    with pytest.raises(
        ConfigError, match=r"refuses what the agents ask.* With tools = false in \[teacher.model\]"
    ):
        teach(output="prompted")
    runs, failures, _ = teach(output="prompted", tools=False)
    assert len(runs) == 2 and not failures


def test_how_a_model_is_asked_is_decided_once_a_run(habits, teach, tmp_path):
    kept = tmp_path / "run" / "ways.json"
    kept.parent.mkdir()
    habits.asks = refuses(has("temperature"), "no temperature, please")
    assert len(teach(kept=kept)[2]) == 1
    habits.asked.clear()
    assert teach(kept=kept)[2] == []
    assert not any("temperature" in body for body in habits.asked)
    kept.write_text("[]")
    with pytest.raises(ConfigError, match=r"ways.json does not say how models are asked.*Delete it"):
        teach(kept=kept)


def test_a_model_that_writes_nothing_readable_is_refused_before_its_runs(habits, teach):
    habits.answers = lambda body: (
        body | {"choices": [{"message": {"content": "As an AI model, I would say A."}}]}
    )
    with pytest.raises(ConfigError, match=r"'m' at .* cannot play the agents.*corrected 2 times in vain"):
        teach()


def decision(body):
    """The call with the Ranker's order, or None."""
    return next(
        (call for call in calls(body) if json.loads(call["function"]["arguments"]).keys() == {"order"}), None
    )


def unreadable(body):
    """The body, with an order that names no candidate."""
    decision(body)["function"]["arguments"] = json.dumps({"order": ["none of them", "the other"]})
    return body


def test_an_order_without_a_label_goes_back_for_correction(habits, teach, undisturbed):
    def first_time(body):
        corrected = "is the label of a candidate" in json.dumps(habits.asked[-1])
        return unreadable(body) if decision(body) and not corrected else body

    habits.answers = first_time
    runs, failures, _ = teach({"concurrency": 1})
    assert not failures
    assert {found.task_id: found.ranking for found in runs} == {
        task_id: expected.ranking for task_id, expected in undisturbed.items()
    }
    # Once in the try-out and once in each run.
    sent_back = [body for body in habits.asked if "is the label of a candidate" in json.dumps(body)]
    assert len(sent_back) == 1 + 2


def after_one_run(change):
    """A habit that begins after the first decision, which is the try-out's."""
    decisions = []

    def answers(body):
        if decisions:
            return change(body)
        if decision(body):
            decisions.append(body)
        return body

    return answers


def test_an_order_without_a_label_is_no_run_in_the_end(habits, teach):
    habits.answers = after_one_run(lambda body: unreadable(body) if decision(body) else body)
    runs, failures, _ = teach()
    assert not runs
    assert [(failure.agent, failure.reason) for failure in failures] == [("ranker", "invalid")] * 2
    assert statistics(runs, failures)["failures"] == {"invalid": 2}


def test_repairs_are_counted(habits, teach):
    habits.answers = ANSWERS["fields of its own"]
    runs, _, _ = teach()
    found = statistics(runs)["repairs"]
    # At least the answers of planner, an analyst, reflector and ranker of each run.
    assert found["runs"] == 2 and found["by_kind"]["extra fields"] >= 4 * 2
    habits.answers = lambda body: body
    assert statistics(teach()[0])["repairs"] == {"runs": 0, "by_kind": {}}


def test_teaching_ends_when_the_first_runs_all_fail_alike(habits, world, lessons, server, tmp_path):
    tasks, targets, _ = lessons
    habits.app = policy_app(world, {task.task_id: task for task in tasks})
    config = TeacherConfig(
        model={"model": "m", "base_url": server[1]},
        limits={"attempts": 1, "context": 131_072, "concurrency": 4},
    )
    cannot = {"choices": [{"message": {"content": "I cannot."}, "finish_reason": "stop"}]}
    habits.answers = after_one_run(lambda body: body | cannot)
    assert len(tasks) > 24
    with store_in(tmp_path / "store", tasks) as store:
        work = [(task, [0]) for task in tasks]
        taught = teach_by_models(
            config, world, work, target_columns(tasks, targets), store, announce=lambda line: None
        )
        said = r"first 2\d runs all failed alike \(invalid\).*`output` in \[teacher.model\].*--retry-failed"
        with pytest.raises(RunError, match=said):
            list(taught)
        # Those that were under way are stored as well, and no others were begun.
        assert store.count == 0 and 20 <= len(store.failed()) <= 24
