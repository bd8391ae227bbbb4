"""What an agent may call: rankings, the catalogue, and the CST tools over candidates of the caller's.

Each tool is a request body, an answer body (`schema`) and a function of the two; a protocol (`mcp`) carries
them. The CST tools are those of teacher and student (`tools.TOOLS`): their answer is given as it stands in a
trace, and taken apart into orders, facts and levels by item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from starrec.data import plain
from starrec.errors import StarrecError
from starrec.recommender import Recommendations, Recommender
from starrec.server.schema import (
    MOST,
    AskingRequest,
    ItemBody,
    ItemsBody,
    RankRequest,
    RecommendRequest,
    RowBody,
    SimilarRequest,
    StrictRequest,
    Text,
)
from starrec.signals import FactNumbers
from starrec.tools import TOOLS, ToolSpec, read_facts, read_levels, read_orders, read_sentences

_SIGNALS: Final = (
    "Counted without the user's own interactions. `text` is the answer as the recommender's own agents read "
    "it, with a letter for each candidate; `facts` says the same by item."
)
LATEST: Final = 20
"""Items of a history that an answer repeats."""


class ItemsRequest(StrictRequest):
    """A search for items."""

    query: Text = Field(description="What somebody has typed of a title.", examples=["star w"])
    n: int = Field(10, strict=True, ge=1, le=100, description="How many items.")


class SignalsRequest(AskingRequest):
    """Candidates of one's own, of which is asked for a user or a history."""

    candidates: list[Text] = Field(
        min_length=1,
        max_length=MOST,
        description="What it is about, as ids or titles.",
        examples=[["50", "100"]],
    )


class AboutRequest(SignalsRequest):
    """The same, about some of the candidates alone."""

    about: list[Text] | None = Field(
        None,
        min_length=1,
        max_length=MOST,
        description="Candidates whose facts are wanted; left out, those that the signal puts first.",
    )


class WindowRequest(AboutRequest):
    """The same, from a part of the history."""

    window: Literal["recent", "whole"] = Field("recent", description="The latest items, or the whole history.")


class ReadBody(BaseModel):
    """What an answer rests on."""

    history: list[ItemBody]
    """The latest items of the history as it was understood, oldest first."""
    history_length: int
    """Items that were read in all."""
    notes: list[str]
    """What the caller should know, such as that the history was empty."""


class AgentRankingBody(ReadBody):
    """Items, best first."""

    rows: list[RowBody]
    system: str
    """What ranked, such as `star` or `ease`."""


class CandidateBody(ItemBody):
    """A candidate."""

    label: str
    """Its letter in `text`."""


class OrderBody(BaseModel):
    """The candidates for which a signal has evidence."""

    signal: str
    item_ids: list[list[str]]
    """Most promising first; those that score alike stand together."""


class StatementBody(BaseModel):
    """A fact that was counted."""

    number: int
    """From 1, within this answer."""
    item_id: str | None
    """Of which candidate; None where it is one of the history."""
    sentence: str


class LevelsBody(BaseModel):
    """How strong each signal is for a candidate."""

    item_id: str
    levels: dict[str, int]
    """From 0 to 15, of the signals that have evidence."""


class SignalsBody(ReadBody):
    """What a CST tool answers."""

    text: str
    candidates: list[CandidateBody]
    orders: list[OrderBody]
    facts: list[StatementBody]
    levels: list[LevelsBody]
    """Of `compare` alone."""


@dataclass(frozen=True, slots=True)
class AgentTool:
    """A tool and what it takes and gives."""

    description: str
    request: type[StrictRequest]
    answer: type[BaseModel]
    call: Callable[[Recommender, Any], object]
    """An answer that serialises as `answer` does, or a StarrecError."""


def rank(model: Recommender, asked: RankRequest) -> object:
    """`AgentRankingBody` of candidates of the caller's."""
    user, history = _whom(asked)
    return _ranking(model.rank(asked.candidates, user=user, history=history, reasons=asked.reasons))


def recommend(model: Recommender, asked: RecommendRequest) -> object:
    """`AgentRankingBody` of the whole catalogue."""
    user, history = _whom(asked)
    where = asked.where.conditions()
    return _ranking(
        model.recommend(user, history, asked.n, where=where, exclude=asked.exclude, reasons=asked.reasons)
    )


