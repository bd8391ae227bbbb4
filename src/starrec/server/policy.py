"""The embedded policy behind OpenAI's chat-completions protocol: a model that needs no weights and no key.

Whoever can talk to a language model can talk to this one, over a real socket. So the whole way of agents that
are backed by a model (prompts, tool turns, retries, limits, faults) can be tried with a model whose right
answers are known: its trajectories must be those of the policy in process, byte for byte.

No state is kept between requests. A request carries the whole conversation so far; the server knows the tasks
and the world, runs the policy from the start, and answers its tool calls itself as long as the conversation
shows that they were made. The first call that was not yet made is what the response asks for; where there is
none, the response is the agent's answer, in the way in which the request wants one.

What the text of a request cannot say stands in headers (`LLMAgents` sends them): X-Starrec-Task
(percent-encoded), X-Starrec-Run, X-Starrec-Explore.

Needs the extra `serve`.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from starrec.data import RankingTask
from starrec.errors import StarrecError
from starrec.teacher import ANALYSTS, Brief, Check, EmbeddedPolicy, Finding, Plan, Verdict
from starrec.teacher import Request as SentBack
from starrec.teacher.agents import Answer
from starrec.teacher.naming import Candidates, candidates
from starrec.tools import TOOLS, Toolbox, ToolError, Window, World, fold

NAME: Final = "embedded-policy"
"""What the server calls its model; "embedded" alone names the policy without a server."""
KEPT: Final = 1024
"""Tasks whose gathered evidence is kept at hand; a cache, and no state: it decides no answer."""
_ANSWER_TOOL: Final = "final_result"
"""What pydantic-ai calls the tool through which a typed answer is given."""

_NOT_ARGUMENTS: Final = ("tool", "answer", "refused")

_Part = TypeVar("_Part")


class Refused(StarrecError):
    """A request that cannot be answered; this HTTP status goes to the client."""

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
    """What of a chat-completions request is read; the rest is ignored."""

    model: str
    messages: list[_Message]
    tools: list[_Offered] | None = None
    stream: bool = False


class _Window(BaseModel):
    items: list[str]
    tastes: dict[str, int]


class _Memory(BaseModel):
    text: str


class _Input(BaseModel):
    """The input of an agent, as `LLMAgents` writes it."""

    agent: str
    task: str = ""
    memory: str = ""
    window: _Window | None = None
    plan: Plan | None = None
    requests: list[SentBack] = []
    findings: list[Finding] = []
    checks: list[Check] = []
    verdict: Verdict | None = None
    round: int = 0
    final: bool = False
    tools: list[Any] | None = None
    """Tools in words, for a model that is not given them to call."""


class _Answered(BaseModel):
    """Answered tool calls, as a model that cannot call tools is shown them."""

    answered: list[dict[str, Any]]


class _Unanswered(Exception):
    """The policy made a call that the conversation does not hold yet."""

    def __init__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> None:
        super().__init__(tool)
        self.tool, self.arguments = tool, arguments


class _Replay:
    """Tools that answer the calls of a conversation, and stop at the first one that it does not hold.

    Calls are known by what they ask and not by their place, so that a call which the policy never made (a
    corrupted completion that the client believed) cannot shift those which it did make. Candidates may be
    named as models name them (`teacher.naming`): what stands between this server and a client may write them
    otherwise.
    """

    def __init__(self, toolbox: Toolbox, text: str, messages: list[_Message]) -> None:
        self._toolbox = toolbox
        answered = {message.tool_call_id for message in messages if message.role == "tool"}
        made = [call for message in messages for call in message.tool_calls or ()]
        self.turns = len(made)
        self._known = candidates(toolbox.labels, text)
        asked = [
            (call.function.name, _arguments(call.function.arguments)) for call in made if call.id in answered
        ]
        asked += _heard(messages)
        self._open = Counter(_key(tool, arguments, self._known) for tool, arguments in asked)

    def __call__(self, tool: str, arguments: Mapping[str, str | list[str]]) -> Answer:
        key = _key(tool, arguments, self._known)
        if not self._open[key]:
            raise _Unanswered(tool, arguments)
        self._open[key] -= 1
        return Answer(tool, arguments, self._toolbox.call(tool, arguments))


def policy_app(world: World, tasks: Mapping[str, RankingTask], policy: EmbeddedPolicy | None = None) -> FastAPI:
    """The server's application: `POST /v1/chat/completions` and `GET /v1/models`.

    Args:
        tasks: by task id, all that may be asked about.
        policy: which answers; its seed decides what exploring runs do.
    """
    policy = policy or EmbeddedPolicy()
    app = FastAPI(title="starrec: the embedded policy", openapi_url=None)

    @lru_cache(KEPT)
    def toolbox(task_id: str) -> Toolbox:
        return world.toolbox(tasks[task_id])

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        model = {"id": NAME, "object": "model", "created": 0, "owned_by": "starrec"}
        return {"object": "list", "data": [model]}

    @app.post("/v1/chat/completions")
    async def complete(
        request: ChatRequest,
        x_starrec_task: Annotated[str, Header()] = "",
        x_starrec_run: Annotated[int, Header()] = 0,
        x_starrec_explore: Annotated[int, Header()] = 0,
    ) -> dict[str, object]:
        task_id = unquote(x_starrec_task)
        if task_id not in tasks:
            raise Refused(_unknown(task_id), 404)
        if request.stream:
            raise Refused("`stream` is not supported here: the policy answers at once. Leave it out.")
        given = _input(request)
        tools = toolbox(task_id)
        brief = Brief(
            tools.task,
            given.task,
            tools.labels,
            x_starrec_run,
            bool(x_starrec_explore),
            tools.ties,
            memory=given.memory,
        )
        replay = _Replay(tools, given.task, request.messages)
        offered = {tool.function.name for tool in request.tools or ()}
        try:
            answer = await _answer(policy, given, brief, replay)
        except _Unanswered as call:
            if given.tools is not None:
                return _completion({"role": "assistant", "content": _asking(call)})
            if call.tool not in offered:
                raise Refused(
                    f"The agent {given.agent!r} asks for the tool {call.tool!r}, which the request does not "
                    "offer, nor describe in its input."
                ) from None
            return _completion(_calling(call.tool, to_json(call.arguments), replay.turns))
        except ToolError as error:
            raise Refused(f"The agent {given.agent!r} asks what no tool answers: {error}") from error
        body = to_json(answer)
        if _ANSWER_TOOL in offered:
            return _completion(_calling(_ANSWER_TOOL, body, replay.turns))
        return _completion({"role": "assistant", "content": body.decode()})

    @app.exception_handler(Refused)
    async def refuse(_: Request, error: Refused) -> JSONResponse:
        return _failure(str(error), error.status)

    @app.exception_handler(RequestValidationError)
    async def misread(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return _failure(f"The request is no chat-completions request: {where}: {first['msg']}.", 400)

    return app


async def _answer(policy: EmbeddedPolicy, given: _Input, brief: Brief, call: _Replay) -> BaseModel:
    """The agent's answer.

    Raises:
        _Unanswered: it makes a call first.
        Refused: there is no such agent, or the request lacks what it is given.
    """
    if given.agent == "memory":
        window = _required(given, "window", given.window)
        return _Memory(text=fold(given.memory, Window(window.items, window.tastes)))
    if given.agent == "planner":
        return await policy.plan(brief)
    plan = _required(given, "plan", given.plan)
    analyst = next((name for name in ANALYSTS if name == given.agent), None)
    if analyst is not None:
        return await policy.study(analyst, brief, plan, given.requests, call)
    if given.agent == "reflector":
        return await policy.reflect(brief, plan, given.findings, given.checks, given.round, given.final)
    if given.agent == "ranker":
        return await policy.rank(brief, plan, given.findings, _required(given, "verdict", given.verdict), call)
    raise Refused(f"There is no agent {given.agent!r} that the embedded policy could play.")


def _required(given: _Input, name: str, part: _Part | None) -> _Part:
    if part is None:
        raise Refused(f"The agent {given.agent!r} needs the `{name}`, and the request holds none.")
    return part


def _input(request: ChatRequest) -> _Input:
    first = next((message.content for message in request.messages if message.role == "user"), None)
    if isinstance(first, list):
        first = "".join(str(part.get("text", "")) for part in first)
    # Instructions stand before it where the client sends no system message.
    text = (first or "").rpartition("\n\n")[2]
    try:
        return _Input.model_validate_json(text)
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


def _heard(messages: list[_Message]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The calls that were made for a model that cannot call tools, as `teacher.calling` tells it of them."""
    for message in messages:
        if message.role == "user" and isinstance(message.content, str):
            try:
                shown = _Answered.model_validate_json(message.content)
            except ValidationError:
                continue
            for call in shown.answered:
                arguments = {key: value for key, value in call.items() if key not in _NOT_ARGUMENTS}
                yield str(call.get("tool")), arguments


def _calling(tool: str, arguments: bytes, turn: int) -> dict[str, object]:
    function = {"name": tool, "arguments": arguments.decode()}
    call = {"id": f"call_{turn}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _asking(call: _Unanswered) -> str:
    """The call as an answer that asks for it."""
    return to_json({"calls": [{"tool": call.tool, **call.arguments}]}).decode()


def _completion(message: Mapping[str, object]) -> dict[str, object]:
    """A completion in which nothing was prefilled or decoded: the policy reads no tokens."""
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": NAME,
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _failure(message: str, status: int) -> JSONResponse:
    kind = "invalid_request_error"
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)


def _unknown(task_id: str) -> str:
    if not task_id:
        return "The header X-Starrec-Task, which names the task, is missing. starrec's LLM agents send it."
    return f"The run that is served has no task {task_id!r}. Serve the run whose tasks are asked."
