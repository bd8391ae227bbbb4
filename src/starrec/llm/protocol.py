"""OpenAI's chat-completions protocol as servers really speak it, made into what the standard says.

`request_body` writes a request in the ways of one server; `completion` reads a response body. Both are pure
functions of JSON values. What a model means by its answer is read later (`llm.reading`); here only the
envelope is put right: fields that are missing, null or of another type, names of other versions of the
protocol, an error under HTTP 200, a stream where none was asked for.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from starrec.llm.ways import Ways

Body = dict[str, Any]

_SEPARATOR: Final = "\n\n"
_INSTRUCTING: Final = ("system", "developer")


class ServerError(Exception):
    """An error that a server reported with the status of a success, or a body that is no answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def request_body(body: Body, ways: Ways) -> Body:
    """The body of a request, in these ways."""
    sent = dict(body)
    sent["messages"] = _messages(body.get("messages", []), ways.system_role)
    if not ways.temperature:
        sent.pop("temperature", None)
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and name != ways.token_limit:
            limit = sent.pop(name)
            if ways.token_limit:
                sent[ways.token_limit] = limit
    if "tool_choice" in sent:
        _choose_tool(sent, ways)
    if "tools" in sent:
        sent["tools"] = [
            {**tool, "function": _plain_schema(tool["function"], "parameters")} for tool in sent["tools"]
        ]
    if (form := sent.get("response_format", {}).get("json_schema")) is not None:
        sent["response_format"] = {**sent["response_format"], "json_schema": _plain_schema(form, "schema")}
    if not ways.response_format and sent.get("response_format") == {"type": "json_object"}:
        del sent["response_format"]
    return sent


def _messages(messages: Sequence[Body], system_role: bool) -> list[Body]:
    """With one system message at most, the first one, and no null for a text."""
    instructions = [str(m["content"]) for m in messages if m.get("role") in _INSTRUCTING]
    # The standard allows null beside tool calls; several servers do not.
    sent = [
        {**m, "content": ""} if m.get("role") == "assistant" and m.get("content") is None else m
        for m in messages
        if m.get("role") not in _INSTRUCTING
    ]
    if not instructions:
        return sent
    text = _SEPARATOR.join(instructions)
    first = next((at for at, m in enumerate(sent) if m.get("role") == "user"), None)
    if system_role or first is None or not isinstance(sent[first].get("content"), str):
        return [{"role": "system", "content": text}, *sent]
    sent[first] = {**sent[first], "content": _SEPARATOR.join([text, sent[first]["content"]])}
    return sent


def _plain_schema(named: Body, key: str) -> Body:
    """A tool or an answer whose schema holds no references, and which claims no strictness."""
    schema = dict(named[key])
    definitions = schema.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if name := str(value.get("$ref", "")).removeprefix("#/$defs/"):
                beside = {key: entry for key, entry in value.items() if key != "$ref"}
                return {**inlined(definitions[name]), **beside}
            return {key: inlined(entry) for key, entry in value.items()}
        return [inlined(entry) for entry in value] if isinstance(value, list) else value

    return {**{key: entry for key, entry in named.items() if key != "strict"}, key: inlined(schema)}


def _choose_tool(sent: Body, ways: Ways) -> None:
    choice = sent["tool_choice"]
    if isinstance(choice, dict):
        # That tool alone, and "required", is the same; some servers know no object here.
        name = choice.get("function", {}).get("name")
        tools = [tool for tool in sent.get("tools", []) if tool.get("function", {}).get("name") == name]
        if tools:
            sent["tools"], choice = tools, "required"
    if choice == "required" and ways.tool_choice == "auto":
        choice = "auto"
    if ways.tool_choice is None:
        del sent["tool_choice"]
    else:
        sent["tool_choice"] = choice


def completion(text: str) -> Body:
    """The body of a response as a chat completion, whatever the server left out or called otherwise.

    Raises:
        ServerError: it is an error, with the status that it should have had; or a stream that does not end.
        ValueError: it is no JSON, or holds no choice.
    """
    stripped = text.lstrip("\ufeff \t\r\n")
    body = _streamed(stripped) if stripped.startswith(("data:", "event:", ":")) else json.loads(stripped)
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    choice = _choice(body) if isinstance(body, dict) else None
    if choice is None:
        if isinstance(body, dict) and body.get("error"):
            raise _reported(body["error"])
        raise ValueError("the body holds no choice")
    message = choice.get("message")
    finish = choice.get("finish_reason")
    completed: Body = {
        "id": _text(body.get("id")),
        "object": "chat.completion",
        "created": int(body["created"]) if isinstance(body.get("created"), int | float) else 0,
        "model": _text(body.get("model")),
        "choices": [
            {
                "index": 0,
                # Null means an end that the server does not name; only a stream can be cut off without one.
                "finish_reason": finish if isinstance(finish, str) and finish else None,
                "message": _message(message if isinstance(message, dict) else {}),
            }
        ],
    }
    if usage := _usage(body.get("usage")):
        completed["usage"] = usage
    return completed


