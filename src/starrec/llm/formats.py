"""Output types and models of pydantic-ai for the ways of a model, and the ways that are known to suit it.

A model's profile, as pydantic-ai knows it, says what suits it; the configuration may say otherwise. llama.cpp's
Python server has a way of its own: `response_format` of type `json_object` with the schema beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from pydantic_ai import ModelSettings, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel

from starrec.llm.config import ModelConfig
from starrec.llm.ways import Form, Ways

_OF_MODE: Final[dict[str, Form]] = {"tool": "tool", "native": "json_schema", "prompted": "prompted"}


def known_ways(config: ModelConfig, model: Model) -> Ways:
    """As the configuration says; for "auto", as the model's profile says."""
    profile = model.profile
    tools = config.tools and profile.get("supports_tools", True)
    if config.output != "auto":
        return Ways.of(config, config.output, tools)
    if tools:
        return Ways.of(config, _OF_MODE[profile.get("default_structured_output_mode", "tool")], tools)
    return Ways.of(config, "json_schema" if profile.get("supports_json_schema_output") else "prompted", tools)


def fitted(model: Model, ways: Ways) -> Model:
    """The model, asked in this form."""
    return SchemaBeside(model) if ways.output == "json_object" else model


def output_type(ways: Ways, answers: Sequence[type[BaseModel]]) -> Any:
    """These answers, as pydantic-ai's `output_type`."""
    match ways.output:
        case "tool":
            single = len(answers) == 1
            return [ToolOutput(answer, name="final_result" if single else None) for answer in answers]
        case "json_schema":
            return NativeOutput(list(answers))
        case "json_object":
            # The server holds the model to the schema; saying it as well would cost a small window dear.
            return PromptedOutput(list(answers), template=False)
    return PromptedOutput(list(answers))


class SchemaBeside(WrapperModel):
    """Sends the schema of an answer as llama.cpp's Python server wants it."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        settings = dict(model_settings or {})
        if (answer := model_request_parameters.output_object) is not None:
            schema = {"type": "json_object", "schema": answer.json_schema}
            body = settings.get("extra_body")
            settings["extra_body"] = {**(body if isinstance(body, dict) else {}), "response_format": schema}
        return await self.wrapped.request(
            messages,
            ModelSettings(**settings),  # type: ignore[typeddict-item]
            model_request_parameters,
        )
