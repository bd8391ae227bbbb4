"""What a served run is about, for whoever starts without knowing it: its catalogue in a few lines."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from pydantic import BaseModel

from starrec.server.loaded import Loaded
from starrec.server.schema import ItemBody

_POPULAR: Final = 12
_CATEGORIES: Final = 100


class CategoryBody(BaseModel):
    """A category of the catalogue."""

    name: str
    items: int


class CatalogueBody(BaseModel):
    """What a run is about."""

    dataset: str
    items: int
    people: int
    """Whose interactions are counted."""
    popular: list[ItemBody]
    """The items that most people took."""
    categories: list[CategoryBody]
    """Those of most items, at most 100."""
    years: tuple[int, int] | None
    """The first and the last year of an item; null where none has a year."""
    system: str
    """What ranks, such as `star` or `ease`."""
    why_served: str
    """Why another system than the student ranks; empty where the student does."""
    report: bool
    """Whether the run has a report (`/report`)."""


def about(loaded: Loaded, *, report: bool) -> dict[str, object]:
    """A `CatalogueBody`; nothing in it rests on fewer people than the run's support."""
    model = loaded.model
    catalogue, world = model.serving.catalogue, model.serving.fast.world
    taken = world.graph.counts.popularity
    first = np.argsort(-taken, kind="stable")[:_POPULAR]
    shown = [item for item in first.tolist() if taken[item] >= world.config.support]
    categories = Counter(name for names in catalogue.items["categories"].to_list() for name in set(names))
    years = catalogue.items["year"].drop_nulls()
    return {
        "dataset": model.serving.dataset.name,
        "items": len(catalogue),
        "people": world.graph.n_users,
        "popular": [{"item_id": catalogue.item_ids[at], "title": catalogue.titles[at]} for at in shown],
        "categories": [
            {"name": name, "items": count}
            for name, count in sorted(categories.items(), key=lambda pair: (-pair[1], pair[0]))[:_CATEGORIES]
        ],
        "years": [int(years.min()), int(years.max())] if len(years) else None,  # type: ignore[arg-type]
        "system": model.system,
        "why_served": model.why_served,
        "report": report,
    }