def similar(model: Recommender, asked: SimilarRequest) -> object:
    """`AgentRankingBody` of what is like an item."""
    return _ranking(model.similar(asked.item, asked.n, where=asked.where.conditions(), exclude=asked.exclude))


def items(model: Recommender, asked: ItemsRequest) -> object:
    """`ItemsBody` of what was typed of a title."""
    return {"items": model.items(asked.query, asked.n)}


def signals(spec: ToolSpec, model: Recommender, asked: SignalsRequest) -> object:
    """`SignalsBody` of one of the CST tools."""
    user, history = _whom(asked)
    whom = model.requests.asked(user, history)
    task = whom.about(model.requests.candidates(asked.candidates))
    toolbox = model.serving.fast.world.toolbox(task)
    catalogue = model.serving.catalogue
    labels = dict(zip(task.candidates.tolist(), toolbox.labels, strict=True))
    ids = {label: catalogue.item_ids[item] for item, label in labels.items()}
    arguments: dict[str, object] = {}
    if isinstance(asked, WindowRequest):
        arguments["window"] = asked.window
    if isinstance(asked, AboutRequest) and asked.about is not None:
        arguments["candidates"] = [_label(model, name, labels) for name in asked.about]
    text = toolbox.call(spec.name, arguments, FactNumbers())
    subjects = {cite: ids[label] for label, cite, _ in read_facts(text)}
    return {
        "text": text,
        "candidates": [
            {"label": label[1:-1], "item_id": ids[label], "title": catalogue.titles[item]}
            for item, label in labels.items()
        ],
        "orders": [
            {"signal": order.signal, "item_ids": [[ids[label] for label in group] for group in order.groups]}
            for order in read_orders(text)
        ],
        "facts": [
            {"number": int(cite[1:]), "item_id": subjects.get(cite), "sentence": plain(words)}
            for cite, words in read_sentences(text)
        ],
        "levels": [{"item_id": ids[label], "levels": levels} for label, levels in read_levels(text).items()],
        "history": [
            {"item_id": catalogue.item_ids[item], "title": catalogue.titles[item]}
            for item in task.history[-LATEST:].tolist()
        ],
        "history_length": len(task.history),
        "notes": whom.notes,
    }


def _request_of(spec: ToolSpec) -> type[SignalsRequest]:
    if spec.windows:
        return WindowRequest
    return AboutRequest if spec.candidates else SignalsRequest


AGENT_TOOLS: Final[Mapping[str, AgentTool]] = {
    "recommend": AgentTool(
        "Recommend items of the whole catalogue to a user or for a history, each with its reason.",
        RecommendRequest,
        AgentRankingBody,
        recommend,
    ),
    "rank": AgentTool(
        "Rank candidates of your own for a user or a history.", RankRequest, AgentRankingBody, rank
    ),
    "similar": AgentTool(
        "List what the people of an item took as well.", SimilarRequest, AgentRankingBody, similar
    ),
    "items": AgentTool(
        "Find items by what somebody has typed of their titles.", ItemsRequest, ItemsBody, items
    ),
    **{
        name: AgentTool(
            f"{spec.description} {_SIGNALS}", _request_of(spec), SignalsBody, partial(signals, spec)
        )
        for name, spec in TOOLS.items()
    },
}
"""By name; the CST tools have those that they have in traces."""


def _whom(asked: AskingRequest) -> tuple[str | None, list[str] | None]:
    # Who says nothing of herself has no history.
    return asked.user, [] if asked.user is None and asked.history is None else asked.history


def _label(model: Recommender, name: str, labels: Mapping[int, str]) -> str:
    label = labels.get(model.requests.titles.item(name))
    if label is None:
        raise StarrecError(f"`about` names {name[:100]!r}, which is none of the candidates.")
    return label


def _ranking(found: Recommendations) -> object:
    return {
        "rows": found.rows,
        "system": found.system,
        "history": found.history[-LATEST:],
        "history_length": len(found.history),
        "notes": found.notes,
    }
