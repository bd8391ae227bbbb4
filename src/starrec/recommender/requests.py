"""What a request is about: its user, its history and its candidates, from names to indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process

from starrec.data import RankingTask, Titles
from starrec.errors import StarrecError
from starrec.pipeline.serving import Serving
from starrec.recommender.filters import FilterLeavesNothing, Filters, Where
from starrec.student import CANDIDATES
from starrec.tools import retrieve

HISTORY: Final = 1000
"""Latest items of a history that are taken into account."""
_NOBODY: Final = -1
_COMPARED: Final = 5000
"""User ids that an unknown one is compared with."""
_SHOWN: Final = 100
"""Characters of a name that an error repeats."""


class UnknownUser(StarrecError):
    """The data have no such user."""

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        """
        Args:
            near: ids of users who may be meant; the text of the error names them.
        """
        super().__init__(f"{message} Near ids: {', '.join(map(repr, near))}." if near else message)
        self.without_ids = message
        """The text for those who must not see other users' ids."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Whom a request is about."""

    task: RankingTask
    """Without candidates yet."""
    notes: tuple[str, ...]
    """What was done to the request, one sentence each."""

    def about(self, candidates: NDArray[np.int32]) -> RankingTask:
        """The task of ranking these."""
        return replace(self.task, candidates=candidates)


class Requests:
    """Names of users and items, as requests give them, resolved over one run."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._graph = serving.fast.world.graph
        self.users = {user_id: index for index, user_id in enumerate(serving.user_ids)}
        """Index by user id."""

    @cached_property
    def titles(self) -> Titles:
        """The catalogue by what people type."""
        catalogue = self._serving.catalogue
        return Titles(catalogue.titles, catalogue.item_ids)

    @cached_property
    def filters(self) -> Filters:
        """The catalogue by what can be filtered for."""
        return Filters(self._serving.catalogue)

    def asked(self, user: str | None, history: Sequence[str] | None) -> Asked:
        """Whom a request is about.

        Raises:
            UnknownUser, UnknownItem: what was named is not in the data.
            StarrecError: neither a user nor a history.
        """
        if user is None and history is None:
            raise StarrecError(
                "Say for whom: `user`, a user of the data, or `history`, a list of items, oldest first (it may "
                "be empty)."
            )
        index = _NOBODY if user is None else self._user(user)
        if history is None:
            own = self._serving.history(index)
            items, days, ratings = own.items, own.days, own.ratings
        else:
            _require_names("history", history)
            items = np.array([self.titles.item(name) for name in history[-HISTORY:]], dtype=np.int32)
            days = ratings = None
        # Answers that were evaluated are as of the history's end; others are as of now.
        day = None if history is None and self._serving.as_evaluated else self._graph.last_day
        notes = []
        if history is not None and len(history) > HISTORY:
            notes.append(
                f"Of the {len(history):,} items of the history, the latest {HISTORY:,} were taken into account."
            )
        if len(repeated := _repeated(items)):
            title = self._serving.catalogue.titles[repeated[0]]
            more = f" (and {len(repeated) - 1:,} more)" if len(repeated) > 1 else ""
            notes.append(f"{title!r}{more} stands in the history more than once; its latest place counts.")
        if not len(items):
            notes.append("The history is empty: the answer goes by popularity.")
        nothing = np.empty(0, dtype=np.int32)
        task = RankingTask("request", index, user or "", items, nothing, days=days, ratings=ratings, day=day)
        return Asked(task, tuple(notes))

    def nominated(self, asked: Asked, k: int, allowed: NDArray[np.bool_]) -> RankingTask:
        """The task of ranking up to k items, retrieved from the whole catalogue.

        Args:
            allowed: `(n_items,)` items that may be an answer, those of the history as well.

        Raises:
            FilterLeavesNothing: there is none outside the history.
        """
        task = asked.task
        # Without a copy of the catalogue, wherever more may be an answer than the history could take away.
        if np.count_nonzero(allowed) <= len(task.history) and not np.delete(allowed, task.history).any():
            raise FilterLeavesNothing(
                "Nothing is left to recommend: every item of the catalogue is in the history or left out by "
                "`where` or `exclude`. Ask for more."
            )
        return asked.about(retrieve(self._graph, task.user, task.history, k, allowed))

    def allowed(self, where: Where | None, exclude: Sequence[str]) -> NDArray[np.bool_]:
        """`(n_items,)` whether an item may be an answer."""
        _require_names("exclude", exclude)
        allowed = self.filters.allowed(where or {})
        allowed[[self.titles.item(name) for name in exclude]] = False
        return allowed

    def candidates(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The caller's candidates.

        Raises:
            UnknownItem: one is not in the data.
            StarrecError: there is none, there are more than `CANDIDATES`, or one stands twice.
        """
        _require_names("candidates", names)
        if not 1 <= len(names) <= CANDIDATES:
            raise StarrecError(f"Give 1 to {CANDIDATES} candidates, not {len(names):,}.")
        items = np.array([self.titles.item(name) for name in names], dtype=np.int32)
        if len(repeated := _repeated(items)):
            title = self._serving.catalogue.titles[repeated[0]]
            raise StarrecError(f"The candidate {title!r} stands more than once. Give each once.")
        return items

    def _user(self, user: str) -> int:
        found = self.users.get(user) if isinstance(user, str) else None
        if found is None:
            near = [
                name
                for name, _, _ in process.extract(
                    str(user)[:_SHOWN], list(islice(self.users, _COMPARED)), limit=3
                )
            ]
            raise UnknownUser(
                f"There is no user {str(user)[:_SHOWN]!r} in the data. For a person who is not in them, give a "
                "history.",
                near,
            )
        return found


def require_count(n: int) -> None:
    """Refuse a number of items that cannot be ranked in one pass.

    Raises:
        StarrecError: n is not 1 to `CANDIDATES`.
    """
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= CANDIDATES:
        raise StarrecError(f"n must be 1 to {CANDIDATES}, which are ranked in one pass, not {n!r}.")


def _require_names(what: str, names: Sequence[str]) -> None:
    # A string is a sequence of strings: one title would be read as its letters.
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise StarrecError(f"`{what}` is a list of item ids or titles, not {names!r:.100}.")


def _repeated(items: NDArray[np.int32]) -> list[int]:
    ordered = np.sort(items)
    if (ordered[1:] != ordered[:-1]).all():
        return []
    found, counts = np.unique(items, return_counts=True)
    repeated: list[int] = found[counts > 1].tolist()
    return repeated
