"""What is held out: leave-one-out in order, or the split that the data bring.

Leave-one-out: a user's last item is the test target, the one before it validation, all older training. Users
with fewer than three interactions give everything to training: they feed the graph and are never a task.

A split of the data's own says of each interaction whether it is training, validation or test. A user has one
target in each held-out part, the part's last item in order. Her history before it is what she took earlier in
the training part, for test also in the validation part; held-out items of the same part stand in no history,
and nothing held out is counted in the graph. A user without anything before a target is no task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.dataset import Sequences, Stretch

Held: TypeAlias = Literal["validation", "test"]

PARTS: Final = ("train", "validation", "test")
"""The parts of a split, numbered as in `Sequences.parts`."""
PART_WORDS: Final = {
    **dict.fromkeys(("train", "training", "tr", "trn"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval"), 1),
    **dict.fromkeys(("test", "testing", "tst"), 2),
}
"""What a split's column may say, in any case."""


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
        if self.sequences.parts is not None:
            return self._own_history(user, which)
        if self.validation[user] < 0:
            return self.sequences.before(user, int(self.sequences.lengths[user]))
        return self.sequences.before(user, -2 if which == "validation" else -1)

    def _own_history(self, user: int, which: Held) -> Stretch:
        everything = self.sequences
        assert everything.parts is not None
        start, target = int(everything.ptr[user]), self.targets(which)[user]
        end = int(everything.ptr[user + 1])
        if target >= 0:
            end = start + int(np.flatnonzero(everything.of(user) == target)[0])
        at = start + np.flatnonzero(everything.parts[start:end] < PARTS.index(which))
        return Stretch(
            everything.items[at],
            None if everything.days is None else everything.days[at],
            None if everything.ratings is None else everything.ratings[at],
        )


def hold_out(sequences: Sequences) -> Split:
    """The data's own split where they bring one, else leave-one-out."""
    return leave_one_out(sequences) if sequences.parts is None else own_split(sequences)


def own_split(sequences: Sequences) -> Split:
    """The split that `sequences.parts` says."""
    parts = sequences.parts
    assert parts is not None, "these sequences bring no split"

    def last_of(part: int) -> NDArray[np.int32]:
        targets = np.full(sequences.n_users, -1, dtype=np.int32)
        at = np.flatnonzero(parts == part)
        # In order, so that a user's last one is what stays.
        last = np.full(sequences.n_users, -1, dtype=np.int64)
        last[sequences.users[at]] = at
        earlier = np.append(0, np.cumsum(parts < part))
        held = np.flatnonzero(last >= 0)
        held = held[earlier[last[held]] > earlier[sequences.ptr[held]]]
        targets[held] = sequences.items[last[held]]
        return targets

    return Split(sequences, sequences.kept(parts == 0), last_of(1), last_of(2))


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
