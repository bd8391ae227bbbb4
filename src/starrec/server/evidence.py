"""What the counts say of an item, as an answer: sentences and counts, never who."""

from __future__ import annotations

from pydantic import BaseModel

from starrec.data import plain
from starrec.server.loaded import Loaded
from starrec.signals import Fact, sentence
from starrec.signals.item_summary import item_summary


class FactBody(BaseModel):
    """A fact about an item and another one."""

    item_id: str
    title: str
    people: int
    """Who took both."""
    lift: float | None
    """How many times more often than the other item's popularity predicts."""
    sentence: str


class EvidenceBody(BaseModel):
    """What is counted of an item."""

    item_id: str
    title: str
    facts: list[str]
    """How often it is taken, and lately."""
    together: list[FactBody]
    """Taken by the same people."""
    then: list[FactBody]
    """Taken soon after it."""
    against: list[FactBody]
    """Rarely taken by the same people."""


def evidence(loaded: Loaded, name: str, n: int) -> dict[str, object]:
    """An `EvidenceBody` about the item of an id or a title, with up to n facts of a kind.

    Raises:
        UnknownItem: there is none, or more than one.
    """
    world = loaded.model.serving.fast.world
    support = world.config.support
    catalogue = loaded.model.serving.catalogue
    item = loaded.model.requests.titles.item(name)
    found = item_summary(world.graph, item, top=n, support=support)

    def worded(fact: Fact) -> str:
        return plain(sentence(fact, world.mentions, support=support))

    def listed(facts: tuple[Fact, ...]) -> list[dict[str, object]]:
        return [
            {
                "item_id": catalogue.item_ids[fact.subject],
                "title": catalogue.titles[fact.subject],
                "people": fact.both,
                "lift": fact.lift,
                "sentence": worded(fact),
            }
            for fact in facts
            if fact.both >= support
        ]

    return {
        "item_id": catalogue.item_ids[item],
        "title": catalogue.titles[item],
        "facts": [worded(fact) for fact in (found.popularity, found.trend) if fact is not None],
        "together": listed(found.together),
        "then": listed(found.then),
        "against": listed(found.against),
    }
