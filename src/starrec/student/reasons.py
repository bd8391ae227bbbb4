"""Which family of signals put an item where fast mode ranks it.

Signals that count the same thing are one family. A family is withheld from all candidates that are shown, as
training withholds signals, and fast mode scores them again: what moves an item's score most, against the mean
of the others, decided most about its place. All families of all items are one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.student.fast import Scorer
from starrec.student.rows import READ, FastTasks, withhold

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "item_cf": (
        "item_cf.recent",
        "item_cf.whole",
        "people.recent",
        "people.whole",
        "walk.recent",
        "factors.product",
        "factors.cosine",
    ),
    "user_cf": ("user_cf.recent", "user_cf.whole"),
    "sequence": ("transitions", "following.1", "following.30", "around.20"),
    "ease": ("ease",),
    "popularity": ("popularity",),
    "trend": ("trend",),
    "content": ("category", "semantic"),
}
"""Signals of each family. The length of the history says nothing of an item and is in none."""
_WITHHELD: Final = np.array([[signal in family for signal in READ] for family in FAMILIES.values()])
"""`(families, len(READ))`"""


def weights_of_families(
    fast: Scorer, numbers: NDArray[np.float32], items: NDArray[np.int32]
) -> NDArray[np.float32]:
    """`(c, families)` how much each item's score, less the mean of all, falls when a family is withheld;
    columns in the order of `FAMILIES`.

    Args:
        numbers: `(c, N_NUMBERS)` rows of the items that are shown, 2 or more.
        items: `(c,)`.
    """
    batch = np.concatenate([numbers[None], withhold(np.tile(numbers, (len(_WITHHELD), 1, 1)), _WITHHELD)])
    copies = (len(batch), 1)
    tasks = FastTasks(batch, np.tile(np.arange(len(items)), copies), np.tile(items, copies))
    scores = fast.scores(tasks)
    standing = scores - scores.mean(axis=1, keepdims=True)
    fallen: NDArray[np.float32] = (standing[:1] - standing[1:]).T
    return fallen
