"""The embedded policy behind OpenAI's chat-completions protocol: a model that needs no weights and no key.

Whoever can talk to a language model can talk to this one, over a real socket. So the whole way of agents that
are backed by a model (prompts, tool turns, retries, limits, faults) can be tried with a model whose right
answers are known: its trajectories must be those of the policy in process, byte for byte.

No request changes the answer to another. A request carries the whole conversation (`conversation`); the server
knows the tasks and the world, runs the policy from the start, and answers its tool calls itself as long as the
conversation shows that they were made. The first call that was not yet made is what the response asks for;
where there is none, the response is the agent's answer, in the way in which the request wants one.

What the text of a request does not hold stands in headers (`LLMAgents` sends them): X-Starrec-Task
(percent-encoded), X-Starrec-Run, X-Starrec-Explore.

Needs the extra `serve`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final, TypeVar
from urllib.parse import unquote

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic_core import to_json

from starrec.data import RankingTask
from starrec.server.conversation import (
    AgentInput,
    ChatRequest,
    Conversation,
    MissingCall,
    Refused,
    agent_input,
)
from starrec.teacher import ANALYSTS, Brief, EmbeddedPolicy
from starrec.tools import Toolbox, ToolError, Window, World, fold

NAME: Final = "embedded-policy"
"""What the server calls its model; "embedded" alone names the policy without a server."""
KEPT: Final = 1024
"""Tasks whose gathered evidence is kept at hand; a cache, and no state: it decides no answer."""
_ANSWER_TOOL: Final = "final_result"
"""What pydantic-ai calls the tool through which a typed answer is given."""

_Part = TypeVar("_Part")


class _Memory(BaseModel):
    text: str


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
        given = agent_input(request)
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
        conversation = Conversation(tools.labels, given.task, request.messages)
        offered = {tool.function.name for tool in request.tools or ()}
        try:
            answer = await _answer(policy, given, brief, conversation)
        except MissingCall as call:
            if given.tools is not None:
                return _completion({"role": "assistant", "content": _asking(call)})
            if call.tool not in offered:
                raise Refused(
                    f"The agent {given.agent!r} asks for the tool {call.tool!r}, which the request does not "
                    "offer, nor describe in its input."
                ) from None
            return _completion(_calling(call.tool, to_json(call.arguments), conversation.turns))
        except ToolError as error:
            raise Refused(f"The agent {given.agent!r} asks what no tool answers: {error}") from error
        written = to_json(answer)
        if _ANSWER_TOOL in offered:
            return _completion(_calling(_ANSWER_TOOL, written, conversation.turns))
        return _completion({"role": "assistant", "content": written.decode()})

    @app.exception_handler(Refused)
    async def refuse(_: Request, error: Refused) -> JSONResponse:
        return _failure(str(error), error.status)

    @app.exception_handler(RequestValidationError)
    async def misread(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return _failure(f"The request is no chat-completions request: {where}: {first['msg']}.", 400)

    return app


async def _answer(policy: EmbeddedPolicy, given: AgentInput, brief: Brief, call: Conversation) -> BaseModel:
    """The agent's answer.

    Raises:
        MissingCall: it makes a call first.
        Refused: there is no such agent, or the request lacks a part that it needs.
    """
    if given.agent == "memory":
        window = _present(given, "window", given.window)
        return _Memory(text=fold(given.memory, Window(window.items, window.tastes)))
    if given.agent == "planner":
        return await policy.plan(brief)
    plan = _present(given, "plan", given.plan)
    analyst = next((name for name in ANALYSTS if name == given.agent), None)
    if analyst is not None:
        return await policy.study(analyst, brief, plan, given.requests, call)
    if given.agent == "reflector":
        return await policy.reflect(
            brief, plan, given.findings, given.answers, given.checks, given.round, given.final
        )
    if given.agent == "ranker":
        verdict = _present(given, "verdict", given.verdict)
        return await policy.rank(brief, plan, given.findings, given.answers, verdict, call)
    raise Refused(f"There is no agent {given.agent!r} that the embedded policy could play.")


def _present(given: AgentInput, name: str, part: _Part | None) -> _Part:
    if part is None:
        raise Refused(f"The agent {given.agent!r} must be given the `{name}`, and the request holds none.")
    return part


def _calling(tool: str, arguments: bytes, turn: int) -> dict[str, object]:
    function = {"name": tool, "arguments": arguments.decode()}
    call = {"id": f"call_{turn}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _asking(call: MissingCall) -> str:
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
