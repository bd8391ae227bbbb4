"""Which items of the catalogue a request may be answered with: `where`, and what it excludes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rapidfuzz import process

from starrec.data import Catalogue
from starrec.errors import StarrecError

KEYS: Final = ("categories", "year")
Where = Mapping[str, Any]


class FilterLeavesNothing(StarrecError):
    """No item of the catalogue passes the filter."""


class Filters:
    """The catalogue by what can be filtered for."""

    def __init__(self, catalogue: Catalogue) -> None:
        items = catalogue.items
        rows = (
            items.select(pl.col("categories").list.eval(pl.element().str.to_lowercase()))
            .with_row_index("item")
            .explode("categories", empty_as_null=True)
            .drop_nulls()
            .group_by("categories")
            .agg("item")
        )
        self._categories = {name: np.array(of, dtype=np.int32) for name, of in rows.iter_rows()}
        self._names = sorted({name for row in items["categories"].to_list() for name in row})
        self._year = items["year"].fill_null(np.iinfo(np.int32).min).to_numpy()
        self._n_items = items.height

    def allowed(self, where: Where) -> NDArray[np.bool_]:
        """`(n_items,)` whether an item passes: `categories`, one or several of which it must have one, in any
        case; `year`, or `(first, last)`.

        Raises:
            FilterLeavesNothing: none does.
            StarrecError: there is no such key or category, or the year is none.
        """
        allowed = np.ones(self._n_items, dtype=np.bool_)
        for key, wanted in where.items():
            if key == "categories":
                allowed &= self._of_categories([wanted] if isinstance(wanted, str) else list(wanted))
            elif key == "year":
                first, last = _years(wanted)
                allowed &= (self._year >= first) & (self._year <= last)
            else:
                raise StarrecError(f"where cannot look at {key!r}. It knows {' and '.join(KEYS)}.")
        if not allowed.any():
            said = ", ".join(f"{key} {wanted!r}" for key, wanted in where.items())
            raise FilterLeavesNothing(f"No item of the catalogue has {said}. Ask for less.")
        return allowed

    def _of_categories(self, wanted: Sequence[str]) -> NDArray[np.bool_]:
        allowed = np.zeros(self._n_items, dtype=np.bool_)
        for name in wanted:
            of = self._categories.get(name.lower()) if isinstance(name, str) else None
            if of is None:
                near = [found for found, _, _ in process.extract(str(name)[:100], self._names, limit=5)]
                known = f"Did you mean {', '.join(map(repr, near))}?" if near else "The items have none."
                raise StarrecError(f"No item has the category {str(name)[:100]!r}. {known}")
            allowed[of] = True
        return allowed


def _years(wanted: Any) -> tuple[int, int]:
    ends = [wanted, wanted] if isinstance(wanted, int) else wanted
    if (
        not isinstance(ends, (list, tuple))
        or len(ends) != 2
        or not all(isinstance(year, int) and not isinstance(year, bool) for year in ends)
    ):
        raise StarrecError(f"where takes a year, or the first and the last of several, not {wanted!r}.")
    return int(ends[0]), int(ends[1])
