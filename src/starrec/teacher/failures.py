"""Errors of agents backed by a language model: which reason a failed answer counts under, and what to change.

`explained` makes an `AgentError` of whatever pydantic-ai raises while an agent is asked, with the task, the
run, the agent and the setting that can help. What a model or a server wrote appears without keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.exceptions import (
    AgentRunError,
    ModelContextWindowExceededError,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)

from starrec.errors import ConfigError
from starrec.llm import LimitsConfig
from starrec.llm.guard import EndpointError
from starrec.llm.secrets import hide
from starrec.teacher.agents import AgentError, Brief
from starrec.teacher.config import Role
from starrec.trajectories import Reason


@contextmanager
def explained(role: Role, brief: Brief, model_name: str, limits: LimitsConfig) -> Iterator[None]:
    """Context in which an agent is asked.

    Raises:
        AgentError: it gave no answer.
        ConfigError: its model cannot be asked in the configured way at all.
    """
    failed: AgentError
    try:
        yield
        return
    except UserError as error:
        raise ConfigError(
            f"The model {model_name!r} cannot be asked in this way: {error} Change its `output` or `tools`."
        ) from error
    except AgentRunError as error:
        failed = AgentError(
            f"Task {brief.task.task_id}, run {brief.run}: the agent `{role}` gave no answer (model "
            f"{model_name!r}). {_advice(error, limits)}",
            role,
            _reason(error),
            error.problem if isinstance(error, EndpointError) else "",
        )
    # Without its cause: a traceback shows what a model or a server wrote.
    raise failed


def _reason(error: AgentRunError) -> Reason:
    match error:
        case UsageLimitExceeded() | OutputTokenLimitExceeded() | ModelContextWindowExceededError():
            return "limit"
        case UnexpectedModelBehavior():
            return "invalid"
    return "endpoint"


def _advice(error: AgentRunError, limits: LimitsConfig) -> str:
    match error:
        case UsageLimitExceeded():
            return (
                f"It reached its limit of {limits.requests} requests and {limits.calls} tool calls; raise "
                "`requests` or `calls`, or choose a model that follows its instructions."
            )
        case OutputTokenLimitExceeded():
            return f"Its answer did not end within {limits.output_tokens} tokens; raise `output_tokens`."
        case ModelContextWindowExceededError():
            return f"{hide(str(error))}."
        case UnexpectedModelBehavior():
            return (
                f"It was corrected {limits.corrections} times in vain ({hide(str(error))}); raise "
                "`corrections`, or choose a model that can call tools."
            )
    return f"The model cannot be asked: {hide(str(error))}. Once it can, the run goes on where it was."
