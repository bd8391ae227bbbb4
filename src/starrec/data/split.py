"""Leave-one-out in order: a user's last item is the test target, the one before it validation, all older
training.

Users with fewer than three interactions give everything to training: they feed the graph and are never a
task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Sequences, Stretch

Held: TypeAlias = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Split:
    """Training sequences and each user's held-out targets."""

    sequences: Sequences
    """Everything, as it was before the split."""
    train: Sequences
    validation: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no validation item."""
    test: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no test item."""

    def targets(self, which: Held) -> NDArray[np.int32]:
        return self.validation if which == "validation" else self.test

    def history(self, user: int, which: Held) -> Stretch:
        """What the user took before the held-out item, oldest first; for test with the validation item."""
        if self.validation[user] < 0:
            return self.sequences.before(user, int(self.sequences.lengths[user]))
        return self.sequences.before(user, -2 if which == "validation" else -1)


def leave_one_out(sequences: Sequences) -> Split:
    """Hold out the last two items of every user with at least three."""
    long_enough = sequences.lengths >= 3
    last = sequences.ptr[1:][long_enough] - 1
    kept = np.ones(len(sequences.items), dtype=np.bool_)
    kept[last] = kept[last - 1] = False

    def of_eligible(positions: NDArray[np.int64]) -> NDArray[np.int32]:
        targets = np.full(sequences.n_users, -1, dtype=np.int32)
        targets[long_enough] = sequences.items[positions]
        return targets

    return Split(sequences, sequences.kept(kept), of_eligible(last - 1), of_eligible(last))
