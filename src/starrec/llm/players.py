"""The models of a team, each connected once: asked with patience, read with good will, recorded or replayed,
traced.

All roles that name the same model share one connection, its speed limits and its breaker. In which ways a
model is asked may change until the first run (`Players.adopt`), and is then kept for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic_ai.models import Model
from pydantic_ai.models.instrumented import InstrumentationSettings

from starrec.llm.config import LimitsConfig, ModelConfig
from starrec.llm.connection import connect
from starrec.llm.formats import fitted, known_ways
from starrec.llm.patience import Patient
from starrec.llm.reading import Reading
from starrec.llm.recording import Recording, Replay
from starrec.llm.telemetry import instrumentation
from starrec.llm.ways import Ways
from starrec.llm.wire import Wire


@dataclass(frozen=True, slots=True)
class Player:
    """A model that plays roles."""

    config: ModelConfig
    model: Model
    ways: Ways
    patient: Patient | None
    """The part of the model that repeats requests; None in a replay."""


@dataclass(frozen=True, slots=True)
class _Connection:
    model: Model
    wire: Wire | None
    """None where no endpoint is named: a provider's own model, or one of this process."""


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
        self._connections: dict[ModelConfig, _Connection] = {}
        self._known: dict[ModelConfig, Player] = {}
        self.instrumentation: InstrumentationSettings | None = instrumentation() if telemetry else None

    def of(self, config: ModelConfig) -> Player:
        """Who plays for this setting.

        Raises:
            ConfigError: as `connect`.
            StarrecError: a replay knows no such model.
        """
        if config not in self._known:
            if self._replay is not None:
                model, ways = self._replay.replayed(config.model)
                self._known[config] = Player(config, model, ways, None)
            else:
                self.adopt(config, known_ways(config, self._connection(config).model))
        return self._known[config]

    def adopt(self, config: ModelConfig, ways: Ways) -> None:
        """From now on, ask the model of this setting in these ways."""
        connection = self._connection(config)
        if connection.wire is not None:
            connection.wire.ways = ways
        patient = Patient(Reading(fitted(connection.model, ways)), self._limits)
        model: Model = patient
        if self._recording is not None:
            model = self._recording.recorded(model, config.model, ways)
        self._known[config] = Player(config, model, ways, patient)

    @contextmanager
    def trying_out(self) -> Iterator[None]:
        """While it lasts, nothing is recorded, and a server that cannot be reached is given up at once."""
        self._set(paused=True)
        try:
            yield
        finally:
            self._set(paused=False)

    def _set(self, *, paused: bool) -> None:
        if self._recording is not None:
            self._recording.paused = paused
        for player in self._known.values():
            if player.patient is not None:
                player.patient.first_contact = paused

    async def close(self) -> None:
        """Close the connections that were made in this event loop."""
        for connection in self._connections.values():
            if connection.wire is not None:
                await connection.wire.aclose()

    def _connection(self, config: ModelConfig) -> _Connection:
        if config not in self._connections:
            wire = Wire(Ways.of(config, "tool", config.tools)) if config.base_url and not self._model else None
            self._connections[config] = _Connection(self._model or connect(config, wire), wire)
        return self._connections[config]
