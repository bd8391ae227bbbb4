"""A recommender that is ready, and whom it is asked about: a known user with what she took since the fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starrec.errors import CannotThink
from starrec.recommender import Item, Recommender, UnknownUser
from starrec.server.events import UserEvents
from starrec.server.privacy import require_support

_NOTHING_SINCE: Final = UserEvents((), forgotten=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a request is about: a user, a history in place of hers, or nobody who is known."""

    user: str | None
    history: Sequence[str] | None
    since: UserEvents = _NOTHING_SINCE
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Loaded:
    """A recommender, and what names mean to it."""

    model: Recommender
    items: frozenset[str]
    """Ids of the catalogue."""

    @classmethod
    def of(cls, model: Recommender, in_memory: int = 0) -> Loaded:
        """A recommender that has answered once: what it prepares at its first request is prepared.

        Args:
            in_memory: counts of up to so many interactions are read into memory.

        Raises:
            ConfigError: it would speak of too few people (`privacy`).
        """
        require_support(model)
        if model.serving.fast.world.graph.n_interactions <= in_memory:
            model = model.in_memory()
        ids = model.serving.catalogue.item_ids
        model.rank_many([(user, None, ids[:2]) for user in model.serving.user_ids[:2]])
        model.recommend(history=ids[:1], n=1)
        model.items("a", 1)
        with suppress(ImportError, CannotThink):  # without torch, or such training, all but think mode answers
            _ = model.star
        return cls(model, frozenset(ids))

    @property
    def users(self) -> Mapping[str, int]:
        """Index by user id."""
        return self.model.requests.users

    def item(self, name: str) -> Item:
        """The item of an id, or of a title.

        Raises:
            UnknownItem: there is none, or more than one.
        """
        catalogue, item = self.model.serving.catalogue, self.model.requests.titles.item(name)
        return Item(catalogue.item_ids[item], catalogue.titles[item])

    def asked(self, person: Person) -> tuple[str | None, Sequence[str] | None]:
        """User and history as the recommender is asked about them.

        A user of the run is named also where her history is another one: her own edges stay out of the
        evidence.

        Raises:
            UnknownUser: she was deleted and took nothing since.
        """
        user, history, since = person.user, person.history, person.since
        if user is None:
            return None, history or []
        index = self.users.get(user)
        if history is not None:
            return (None if index is None else user), history
        if since.forgotten and not since.events:
            raise UnknownUser("This user was deleted. For a person who is not in the data, give a history.")
        if not since.events:
            return user, None
        ids = self.model.serving.catalogue.item_ids
        before: list[str] = []
        if index is not None and not since.forgotten:
            before = [ids[at] for at in self.model.serving.history(index).items.tolist()]
        # What was taken before counts where it was taken first, as everywhere; so do events that were counted.
        taken = set(before)
        events = dict.fromkeys(event.item_id for event in since.events)
        newer = [item for item in events if item in self.items and item not in taken]
        if index is not None and not newer and not since.forgotten:
            return user, None
        return (None if index is None else user), before + newer
