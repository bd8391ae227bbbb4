"""What a recommender answers: items with scores and reasons, and the steps of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from starrec.student import Thought


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the catalogue."""

    item_id: str
    title: str
    """With its year where that is known."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item stands where it stands: the family of signals that moved its score most, as a fact of it."""

    family: str
    """A key of `student.FAMILIES`."""
    text: str
    """In a few words, for the person who is recommended to."""
    counts: str
    """The same fact with its counts."""


@dataclass(frozen=True, slots=True)
class Row:
    """One ranked item."""

    rank: int
    """From 1."""
    item_id: str
    title: str
    score: float
    """Comparable within one answer only; the higher the better."""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Recommendations(Sequence[Row]):
    """Ranked items, best first."""

    rows: tuple[Row, ...]
    history: tuple[Item, ...]
    """What was taken into account, oldest first."""
    system: str
    """Which system ranked: `star`, `teacher`, one tool such as `item_cf`, or `popularity`."""
    notes: tuple[str, ...] = ()
    """What was done to the request before it was answered, one sentence each."""
    thought: Thought | None = None
    """The trace that ranked the first rows, where the student was asked to think."""

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, at: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[at]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)
