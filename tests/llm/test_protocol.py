"""What servers send in place of a chat completion, and what they are sent."""

import json

import pytest
from openai.types.chat import ChatCompletion

from starrec.llm.protocol import ServerError, completion, request_body
from starrec.llm.ways import Ways, alternatives

WAYS = Ways("tool", True)
CALL = {"id": "call_1", "type": "function", "function": {"name": "item_cf", "arguments": '{"window":"whole"}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "item_cf",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"of": {"$ref": "#/$defs/Of"}},
            "$defs": {"Of": {"type": "array", "items": {"$ref": "#/$defs/Label"}}, "Label": {"type": "string"}},
        },
    },
}


def body(message, **more):
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return whole | {"choices": [choice]} | more


def read(given):
    """The message and the choice of the completion, which the client's own model accepts."""
    completed = completion(given if isinstance(given, str) else json.dumps(given))
    choice = completed["choices"][0]
    # Of finish reasons pydantic-ai takes any text, and none at all.
    assert choice["finish_reason"] is None or isinstance(choice["finish_reason"], str)
    ChatCompletion.model_validate({**completed, "choices": [{**choice, "finish_reason": "stop"}]}, strict=True)
    return choice["message"], completed


CALLS = {
    "object": {**CALL, "function": {"name": "item_cf", "arguments": {"window": "whole"}}},
    "parameters": {**CALL, "function": {"name": "item_cf", "parameters": {"window": "whole"}}},
    "no frame": {"name": "item_cf", "arguments": '{"window":"whole"}'},
    "no type": {"id": "call_1", "function": CALL["function"]},
    "number": {**CALL, "id": 7},
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_in_another_form(call):
    message, _ = read(body({"content": None, "tool_calls": [call]}))
    (found,) = message["tool_calls"]
    assert found["function"]["name"] == "item_cf"
    assert json.loads(found["function"]["arguments"]) == {"window": "whole"}
    assert found["id"] and found["type"] == "function"


@pytest.mark.parametrize("name", ["", None, "missing", "same"])
def test_calls_are_told_apart_where_the_server_does_not(name):
    call = {key: value for key, value in CALL.items() if key != "id"}
    named = call if name == "missing" else {**call, "id": name}
    message, _ = read(body({"content": None, "tool_calls": [named, named]}))
    assert len({found["id"] for found in message["tool_calls"]}) == 2


def test_the_oldest_form_of_a_call_and_one_that_stands_alone():
    for given in ({"function_call": CALL["function"]}, {"tool_calls": CALL}):
        message, _ = read(body({"content": "", **given}))
        assert [found["function"]["name"] for found in message["tool_calls"]] == ["item_cf"]
    for none in (None, [], "", "none"):
        message, _ = read(body({"content": "x", "tool_calls": none}))
        assert "tool_calls" not in message


ENVELOPES = {
    "bare": {"choices": [{"message": {"content": "x"}}]},
    "in a list": [body({"content": "x"})],
    "ollama": {"model": "m", "message": {"role": "assistant", "content": "x"}, "done": True},
    "completion": {"choices": [{"text": "x", "finish_reason": "stop"}]},
    "nulls": body({"content": "x"}, id=None, created=None, model=None, usage=None, system_fingerprint=7),
    "odd usage": body({"content": "x"}, usage={"prompt_tokens": 3.0, "completion_tokens": None, "x": "y"}),
    "null error": body({"content": "x"}, error=None),
    "odd extras": body({"content": "x", "annotations": "?", "audio": 1}, service_tier=[1], metadata=[]),
    "text of a number": body({"content": "x"}, created="now", id=12),
}


@pytest.mark.parametrize("given", ENVELOPES.values(), ids=ENVELOPES)
def test_an_envelope_of_another_kind(given):
    message, _ = read(given)
    assert message["content"] == "x"


def test_counts_are_kept_where_they_are_counts():
    usage = {
        "prompt_tokens": 3.0,
        "completion_tokens": None,
        "prompt_tokens_details": {"cached_tokens": 2, "x": None},
    }
    _, completed = read(body({"content": "x"}, usage=usage))
    assert completed["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 0,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 2},
    }


@pytest.mark.parametrize("finish", ["stop", "eos", "tool_calls", None, "", {"type": "eos"}])
def test_any_end_that_is_no_stream_is_an_end(finish):
    given = body({"content": "x"})
    given["choices"][0]["finish_reason"] = finish
    message, _ = read(given)
    assert message["content"] == "x"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "no", "code": 429}, 429),
        ({"message": "no", "code": "503"}, 503),
        ({"message": "no", "type": "rate_limit_error"}, 429),
        ({"message": "no", "type": "invalid_request_error"}, 400),
        ({"message": "no"}, 500),
        ("no", 500),
    ],
)
def test_an_error_with_the_status_of_a_success(error, status):
    with pytest.raises(ServerError, match="no") as caught:
        completion(json.dumps({"error": error}))
    assert caught.value.status == status


