"""Every exchange with a model in a file, and the file in place of the model.

JSON Lines, each flushed as it is written: first what each model can do, then one exchange a line, with the
request in full and a key, the SHA-256 of who asks, what is said, the tools, the form of the answer, and the
settings that decide it. A replay answers a request by its key; equal requests get the recorded answers in their
order. So a run over the same tasks with the same prompts can be done again without a model; with others it
stops at the first request that was never made. A line that a kill has torn is dropped.

The exchanges hold histories and titles, as the prompts do. They hold no key: there is none in a prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TextIO

from pydantic_ai import ModelSettings
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_jsonable_python

from starrec.errors import StarrecError
from starrec.llm.ways import Ways

AGENT_HEADER: Final = "X-Starrec-Agent"
"""The header of a request that says which agent asks."""
_DECISIVE: Final = ("temperature", "max_tokens", "top_p", "seed", "stop_sequences", "extra_body")


class Recording:
    """A file that exchanges are added to."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            StarrecError: the file cannot be written.
        """
        self.path = path
        self.paused = False
        """Whether exchanges go by unrecorded: what is tried out is no part of a run."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _drop_torn_line(path)
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise StarrecError(f"Cannot record to {path}: {error}. Name a file that can be written.") from error

    def recorded(self, model: Model, name: str, ways: Ways) -> Model:
        """The model, recorded.

        Args:
            name: what the configuration calls it.
        """
        head = {"model": name, "known_as": model.model_name, "ways": asdict(ways)}
        return _Recorded(model, self, head)

    def add(self, line: Mapping[str, object]) -> None:
        # One write a line, so that processes may share the file.
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


class Replay:
    """A recording that answers."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            StarrecError: the file cannot be read, or is no recording.
        """
        self.path = path
        self._answers: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._models: dict[str, tuple[str, Ways]] = {}
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, UnicodeDecodeError) as error:
            raise StarrecError(
                f"Cannot replay {path}: {error}. Name a file that `record` has written."
            ) from error
        for number, line in enumerate(lines, 1):
            try:
                told = json.loads(line)
                if "model" in told:
                    self._models[told["model"]] = (told["known_as"], Ways.from_record(told["ways"]))
                else:
                    self._answers[told["key"]].append(told["response"])
            except (ValueError, KeyError, TypeError) as error:
                raise StarrecError(
                    f"{path}, line {number}, is no line of a recording ({error!r}). Name a file that `record` "
                    "has written, or record again."
                ) from error

    def replayed(self, name: str) -> tuple[Model, Ways]:
        """What answers in place of the model that the configuration calls so.

        Raises:
            StarrecError: it was never asked.
        """
        if name not in self._models:
            raise StarrecError(
                f"{self.path} holds no answer of the model {name!r}, only of "
                f"{', '.join(map(repr, self._models)) or 'none'}. Name one of these, or record again."
            )
        known_as, ways = self._models[name]
        return _Replayed(self, known_as), ways

    def answer(self, exchange: Mapping[str, Any]) -> ModelResponse:
        """The next answer to this request.

        Raises:
            StarrecError: there is none, or none any more.
        """
        answers = self._answers.get(_key(exchange))
        if not answers:
            how = "no answer" if answers is None else "no further answer"
            raise StarrecError(
                f"{self.path} holds {how} to this request of the agent `{exchange['role']}`. It was recorded "
                "with other tasks, prompts, tools or settings, or ended before: run what was recorded, or "
                "record again."
            )
        (response,) = ModelMessagesTypeAdapter.validate_python([answers.popleft()])
        assert isinstance(response, ModelResponse)
        return response


class _Recorded(WrapperModel):
    def __init__(self, wrapped: Model, recording: Recording, head: Mapping[str, object]) -> None:
        super().__init__(wrapped)
        self._recording = recording
        self._head: Mapping[str, object] | None = head

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        exchange = _exchange(messages, model_settings, model_request_parameters)
        response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        if self._recording.paused:
            return response
        if self._head is not None:
            self._recording.add(self._head)
            self._head = None
        (dumped,) = ModelMessagesTypeAdapter.dump_python([response], mode="json")
        self._recording.add({"key": _key(exchange), **exchange, "response": dumped})
        return response


class _Replayed(Model):
    def __init__(self, replay: Replay, name: str) -> None:
        super().__init__(
            profile=ModelProfile(
                supports_tools=True, supports_json_schema_output=True, supports_json_object_output=True
            )
        )
        self._replay, self._name = replay, name

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return "replay"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return self._replay.answer(_exchange(messages, model_settings, model_request_parameters))


def _exchange(
    messages: Sequence[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> dict[str, Any]:
    """All of a request that decides its answer: no times, no identifiers, no headers."""
    given = dict(settings or {})
    headers = given.get("extra_headers")
    answer = parameters.output_object
    return {
        "role": headers.get(AGENT_HEADER, "") if isinstance(headers, dict) else "",
        "messages": [_said(message) for message in messages],
        "tools": [_tool(tool) for tool in parameters.function_tools],
        "output": {
            "mode": parameters.output_mode,
            "tools": [_tool(tool) for tool in parameters.output_tools],
            "schema": answer.json_schema if answer else None,
        },
        "settings": {name: given[name] for name in _DECISIVE if name in given},
    }


def _said(message: ModelMessage) -> dict[str, Any]:
    parts = []
    for part in message.parts:
        said: dict[str, Any] = {"part": part.part_kind}
        if (tool := getattr(part, "tool_name", None)) is not None:
            said["tool"] = tool
        content = part.args if isinstance(part, ToolCallPart) else getattr(part, "content", None)
        parts.append(said | {"content": to_jsonable_python(content, fallback=str)})
    instructions = message.instructions if isinstance(message, ModelRequest) else None
    return {"kind": message.kind, "instructions": instructions, "parts": parts}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "schema": tool.parameters_json_schema}


def _key(exchange: Mapping[str, Any]) -> str:
    canonical = json.dumps(exchange, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _drop_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        written = file.read()
        if not written.endswith(b"\n"):
            file.truncate(written.rfind(b"\n") + 1)
