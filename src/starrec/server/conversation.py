"""A chat-completions request of starrec's agents: the agent's input, and the tool calls made so far."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from starrec.errors import StarrecError
from starrec.teacher import Check, Finding, Plan, Verdict
from starrec.teacher import Request as SentBack
from starrec.teacher.agents import Answer
from starrec.teacher.naming import Candidates, candidates
from starrec.tools import TOOLS

_NOT_ARGUMENTS: Final = ("tool", "answer", "refused")


class Refused(StarrecError):
    """A request that cannot be answered; the response has this HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Function(BaseModel):
    name: str
    arguments: str = "{}"


class _Call(BaseModel):
    id: str
    function: _Function


class _Message(BaseModel):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Named(BaseModel):
    name: str


class _Offered(BaseModel):
    function: _Named


class ChatRequest(BaseModel):
    """The fields of a chat-completions request that are read; all others are ignored."""

    model: str
    messages: list[_Message]
    tools: list[_Offered] | None = None
    stream: bool = False


class _Window(BaseModel):
    items: list[str]
    tastes: dict[str, int]


class AgentInput(BaseModel):
    """The input of an agent, as `LLMAgents` writes it."""

    agent: str
    task: str = ""
    memory: str = ""
    window: _Window | None = None
    plan: Plan | None = None
    requests: list[SentBack] = []
    findings: list[Finding] = []
    answers: list[Answer] = []
    checks: list[Check] = []
    verdict: Verdict | None = None
    round: int = 0
    final: bool = False
    tools: list[Any] | None = None
    """Tools in words, for a model that is not given them to call."""


class _AnsweredCalls(BaseModel):
    """The message with the answers to calls that a model without tool calling asked for in words."""

    answered: list[dict[str, Any]]


class MissingCall(Exception):
    """The policy made a call that the conversation does not hold yet."""

    def __init__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> None:
        super().__init__(tool)
        self.tool, self.arguments = tool, arguments


class Conversation:
    """The tools as a conversation holds their answers; they stop at the first call that it does not hold.

    Calls are known by what they ask and not by their place, so that a call which the policy never made (a
    corrupted completion that the client believed) cannot shift those which it did make. Candidates may be
    named as models name them (`teacher.naming`): what stands between this server and a client may write them
    otherwise.
    """

    def __init__(self, labels: tuple[str, ...], text: str, messages: list[_Message]) -> None:
        self.turns = sum(len(message.tool_calls or ()) for message in messages)
        self._known = candidates(labels, text)
        self._open: dict[tuple[str, bytes], deque[str]] = defaultdict(deque)
        for tool, arguments, answer in [*_answered(messages), *_answered_in_words(messages)]:
            self._open[_key(tool, arguments, self._known)].append(answer)

    def __call__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> Answer:
        key = _key(tool, arguments, self._known)
        if not self._open[key]:
            raise MissingCall(tool, arguments)
        return Answer(tool, arguments, self._open[key].popleft())


def agent_input(request: ChatRequest) -> AgentInput:
    """The agent's input, which is the first user message.

    Raises:
        Refused: it is no input of an agent.
    """
    first = next((message.content for message in request.messages if message.role == "user"), None)
    if isinstance(first, list):
        first = "".join(str(part.get("text", "")) for part in first)
    # Instructions stand before it where the client sends no system message.
    text = (first or "").rpartition("\n\n")[2]
    try:
        return AgentInput.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the whole message"
        raise Refused(
            "The first user message is not an agent's input, one JSON object as starrec's LLM agents write it "
            f"({where}: {problem['msg']}). This server answers those agents only."
        ) from error


def _key(tool: str, arguments: Mapping[str, Any] | None, known: Candidates) -> tuple[str, bytes]:
    """A call by what it asks, however that is written; left out, `window` is the recent one."""
    if arguments is None:
        return tool, to_json(None)
    asked = {"window": "recent", **arguments} if tool in TOOLS and TOOLS[tool].windows else dict(arguments)
    named = asked.get("candidates")
    if isinstance(named, list) and all(isinstance(name, str) for name in named):
        asked["candidates"] = known.read(named)
    return tool, to_json(dict(sorted(asked.items())))


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        arguments = from_json(text or "{}")
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


def _answered(messages: list[_Message]) -> Iterator[tuple[str, dict[str, Any] | None, str]]:
    """The calls that have an answer; of several with one id the earliest is answered first."""
    waiting: list[_Call] = []
    for message in messages:
        waiting += message.tool_calls or ()
        call = next(
            (call for call in waiting if message.role == "tool" and call.id == message.tool_call_id), None
        )
        if call is not None:
            waiting.remove(call)
            yield call.function.name, _arguments(call.function.arguments), str(message.content)


def _answered_in_words(messages: list[_Message]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The calls that were made for a model that cannot call tools, as `teacher.calling` writes them."""
    for message in messages:
        if message.role == "user" and isinstance(message.content, str):
            try:
                found = _AnsweredCalls.model_validate_json(message.content)
            except ValidationError:
                continue
            for call in found.answered:
                arguments = {key: value for key, value in call.items() if key not in _NOT_ARGUMENTS}
                yield str(call.get("tool")), arguments, str(call.get("answer", ""))
