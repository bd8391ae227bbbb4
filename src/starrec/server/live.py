"""The run that answers, and the next one, which is loaded beside it and takes its place between two batches.

Who asks holds the run that answers until the answer is there, so nothing under way notices a change. A run that
cannot be loaded changes nothing: the one before goes on, and the log says why.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from typing import Final, Generic, Literal, TypeVar

from starrec.errors import StarrecError

M = TypeVar("M")

_LOG: Final = logging.getLogger(__name__)


class NotLoaded(StarrecError):
    """No run answers yet."""


class Live(Generic[M]):
    """A model that can be loaded again. Belongs to the event loop that uses it."""

    def __init__(
        self,
        load: Callable[[], M],
        state: Callable[[], object],
        *,
        loaded: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        load: makes a model ready to answer; called in a thread.
        state: equal as long as the model need not be loaded again; called in a thread.
        loaded, failed: called after each load.
        """
        self._load, self._state, self._loaded, self._failed = load, state, loaded, failed
        self._model: M | None = None
        self._of_state: object = None
        self._failed_once = False
        self._loading = asyncio.Lock()

    @property
    def model(self) -> M:
        """The model that answers.

        Raises:
            NotLoaded: none was loaded yet.
        """
        if self._model is None:
            raise NotLoaded(
                "The run cannot be loaded; the server's log says why."
                if self._failed_once
                else "The run is being loaded. Ask again in some seconds."
            )
        return self._model

    @property
    def status(self) -> Literal["ok", "loading", "failed"]:
        """Whether there is one, or why not yet."""
        return "ok" if self._model is not None else "failed" if self._failed_once else "loading"

    async def reload(self) -> bool:
        """Load the model again and let it answer; whether that went well."""
        async with self._loading:
            # Before it is read: what changes meanwhile is a change.
            state, started = await asyncio.to_thread(self._state), time.monotonic()
            try:
                model = await asyncio.to_thread(self._load)
            except Exception as error:  # whatever a run that is half written makes of itself
                reason = str(error) if isinstance(error, StarrecError) else type(error).__name__
                self._of_state, self._failed_once = state, True
                _LOG.error("The run cannot be loaded", exc_info=error, extra={"fields": {"reason": reason}})
                self._failed()
                return False
            self._model, self._of_state = model, state
            self._loaded()
            del model
            await asyncio.to_thread(_settle)
            _LOG.info("loaded", extra={"fields": {"seconds": round(time.monotonic() - started, 2)}})
            return True

    async def watch(self, seconds: float) -> None:
        """Load the model again whenever its state has changed; looks every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if await asyncio.to_thread(self._state) != self._of_state:
                await self.reload()


def _settle() -> None:
    """Collect what the model before left, and keep the collector from looking at what stays.

    Under load it would look at all of it every 2 s, and nobody is answered for 0.45 s then.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
