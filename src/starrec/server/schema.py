"""Bodies of requests and answers, with their limits; the OpenAPI document is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from starrec.student import CANDIDATES

LONGEST_TEXT: Final = 10_000
"""Characters of an id or a title."""
LONGEST_HISTORY: Final = 10_000
"""Items that a request may name; `[serving] history` says how many of them are used."""
MOST_EXCLUDED: Final = 1000
"""Items that a request may leave out: each may be a title, to be looked for."""
MOST: Final = CANDIDATES
"""Items that can be ranked or asked for at once."""

_FAULTS: Final = 5
"""Faults of a request that are named."""
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=1)
"""Clocks differ."""

Text = Annotated[
    # Without NUL, which no database of events holds.
    str,
    StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00]+$"),
]
"""An id or a title."""
Year = Annotated[int, Field(strict=True, ge=-9999, le=9999)]


class StrictRequest(BaseModel):
    """A request; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class AskingRequest(StrictRequest):
    """Whom a request is about."""

    user: Text | None = Field(None, description="Id of a user.")
    history: list[Text] | None = Field(
        None,
        max_length=LONGEST_HISTORY,
        description="What the person took, oldest first, as ids or titles; used in place of what is known of "
        "the user. Neither user nor history: a person of whom nothing is known.",
    )


class Where(StrictRequest):
    """What items must have."""

    categories: Text | Annotated[list[Text], Field(min_length=1, max_length=100)] | None = Field(
        None,
        description="A category, or several of which an item must have one; in any case.",
        examples=["Comedy"],
    )
    year: Year | tuple[Year, Year] | None = Field(
        None, description="A year, or the first and the last of several.", examples=[[1990, 1999]]
    )

    def conditions(self) -> dict[str, Any]:
        """As the recommender takes them."""
        return self.model_dump(exclude_none=True)


class _Filtering(StrictRequest):
    n: int = Field(10, strict=True, ge=1, le=MOST, description="How many items.")
    where: Where = Field(default_factory=Where, description="What the items must have.")
    exclude: list[Text] = Field(
        default_factory=list, max_length=MOST_EXCLUDED, description="Items to leave out, as ids or titles."
    )


class RankRequest(AskingRequest):
    """Candidates of one's own, to be ranked for a user or a history."""

    candidates: list[Text] = Field(
        min_length=1, max_length=MOST, description="What is ranked, as ids or titles.", examples=[["50", "100"]]
    )
    reasons: bool = Field(False, strict=True, description="Whether each item comes with its reason.")


class RecommendRequest(AskingRequest, _Filtering):
    """What to recommend from the whole catalogue to a user or for a history."""

    reasons: bool = Field(True, strict=True, description="Whether each item comes with its reason.")


class SimilarRequest(_Filtering):
    """What is like an item."""

    item: Text = Field(description="Id or title.", examples=["Fargo (1996)"])


class ExplainRequest(AskingRequest):
    """How a ranking comes about."""

    candidates: list[Text] | None = Field(
        None, min_length=1, max_length=MOST, description="What is ranked; left out, what fast mode puts first."
    )


class EventRequest(StrictRequest):
    """A user took an item."""

    user: Text
    item: Text = Field(description="Id or title.")
    time: datetime | None = Field(
        None,
        description="When, in ISO 8601, in UTC unless it says otherwise: since 1970, and a day from now at "
        "most. Left out, now.",
    )

    @field_validator("time")
    @classmethod
    def _can_be(cls, time: datetime | None) -> datetime | None:
        if time is None:
            return None
        # Compared before it is converted: at the ends of the calendar another time zone has no such moment.
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        if not _EARLIEST <= aware <= datetime.now(UTC) + _AHEAD:
            raise ValueError("this is before 1970, or more than a day from now")
        return aware.astimezone(UTC)


class ItemBody(BaseModel):
    """An item of the catalogue."""

    item_id: str
    title: str


class FiguresBody(BaseModel):
    """The counts of a fact."""

    kind: str
    """What was counted, such as `item_cf`."""
    window: str
    anchor: ItemBody | None
    """The item that it starts from; null for a neighbourhood, the history or everybody."""
    item: ItemBody | None
    """The item that it is about; null for the history itself."""
    both: int
    """What was counted, such as people who took both items."""
    base: int
    """Out of how many; 0 where there is no such number."""
    lift: float | None
    """How many times more often than popularity predicts, where that was counted."""


class ReasonBody(BaseModel):
    """Why an item stands where it does: the family of signals without which its score would change most."""

    family: str
    text: str
    counts: str
    """The same fact with its counts."""
    figures: FiguresBody | None


class RowBody(BaseModel):
    """One item of a ranking."""

    rank: int
    item_id: str
    title: str
    score: float | None
    """Greater is better; comparable within one answer alone."""
    reason: ReasonBody | None = None


class RankingBody(BaseModel):
    """Items, best first."""

    rows: list[RowBody]
    history: list[ItemBody]
    """What was read from: the history as it was understood."""
    system: str
    """What ranked, such as `star` or `ease`."""
    notes: list[str]
    """What the caller should know, such as that the history was cut."""


class ItemsBody(BaseModel):
    """Items of the catalogue."""

    items: list[ItemBody]


class EventBody(BaseModel):
    """An event that is stored."""

    number: int
    user: str
    item: ItemBody
    time: datetime
    key: str
    """Its idempotency key: sent again with it, it is stored once."""


class DeletedBody(BaseModel):
    """What deleting a user did, and what it did not."""

    user: str
    events: int
    """Events that were removed."""
    rebuild: int
    """Number of the rebuild that takes the user out of the counts, still to be done."""
    notes: list[str]


class StatusBody(BaseModel):
    """Whether the server can answer."""

    status: Literal["ok", "loading", "failed"]
    parts: dict[str, str] = Field(default_factory=dict)


def faults(errors: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found wrong with a request, where each; without what was given, which is somebody's
    history, or no text at all."""
    found = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in errors]
    more = f"; and {len(found) - _FAULTS} more" if len(found) > _FAULTS else ""
    return f"{'; '.join(found[:_FAULTS])}{more}".encode(errors="replace").decode()
