"""Estimate of the tokens of a prompt, before anything is sent.

A token for three bytes: English text has four or more to a token and catalogue titles, labels and figures about
three, so the estimate is cautious, and it needs no model's tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from pydantic_ai.messages import ModelMessage, ModelRequest, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_core import to_json

BYTES: Final = 3
"""Of text to a token."""
FRAME: Final = 8
"""Tokens around a message: its role and its ends."""


def estimate(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES)


def prompt_tokens(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> int:
    """Tokens of a whole prompt, tools and schemas included."""
    instructions = [m.instructions for m in messages if isinstance(m, ModelRequest) and m.instructions]
    texts = [*instructions[-1:]]
    for message in messages:
        for part in message.parts:
            content = part.args if isinstance(part, ToolCallPart) else getattr(part, "content", "")
            texts.append(content if isinstance(content, str) else to_json(content, fallback=str).decode())
    for tool in [*parameters.function_tools, *parameters.output_tools]:
        texts.append(tool.name + (tool.description or "") + json.dumps(tool.parameters_json_schema))
    if parameters.output_object is not None:
        texts.append(json.dumps(parameters.output_object.json_schema))
    return FRAME * len(messages) + sum(map(estimate, texts))
