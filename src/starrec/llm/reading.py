"""What a model means by its response: calls that it wrote as text, arguments and answers that almost fit.

pydantic-ai validates strictly and sends back what does not fit, which costs a request each time and ends a
run where the model's habit stays. So a response is first read as a person would read it. Everything that was
read otherwise than it was written is counted by kind in the response's `metadata`, so that statistics can say
how often.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic_ai import ModelSettings
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.tools import ToolDefinition

from starrec.llm.calls import calls, tool_name, without_thought
from starrec.llm.mending import Repairs, mended, parsed, values

REPAIRS: Final = "starrec_repairs"
"""Key of a response's metadata: {kind: how often}."""
_FENCED: Final = re.compile(r"\s*```\w*\s*(.*?)\s*```\s*", re.DOTALL)


class Reading(WrapperModel):
    """A model whose responses are read with good will."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        return read(response, model_request_parameters)


def read(response: ModelResponse, parameters: ModelRequestParameters) -> ModelResponse:
    """The response as it was meant, for what was asked."""
    tools = {tool.name: tool for tool in [*parameters.function_tools, *parameters.output_tools]}
    repairs: Repairs = {}
    parts = _unthinking(response.parts)
    if not any(isinstance(part, ToolCallPart) for part in parts):
        parts = _with_calls(parts, parameters, tools, repairs)
    called = any(isinstance(part, ToolCallPart) for part in parts)
    schema = parameters.output_object.json_schema if parameters.output_object else None
    made: list[ModelResponsePart] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            made.append(_call(part, tools, repairs))
        elif isinstance(part, TextPart) and schema is not None and not called:
            made.append(replace(part, content=_answer(part.content, schema, repairs)))
        else:
            made.append(part)
    if repairs:
        return replace(response, parts=made, metadata={**(response.metadata or {}), REPAIRS: repairs})
    return replace(response, parts=made)


def repairs_of(messages: Sequence[ModelMessage]) -> Repairs:
    """What was read otherwise than it was written in a conversation."""
    total: Repairs = {}
    for message in messages:
        counted = (message.metadata or {}).get(REPAIRS, {}) if isinstance(message, ModelResponse) else {}
        for kind, count in counted.items():
            total[kind] = total.get(kind, 0) + count
    return total


def _unthinking(parts: Sequence[ModelResponsePart]) -> list[ModelResponsePart]:
    kept: list[ModelResponsePart] = []
    for part in parts:
        if isinstance(part, TextPart) and (text := without_thought(part.content)) != part.content:
            if text.strip():
                kept.append(replace(part, content=text))
        else:
            kept.append(part)
    return kept


def _with_calls(
    parts: Sequence[ModelResponsePart],
    parameters: ModelRequestParameters,
    tools: Mapping[str, ToolDefinition],
    repairs: Repairs,
) -> list[ModelResponsePart]:
    """The parts, with calls in place of the text that they were written in."""
    text = "\n".join(part.content for part in parts if isinstance(part, TextPart))
    if parameters.output_object is not None:
        # Where text is how to answer, it is a call only if it is no answer.
        wanted = _keys(parameters.output_object.json_schema)
        if any(isinstance(value, dict) and value.keys() & wanted for value, _, _ in values(text)):
            return list(parts)
    found = calls(text, tools)
    made = [ToolCallPart(call.name, call.arguments) for call in found]
    if not made and not parameters.allow_text_output and len(parameters.output_tools) == 1:
        # An answer that should have been a call, and stands there alone.
        output = parameters.output_tools[0]
        wanted = output.parameters_json_schema.get("properties", {}).keys()
        given = [value for value, _, _ in values(text) if isinstance(value, dict) and value.keys() & wanted]
        made = [ToolCallPart(output.name, given[-1])] if given else []
    if not made:
        return list(parts)
    repairs["call as text"] = len(made)
    return [*(part for part in parts if not isinstance(part, TextPart)), *made]


def _call(part: ToolCallPart, tools: Mapping[str, ToolDefinition], repairs: Repairs) -> ToolCallPart:
    name = tool_name(part.tool_name, tools)
    if name not in tools:
        return part
    if name != part.tool_name:
        repairs["names"] = repairs.get("names", 0) + 1
    arguments: Any = part.args
    plain = True
    if isinstance(arguments, str) and arguments.strip():
        arguments, plain = parsed(arguments)
        if isinstance(arguments, str):
            # JSON within JSON.
            arguments, plain = parsed(arguments)[0], False
        if not isinstance(arguments, dict):
            return part if name == part.tool_name else replace(part, tool_name=name)
        if not plain:
            repairs["arguments"] = repairs.get("arguments", 0) + 1
    if not isinstance(arguments, dict):
        arguments = {}
    fitting = mended(arguments, tools[name].parameters_json_schema, repairs)
    if name == part.tool_name and plain and fitting == arguments and part.args:
        return part
    return replace(part, tool_name=name, args=fitting)


def _answer(text: str, schema: Mapping[str, Any], repairs: Repairs) -> str:
    """The text of an answer as JSON of the schema; as it is where there is none in it."""
    value, plain = parsed(text)
    if not plain:
        found = [value for value, _, _ in values(text)]
        fitting = [value for value in found if isinstance(value, dict) and value.keys() & _keys(schema)]
        value = next(reversed(fitting or found), None)
    value = _framed(value, schema, repairs)
    if not isinstance(value, dict):
        return text
    if not plain and not _FENCED.fullmatch(text):
        repairs["text around an answer"] = repairs.get("text around an answer", 0) + 1
    return json.dumps(mended(value, schema, repairs), ensure_ascii=False)


def _branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The answers among which a model may choose: pydantic-ai asks for `{"result": {"kind": …, "data": …}}`."""
    result = schema.get("properties", {}).get("result", {})
    return [branch.get("properties", {}) for branch in result.get("anyOf", ())]


def _keys(schema: Mapping[str, Any]) -> set[str]:
    """Keys by which an answer is known."""
    branches = _branches(schema)
    inner = [branch.get("data", {}).get("properties", {}) for branch in branches]
    frame = ("kind", "data") if branches else ()
    return {*schema.get("properties", {}), *frame, *(key for one in inner for key in one)}


def _framed(value: Any, schema: Mapping[str, Any], repairs: Repairs) -> Any:
    """The value within the frame that the schema asks for, where a model left that out."""
    properties = schema.get("properties", {})
    framed = value
    if isinstance(value, list) and len(properties) == 1 and _only(properties).get("type") == "array":
        framed = {next(iter(properties)): value}
    elif isinstance(value, dict) and "result" not in value and (branches := _branches(schema)):
        if value.keys() == {"kind", "data"}:
            framed = {"result": value}
        else:
            best = max(branches, key=lambda one: len(value.keys() & one["data"].get("properties", {}).keys()))
            framed = {"result": {"kind": best["kind"]["const"], "data": value}}
    if framed is not value:
        repairs["frame"] = repairs.get("frame", 0) + 1
    return framed


def _only(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    (schema,) = properties.values()
    return schema if isinstance(schema, Mapping) else {}
