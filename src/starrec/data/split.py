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

from starrec.data.dataset import Sequences

Held: TypeAlias = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Split:
    """Training sequences and each user's held-out targets."""

    train: Sequences
    validation: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no validation item."""
    test: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no test item."""

    def targets(self, which: Held) -> NDArray[np.int32]:
        return self.validation if which == "validation" else self.test

    def history(self, user: int, which: Held) -> NDArray[np.int32]:
        """The user's items before the held-out one, oldest first; for test with the validation item."""
        training = self.train.of(user)
        if which == "validation" or self.validation[user] < 0:
            return training
        return np.append(training, self.validation[user])


def leave_one_out(sequences: Sequences) -> Split:
    """Hold out the last two items of every user with at least three."""
    long_enough = sequences.lengths >= 3
    last = sequences.ptr[1:][long_enough] - 1
    held = np.zeros(len(sequences.items), dtype=np.bool_)
    held[last] = held[last - 1] = True

    def of_eligible(positions: NDArray[np.int64]) -> NDArray[np.int32]:
        targets = np.full(sequences.n_users, -1, dtype=np.int32)
        targets[long_enough] = sequences.items[positions]
        return targets

    ptr = np.zeros(sequences.n_users + 1, dtype=np.int64)
    np.cumsum(sequences.lengths - 2 * long_enough, out=ptr[1:])
    return Split(Sequences(ptr, sequences.items[~held]), of_eligible(last - 1), of_eligible(last))
