"""What models write in place of a call or an answer, and what they mean by it."""

import json

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from starrec.llm.mending import mended, parsed
from starrec.llm.reading import read, repairs_of


class Decision(BaseModel):
    order: list[str]


SEARCH = ToolDefinition(
    name="search",
    parameters_json_schema={
        "type": "object",
        "properties": {
            "window": {"type": "string", "enum": ["recent", "whole"]},
            "candidates": {"type": "array", "items": {"type": "string"}},
        },
        "additionalProperties": False,
    },
)
PROFILE = ToolDefinition(
    name="profile", parameters_json_schema={"type": "object", "properties": {}, "additionalProperties": False}
)
RESULT = ToolDefinition(name="final_result", parameters_json_schema=Decision.model_json_schema(), kind="output")
AS_TOOL = ModelRequestParameters(
    function_tools=[SEARCH, PROFILE], output_mode="tool", output_tools=[RESULT], allow_text_output=False
)
AS_TEXT = ModelRequestParameters(
    function_tools=[SEARCH, PROFILE],
    output_mode="prompted",
    output_object=OutputObjectDefinition(json_schema=Decision.model_json_schema()),
    allow_text_output=True,
)
ARGUMENTS = {"window": "whole", "candidates": ["A"]}
JSON = json.dumps(ARGUMENTS)


def called(text, asked=AS_TOOL):
    """The calls in a text, as (name, arguments)."""
    response = read(ModelResponse(parts=[TextPart(text)]), asked)
    return [(p.tool_name, p.args_as_dict()) for p in response.parts if isinstance(p, ToolCallPart)]


TEXTS = {
    "hermes": f'<tool_call>\n{{"name": "search", "arguments": {JSON}}}\n</tool_call>',
    "hermes, not closed": f'<tool_call>{{"name": "search", "arguments": {JSON}}}',
    "bare": f'{{"name": "search", "arguments": {JSON}}}',
    "fenced": f'I look it up.\n```json\n{{"name": "search", "arguments": {JSON}}}\n```',
    "openai's own": json.dumps(
        {"tool_calls": [{"type": "function", "function": {"name": "search", "arguments": JSON}}]}
    ),
    "legacy": f'{{"function_call": {{"name": "search", "arguments": {JSON}}}}}',
    "llama, python tag": f'<|python_tag|>{{"type": "function", "name": "search", "parameters": {JSON}}}',
    "llama, function": f"<function=search>{JSON}</function>",
    "llama, pythonic": '[search(window="whole", candidates=["A"])]',
    "mistral": f'[TOOL_CALLS] [{{"name": "search", "arguments": {JSON}}}]',
    "mistral, newer": f"[TOOL_CALLS]search[ARGS]{JSON}",
    "qwen coder": "<tool_call>\n<function=search>\n<parameter=window>\nwhole\n</parameter>\n"
    '<parameter=candidates>\n["A"]\n</parameter>\n</function>\n</tool_call>',
    "kimi": f"<|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{JSON}<|tool_call_end|>",
    "deepseek": f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>search\n```json\n{JSON}\n```<｜tool▁call▁end｜>",
    "functions.": f'{{"name": "functions.search", "arguments": {JSON}}}',
    "action": f'{{"action": "search", "action_input": {JSON}}}',
    "flat": '{"tool": "search", "window": "whole", "candidates": ["A"]}',
    "trailing comma": '{"name": "search", "arguments": {"window": "whole", "candidates": ["A",],},}',
    "single quotes": "{'name': 'search', 'arguments': {'window': 'whole', 'candidates': ['A']}}",
    "after a thought": f'I will call it.\n</think>\n{{"name": "search", "arguments": {JSON}}}',
    "gpt-oss": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"
    f'{{"name": "search", "arguments": {JSON}}}',
}


