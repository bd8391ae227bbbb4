"""The language models of a team, each connected once: rate-limited, retried, read generously, traced.

All roles that name the same model share one connection and its rate limit. In which ways a model is asked may
change until the first run (`Models.adopt`), and is then kept for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings

from starrec.llm.config import LimitsConfig, ModelConfig
from starrec.llm.connection import Connection, connect
from starrec.llm.formats import fitted, known_ways
from starrec.llm.guard import GuardedModel
from starrec.llm.rate_limit import RateLimit
from starrec.llm.reading import Reading
from starrec.llm.telemetry import instrumentation
from starrec.llm.ways import Ways


@dataclass(frozen=True, slots=True)
class ConnectedModel:
    """A model that can be asked, and in which ways it is."""

    config: ModelConfig
    model: Model
    ways: Ways


class Models:
    """The models of one configuration."""

    def __init__(self, limits: LimitsConfig, telemetry: bool = False, model: Model | None = None) -> None:
        """
        Args:
            model: asked in place of every model that is named.

        Raises:
            ConfigError: packages for telemetry are missing.
        """
        self._limits, self._model = limits, model
        self._connections: dict[ModelConfig, Connection] = {}
        self._known: dict[ModelConfig, ConnectedModel] = {}
        self.instrumentation: InstrumentationSettings | None = instrumentation() if telemetry else None

    def of(self, config: ModelConfig) -> ConnectedModel:
        """The model of this setting, connected when it is first asked for.

        Raises:
            ConfigError: as `connect`.
        """
        if config not in self._known:
            self.adopt(config, known_ways(config, self._connection(config).model))
        return self._known[config]

    def adopt(self, config: ModelConfig, ways: Ways) -> None:
        """From now on, ask the model of this setting in these ways."""
        connection = self._connection(config)
        transport = connection.transport
        if transport is not None and transport.ways is not None:
            transport.ways = ways
        model = GuardedModel(
            Reading(fitted(connection.model, ways)),
            self._limits,
            connection.rate_limit,
            limits_attempts=transport is not None,
        )
        self._known[config] = ConnectedModel(config, model, ways)

    @contextmanager
    def first_contact(self) -> Iterator[None]:
        """While it lasts, a server that cannot be reached is given up at once."""
        self._set_first_contact(True)
        try:
            yield
        finally:
            self._set_first_contact(False)

    def _set_first_contact(self, value: bool) -> None:
        for connection in self._connections.values():
            if connection.transport is not None:
                connection.transport.first_contact = value

    async def close(self) -> None:
        """Close the connections that were made in this event loop."""
        for connection in self._connections.values():
            if connection.transport is not None:
                await connection.transport.aclose()

    def _connection(self, config: ModelConfig) -> Connection:
        if config not in self._connections:
            self._connections[config] = (
                connect(config, self._limits)
                if self._model is None
                else Connection(self._model, None, RateLimit(self._limits))
            )
        return self._connections[config]
