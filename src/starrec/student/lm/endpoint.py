"""Think mode over an OpenAI-compatible endpoint: a student that a server runs (vLLM, llama.cpp), or any model.

The same dialogue as in this process (`think`), its turns asked for as chat completions through the project's
own connection (`starrec.llm`: retries, rate limits, context, keys). Answers of tools are sent as messages of
the user, between tags, as the student has learned them; so a server needs no reading of tool calls.

A server that takes grammars can be held to the form of a turn; the ranking it writes may still repeat a label.
Every other one writes freely. Either way the ranking is repaired to a permutation, and the repair is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from pydantic_ai import ModelSettings
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters

from starrec.data import RankingTask
from starrec.errors import StarrecError
from starrec.student.lm.chat import Chat, as_user
from starrec.student.lm.grammar import server_grammar
from starrec.student.lm.think import TURN_TOKENS, Asked, FastOrder, Turn, dialogue
from starrec.student.trace import Thought
from starrec.tools import World

Grammars: TypeAlias = Literal["none", "grammar", "structured_outputs"]
"""Where a server takes a grammar: nowhere, as `grammar` (llama.cpp) or within `structured_outputs` (vLLM)."""
_STOPPED: Final = "stop"


class EndpointThinker:
    """Think mode of a model that is asked over HTTP. To be used from one event loop."""

    def __init__(
        self,
        model: Model,
        chat: Chat,
        world: World,
        *,
        fast_order: FastOrder | None = None,
        grammars: Grammars = "none",
    ) -> None:
        """
        Args:
            model: such as `Models.of` gives.
            chat: of the base that the server runs.
            fast_order: as in `Thinker`.
        """
        self._model, self._chat, self._world = model, chat, world
        self._fast_order, self._grammars = fast_order, grammars

    async def think(self, task: RankingTask) -> Thought:
        """The trace of one task, greedily.

        Raises:
            StarrecError: the endpoint cannot be asked, or there are more candidates than labels.
        """
        trace = dialogue(self._chat, self._world.toolbox(task), fast_order=self._fast_order)
        asked, known = next(trace), 0
        while True:
            turn, known = await self._write(asked, known)
            try:
                asked = trace.send(turn)
            except StopIteration as ended:
                thought: Thought = ended.value
                return thought

    async def think_many(self, tasks: Sequence[RankingTask]) -> list[Thought]:
        """`think` of many tasks, in order, as many at a time as the model's rate limit lets through."""
        return list(await asyncio.gather(*map(self.think, tasks)))

    async def _write(self, asked: Asked, known: int) -> tuple[Turn, int]:
        """A turn, and the tokens of the dialogue with it.

        Args:
            known: tokens of the dialogue so far.
        """
        settings: dict[str, Any] = {"temperature": 0.0, "max_tokens": TURN_TOKENS}
        if self._grammars != "none":
            form = server_grammar(self._chat.tools, asked.labels, first=asked.answer is None, calls=asked.calls)
            held = form if self._grammars == "grammar" else {"grammar": form}
            settings["extra_body"] = {self._grammars: held}
        try:
            response = await self._model.request(
                _messages(asked.messages),
                ModelSettings(**settings),  # type: ignore[typeddict-item]
                ModelRequestParameters(),
            )
        except ModelAPIError as error:
            raise StarrecError(f"The endpoint could not be asked for a trace: {error}") from error
        text = "".join(part.content for part in response.parts if isinstance(part, TextPart)).strip()
        usage = response.usage
        read = max(0, (usage.input_tokens or 0) - known)
        # Without a reason the answer was cut off: llama.cpp's Python server does so when it is disturbed.
        whole = response.finish_reason == _STOPPED
        return Turn(text, usage.output_tokens or 0, read, whole), known + read + (usage.output_tokens or 0)


def _messages(messages: Sequence[Mapping[str, str]]) -> list[ModelMessage]:
    made: list[ModelMessage] = []
    for message in messages:
        content = message["content"]
        match message["role"]:
            case "assistant":
                made.append(ModelResponse([TextPart(content)]))
            case "system":
                made.append(ModelRequest([SystemPromptPart(content)]))
            case "tool":
                made.append(ModelRequest([UserPromptPart(as_user(content))]))
            case _:
                made.append(ModelRequest([UserPromptPart(content)]))
    return made