def test_a_stream_that_nobody_asked_for_is_put_together_unless_it_is_cut_off():
    def event(**delta):
        return "data: " + json.dumps({"id": "7", "choices": [{"index": 0, "delta": delta}]})

    function = {"name": "item_cf", "arguments": '{"window":'}
    rest = [{"index": 0, "function": {"arguments": '"whole"}'}}]
    events = [
        ": keep-alive",
        event(role="assistant", content="Let "),
        event(content="me see."),
        event(tool_calls=[{"index": 0, "id": "a", "function": function}]),
        event(tool_calls=rest),
    ]
    end = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}'
    message, completed = read("\n\n".join([*events, end, "data: [DONE]"]))
    assert message["content"] == "Let me see." and completed["id"] == "7"
    assert message["tool_calls"][0]["function"] == {"name": "item_cf", "arguments": '{"window":"whole"}'}
    # llama.cpp's server ends a stream that another request has cut off in an ordinary [DONE].
    with pytest.raises(ServerError, match="cut off"):
        completion("\n\n".join([*events, "data: [DONE]"]))


@pytest.mark.parametrize("text", ["<html>502</html>", "", "Not found", '{"id": "1", "choi'])
def test_what_is_no_json_is_said(text):
    with pytest.raises(ValueError):
        completion(text)


def test_a_request_keeps_to_what_all_servers_take():
    given = {
        "messages": [
            {"role": "system", "content": "One."},
            {"role": "system", "content": "Two."},
            {"role": "user", "content": "Three."},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ],
        "tools": [TOOL, {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "item_cf"}},
        "temperature": 0.8,
        "max_tokens": 5,
    }
    before = json.dumps(given)
    sent = request_body(given, WAYS)
    assert json.dumps(given) == before
    assert [m["role"] for m in sent["messages"]] == ["system", "user", "assistant"]
    assert sent["messages"][0]["content"] == "One.\n\nTwo." and sent["messages"][2]["content"] == ""
    assert sent["tool_choice"] == "required" and [t["function"]["name"] for t in sent["tools"]] == ["item_cf"]
    parameters = sent["tools"][0]["function"]["parameters"]
    assert parameters == {
        "type": "object",
        "properties": {"of": {"type": "array", "items": {"type": "string"}}},
    }
    assert "strict" not in sent["tools"][0]["function"]
    assert sent["temperature"] == 0.8 and sent["max_tokens"] == 5


def test_a_request_leaves_out_or_names_otherwise_what_a_server_refuses():
    given = {
        "messages": [{"role": "system", "content": "One."}, {"role": "user", "content": "Two."}],
        "tools": [TOOL],
        "tool_choice": "required",
        "temperature": 0.8,
        "max_tokens": 5,
        "response_format": {"type": "json_object"},
    }
    ways = Ways(
        "prompted",
        True,
        temperature=False,
        token_limit="max_completion_tokens",
        tool_choice="auto",
        response_format=False,
        system_role=False,
    )
    sent = request_body(given, ways)
    assert not sent.keys() & {"temperature", "max_tokens", "response_format"}
    assert sent["max_completion_tokens"] == 5 and sent["tool_choice"] == "auto"
    assert sent["messages"] == [{"role": "user", "content": "One.\n\nTwo."}]
    none = request_body(given, Ways("tool", True, token_limit=None, tool_choice=None))
    assert not none.keys() & {"max_tokens", "max_completion_tokens", "tool_choice"}


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("'temperature' does not support 0.8 with this model", 'leave_out = ["temperature"]'),
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'",
            'token_limit = "max_completion_tokens"',
        ),
        ("this tool_choice is not supported", "force_tools = false"),
        ("model does not support tools", 'output = "prompted", tools = false'),
        ("System role not supported", "system_role = false"),
        ("'response_format.type' must be 'json_schema' or 'text'", 'output = "json_schema"'),
    ],
)
def test_what_a_refusal_points_at_is_tried_first(said, settings):
    first = next(alternatives(WAYS, said, refused=True, same_form=False))
    assert first.settings(WAYS) == settings


def test_a_form_that_was_chosen_stays():
    for refused in (True, False):
        tried = list(alternatives(WAYS, "no", refused=refused, same_form=True))
        assert {(ways.output, ways.tools) for ways in tried} <= {("tool", True)}
