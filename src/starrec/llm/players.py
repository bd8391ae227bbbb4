"""The models of a team, each connected once: asked with patience, recorded or replayed, traced, and tried
before a run.

All roles that name the same model share one connection, its speed limits and its breaker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic_ai import ModelSettings
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestTimeout,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings

from starrec.errors import ConfigError
from starrec.llm.config import LimitsConfig, ModelConfig
from starrec.llm.connection import connect
from starrec.llm.formats import Ways
from starrec.llm.patience import Patient
from starrec.llm.recording import Recording, Replay
from starrec.llm.secrets import hide
from starrec.llm.telemetry import instrumentation

_QUESTION: Final = "Answer with the one word: ready"


@dataclass(frozen=True, slots=True)
class Player:
    """A model that plays roles."""

    config: ModelConfig
    model: Model
    ways: Ways
    bare: Model | None
    """The model without patience and recording; None in a replay."""


class Players:
    """Of one configuration."""

    def __init__(
        self,
        limits: LimitsConfig,
        record: Path | None = None,
        replay: Path | None = None,
        telemetry: bool = False,
        model: Model | None = None,
    ) -> None:
        """
        Args:
            model: asked in place of every model that is named.

        Raises:
            ConfigError: packages for telemetry are missing.
            StarrecError: a recording cannot be written or replayed.
        """
        self._limits, self._model = limits, model
        self._recording = Recording(record) if record else None
        self._replay = Replay(replay) if replay else None
        self._known: dict[ModelConfig, Player] = {}
        self.instrumentation: InstrumentationSettings | None = instrumentation() if telemetry else None

    def of(self, config: ModelConfig) -> Player:
        """Who plays for this setting.

        Raises:
            ConfigError: as `connect`.
            StarrecError: a replay knows no such model.
        """
        if config not in self._known:
            self._known[config] = self._player(config)
        return self._known[config]

    async def check(self) -> None:
        """Ask each model for a word.

        Raises:
            ConfigError: one does not answer.
        """
        for player in self._known.values():
            if player.bare is None:
                continue
            try:
                async with asyncio.timeout(player.config.timeout):
                    await model_request(
                        player.bare,
                        [ModelRequest.user_text_prompt(_QUESTION)],
                        model_settings=ModelSettings(max_tokens=16, max_retries=0),
                    )
            except ModelRateLimitError:
                continue  # It is there, and busy.
            except (AgentRunError, UserError, OSError, IndexError) as error:
                problem = _problem(player.config, error)
            else:
                continue
            # Raised out here: the original error may repeat a key.
            raise ConfigError(problem)

    def _player(self, config: ModelConfig) -> Player:
        name = config.model
        if self._replay is not None:
            model, ways = self._replay.replayed(name)
            return Player(config, model, ways, None)
        bare = self._model or connect(config)
        ways = Ways.of(config, bare)
        bare = ways.fit(bare)
        model = Patient(bare, self._limits)
        if self._recording is not None:
            model = self._recording.recorded(model, name, ways)
        return Player(config, model, ways, bare)


def _problem(config: ModelConfig, error: Exception) -> str:
    where = f"The model {config.model!r}" + (f" at {config.base_url}" if config.base_url else "")
    match error:
        case ModelAuthenticationError():
            named = f"the environment variable {config.api_key_env} holds" if config.api_key_env else "it needs"
            wrong = f"refuses the key. Look at what {named}; `api_key_env` names the variable of the key"
        case ModelNotFoundError():
            wrong = "is not there. Look at the name in `model`" + (
                ", and whether `base_url` has the right path (most servers: /v1)" if config.base_url else ""
            )
        case ModelQuotaExceededError():
            wrong = "has no quota left. Top up the account, or name another model"
        case ModelRequestTimeout() | TimeoutError():
            wrong = f"did not answer within `timeout`, {config.timeout:g} s. Raise it, or look at the server"
        case ModelConnectionError() | OSError():
            wrong = "cannot be reached. Start its server, or correct `base_url`"
        case UserError():
            wrong = "cannot be asked. Look at `model`"
        case ModelHTTPError() if error.status_code >= 500:
            wrong = "fails. Look at its server"
        case ModelHTTPError():
            wrong = "refuses a simple question. Look at `model` and `base_url`"
        case UnexpectedModelBehavior() | IndexError():
            wrong = "answers with something that is no chat completion. Look at `base_url` (most servers: /v1)"
        case _:
            wrong = "answers with something that is no chat completion. Look at `base_url` (most servers: /v1)"
    return f"{where} {wrong}. It said: {hide(str(error))[:300]}"