@pytest.mark.parametrize("asked", [AS_TOOL, AS_TEXT], ids=["tool", "prompted"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_call_as_text(text, asked):
    assert called(text, asked) == [("search", ARGUMENTS)]


def test_several_calls_as_text_keep_their_order():
    text = (
        '<tool_call>{"name": "profile"}</tool_call>\n<tool_call>{"name": "search", "arguments": {}}</tool_call>'
    )
    assert called(text) == [("profile", {}), ("search", {})]


@pytest.mark.parametrize(
    "text",
    [
        "I would search for A.",
        '{"name": "delete", "arguments": {}}',
        "search",
        "",
        "{",
        "[" * 5000,
        "search(" * 500,
    ],
)
def test_what_calls_no_tool_stays_text(text):
    assert called(text) == []


def test_an_answer_as_text_where_a_call_was_wanted():
    assert called('My order:\n```json\n{"order": ["B", "A"]}\n```') == [("final_result", {"order": ["B", "A"]})]


def test_a_call_is_no_answer_and_an_answer_no_call():
    assert called('{"order": ["search", "B"]}', AS_TEXT) == []


def fitted(args, tool="search"):
    response = read(ModelResponse(parts=[ToolCallPart(tool, args)]), AS_TOOL)
    (part,) = response.parts
    assert isinstance(part, ToolCallPart)
    return part.tool_name, part.args_as_dict(), repairs_of([response])


@pytest.mark.parametrize(
    ("args", "meant", "repair"),
    [
        (JSON, ARGUMENTS, None),
        (f"```json\n{JSON}\n```", ARGUMENTS, "arguments"),
        (f"Sure! {JSON}", ARGUMENTS, "arguments"),
        (json.dumps(JSON), ARGUMENTS, "arguments"),
        ('{"window": "whole", "candidates": ["A"], "explanation": "because"}', ARGUMENTS, "extra fields"),
        ('{"window": "whole", "candidates": "[\\"A\\"]"}', ARGUMENTS, "list as text"),
        ('{"window": "whole", "candidates": "A, B"}', {**ARGUMENTS, "candidates": ["A", "B"]}, "list as text"),
        (
            '{"window": "whole", "candidates": "‹A›‹B›"}',
            {**ARGUMENTS, "candidates": ["‹A›", "‹B›"]},
            "list as text",
        ),
        ('{"window": "Whole", "Candidates": ["A"]}', ARGUMENTS, "names"),
        (f'{{"parameters": {JSON}}}', ARGUMENTS, "object in a frame"),
        ('{"window": "whole", "candidates": null}', {"window": "whole"}, None),
        ("", {}, None),
        (None, {}, None),
    ],
)
def test_arguments_that_almost_fit(args, meant, repair):
    name, found, repairs = fitted(args)
    assert (name, found) == ("search", meant)
    assert set(repairs) == ({repair} if repair else set())


def test_what_cannot_be_read_is_left_for_the_model_to_correct():
    response = read(ModelResponse(parts=[ToolCallPart("search", "no JSON")]), AS_TOOL)
    assert response.parts == [ToolCallPart("search", "no JSON", tool_call_id=response.parts[0].tool_call_id)]


@pytest.mark.parametrize(
    "text",
    [
        '{"order": ["B", "A"]}',
        '```json\n{"order": ["B", "A"]}\n```',
        'Here {is} my answer:\n```json\n{"order": ["B", "A"]}\n```\nI hope this helps!',
        'Let me look at {A}.\n</think>\n\n{"order": ["B", "A"]}',
        '{"order": "B, A"}',
        '{"order": ["B", "A"], "why": "because"}',
        '{"Decision": {"order": ["B", "A"]}}',
        '["B", "A"]',
        "{'order': ['B', 'A'],}",
    ],
)
def test_an_answer_as_text(text):
    response = read(ModelResponse(parts=[TextPart(text)]), AS_TEXT)
    (part,) = response.parts
    assert isinstance(part, TextPart) and json.loads(part.content) == {"order": ["B", "A"]}


def test_one_of_several_answers_without_its_frame():
    data = Decision.model_json_schema()
    other = {"type": "object", "properties": {"calls": {"type": "array"}}}
    branches = [
        {"properties": {"kind": {"const": "Calls"}, "data": other}},
        {"properties": {"kind": {"const": "Decision"}, "data": data}},
    ]
    schema = {"type": "object", "properties": {"result": {"anyOf": branches}}, "required": ["result"]}
    asked = ModelRequestParameters(
        output_mode="prompted", output_object=OutputObjectDefinition(json_schema=schema), allow_text_output=True
    )
    inner = {"kind": "Decision", "data": {"order": ["B"]}}
    for text in ({"order": ["B"]}, inner, {"result": inner}):
        (part,) = read(ModelResponse(parts=[TextPart(json.dumps(text))]), asked).parts
        assert isinstance(part, TextPart) and json.loads(part.content) == {"result": inner}


def test_a_value_that_fits_is_not_touched():
    repairs = {}
    value = {"order": ["A"]}
    assert mended(value, Decision.model_json_schema(), repairs) == value and not repairs
    assert parsed('{"a": 1}') == ({"a": 1}, True)
