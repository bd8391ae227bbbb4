"""What teaching may cost, and the account that stops it in time.

A budget is one limit, in money, tokens or time, on what one command spends. Runs that are under way when it is
near are finished, never torn, so a run is begun only if it and those under way are expected to fit, at the mean
of the runs that have ended.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias

from starrec.errors import ConfigError
from starrec.trajectories import Cost, Failure, Spent, Trajectory

Ended: TypeAlias = Trajectory | Failure
"""A run that has ended, one way or the other."""
Resource: TypeAlias = Literal["usd", "tokens", "seconds"]

_AMOUNT: Final = re.compile(r"\s*(\d+(?:_\d+)*(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*")
_UNITS: Final[dict[str, tuple[Resource, float]]] = {
    "usd": ("usd", 1),
    "tokens": ("tokens", 1),
    "s": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, such as 5 dollars."""

    limit: float
    resource: Resource
    text: str
    """As it was given."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """A budget such as `5.00usd`, `200000tokens` or `30min`.

        Raises:
            ConfigError: no amount above 0 with a known unit.
        """
        found = _AMOUNT.fullmatch(text)
        amount = float(found.group(1)) if found else 0.0
        if found is None or found.group(2).lower() not in _UNITS or amount <= 0:
            raise ConfigError(
                f"{text!r} is no budget. Give an amount above 0 in {', '.join(_UNITS)}, "
                "such as 5.00usd, 200000tokens or 30min."
            )
        resource, factor = _UNITS[found.group(2).lower()]
        return cls(amount * factor, resource, text.strip())


class Spending:
    """What a command has spent, held against its budget."""

    stopped: bool = False
    """Whether a run was not begun for the budget's sake."""

    def __init__(self, budget: Budget | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget
        self._clock = clock
        self._started = clock()
        self._total = Spent()
        self._runs = 0

    def add(self, ended: Iterable[Ended]) -> None:
        for run in ended:
            self._total += run.cost.total
            self._runs += 1

    def charge(self, cost: Cost) -> None:
        """Account for what was spent on no run."""
        self._total += cost.total

    def allows(self, under_way: int) -> bool:
        """Whether one more run may begin beside those under way."""
        if self.budget is None:
            return True
        used = self.used(self.budget.resource)
        expected = used / self._runs * under_way if self._runs else 0.0
        if used + expected < self.budget.limit:
            return True
        self.stopped = True
        return False

    def used(self, resource: Resource) -> float:
        """Dollars, tokens of prompts and answers, or seconds since this account was opened."""
        match resource:
            case "usd":
                return self._total.usd
            case "tokens":
                return self._total.prompt_tokens + self._total.completion_tokens
            case "seconds":
                return self._clock() - self._started
