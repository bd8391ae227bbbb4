"""What a recommender answers: items with scores and reasons, and the steps of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from starrec.signals.facts import Kind, Window

if TYPE_CHECKING:
    from starrec.student import Step, Thought


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the catalogue."""

    item_id: str
    title: str
    """With its year where that is known."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts of a fact, with its items by id and title."""

    kind: Kind
    """What was counted, such as `item_cf`."""
    window: Window
    """Of the history, where that matters."""
    anchor: Item | None
    """The item that it starts from; None for a neighbourhood, the history or everybody."""
    item: Item | None
    """The item that it is about; None for the history itself."""
    both: int
    """What was counted, such as people who took both items."""
    base: int
    """Out of how many; 0 where there is no such number."""
    lift: float | None
    """How many times more often than popularity predicts, where that was counted."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item stands where it stands: the family of signals that moved its score most, as a fact of it."""

    family: str
    """A key of `student.FAMILIES`."""
    text: str
    """In a few words, for the person who is recommended to."""
    counts: str
    """The same fact with its counts."""
    figures: Figures | None = None
    """The counts themselves."""


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


class Explanation(Iterator["Step"]):
    """The steps of a trace, each as soon as it is written, and what they are about."""

    def __init__(self, task: str, candidates: Mapping[str, Item], steps: Iterator[Step]) -> None:
        self.task = task
        """The task as whoever thinks reads it; items are mentions."""
        self.candidates = candidates
        """By the label that stands for them in the trace, such as `‹A›`."""
        self._steps = steps

    def __next__(self) -> Step:
        return next(self._steps)