def _choice(body: Body) -> Body | None:
    """The first choice, as newer and older versions of the protocol and Ollama's own write it."""
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice: Body = choices[0]
        if "message" not in choice and isinstance(choice.get("text"), str):
            return {**choice, "message": {"content": choice["text"]}}
        return choice if isinstance(choice.get("message"), dict) else None
    if isinstance(body.get("message"), dict) and not body.get("error"):
        return {"message": body["message"], "finish_reason": body.get("done_reason")}
    return None


def _message(message: Body) -> Body:
    content = message.get("content")
    if isinstance(content, dict):
        content = json.dumps(content, ensure_ascii=False)
    completed: Body = {"role": "assistant", "content": content if isinstance(content, str | list) else None}
    for name in ("refusal", "reasoning", "reasoning_content"):
        if isinstance(message.get(name), str) and message[name]:
            completed[name] = message[name]
    calls = message.get("tool_calls") or message.get("function_call") or []
    if isinstance(calls, dict):
        calls = [calls]
    if read := list(_calls(calls if isinstance(calls, list) else [])):
        completed["tool_calls"] = read
    return completed


def _calls(calls: Iterable[Any]) -> Iterable[Body]:
    known: set[str] = set()
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        function = function if isinstance(function, dict) else call
        name = function.get("name")
        if not isinstance(name, str) or not name:
            continue
        arguments: Any = next(
            (function[key] for key in ("arguments", "parameters", "args", "input") if key in function), {}
        )
        if not isinstance(arguments, str):
            arguments = json.dumps({} if arguments is None else arguments, ensure_ascii=False)
        name_of_call = _text(call.get("id"))
        if not name_of_call or name_of_call in known:
            # Some servers know a call by nothing, or all of them by one name.
            name_of_call = f"call_{uuid.uuid4().hex[:24]}"
        known.add(name_of_call)
        # An empty text is how some servers say that there are none.
        yield {
            "id": name_of_call,
            "type": "function",
            "function": {"name": name, "arguments": arguments or "{}"},
        }


def _usage(usage: Any) -> Body:
    """Counts that are whole numbers; nothing where there is no usage."""
    if not isinstance(usage, dict):
        return {}
    counted: Body = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            counted[name] = {key: int(one) for key, one in value.items() if _is_count(one)}
        elif _is_count(value):
            counted[name] = int(value)
    if "prompt_tokens" not in counted and "completion_tokens" not in counted:
        return {}
    prompt, answer = counted.setdefault("prompt_tokens", 0), counted.setdefault("completion_tokens", 0)
    counted.setdefault("total_tokens", prompt + answer)
    return counted


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == value // 1


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list | bool) else str(value)


def _reported(error: Any) -> ServerError:
    message, code = str(error), None
    if isinstance(error, Mapping):
        message = str(error.get("message") or error)
        code = next((error[key] for key in ("status", "code", "type") if error.get(key) is not None), None)
    kind = str(code).lower()
    if kind.isdecimal() and 400 <= int(kind) < 600:
        return ServerError(message, int(kind))
    if "rate" in kind or "quota" in kind:
        return ServerError(message, 429)
    return ServerError(message, 400 if "invalid" in kind or "bad_request" in kind else 500)


def _streamed(text: str) -> Body:
    """What the events of a stream add up to.

    Raises:
        ServerError: it ends before its answer does.
    """
    message: Body = {"content": ""}
    calls: dict[int, Body] = {}
    head: Body = {}
    finish = None
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data in ("", "[DONE]"):
            continue
        event = json.loads(data)
        if event.get("error"):
            raise _reported(event["error"])
        head |= {key: value for key, value in event.items() if key != "choices" and value is not None}
        for choice in event.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            delta = choice.get("delta") or {}
            message["content"] += delta.get("content") or ""
            for at, call in enumerate(delta.get("tool_calls") or ()):
                _add_call(calls.setdefault(call.get("index", at), {"name": "", "arguments": ""}), call)
    if finish is None:
        raise ServerError("the server sent a stream, although none was asked for, and it was cut off", 502)
    if calls:
        message["tool_calls"] = list(calls.values())
    return {**head, "choices": [{"message": message, "finish_reason": finish}]}


def _add_call(call: Body, delta: Body) -> None:
    function = delta.get("function") or {}
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""
    if delta.get("id"):
        call["id"] = delta["id"]
