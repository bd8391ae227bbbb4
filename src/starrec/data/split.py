"""What is held out: leave-one-out, a split at two moments, cold items, or the split that the data bring.

Leave-one-out (`leave_one_out`): a user's last item is the test target, the one before it validation, all older
training. Users with fewer than three interactions give everything to training: they feed the graph and are
never a task.

The others say of each interaction whether it is training, validation or test (`Sequences.parts`). A user has
one target in each held-out part. Her history before it is what she took earlier in the training part, for test
also in the validation part; held-out items of the same part stand in no history, and nothing held out is
counted in the graph. A user without anything before a target is no task, and is counted
(`Split.without_history`).

- A split of the data's own (`own_split`): the target is the part's last item in order.
- Global time (`global_time`): the target is the *first* item of the part. Gusak et al. ("Time to Split", RecSys
  2025) name first, last, random and all as choices. The first keeps one line of time for everybody: what is
  counted is older than the first cut, every history is older than the part's cut, every target is younger. The
  last would put items of the held-out part into histories, lie as far as can be from what was counted, and be
  known as the last only when the data end. The price is that users who first appear after a cut are no task.
- Cold items (`item_cold_start`): the target is the user's latest interaction with an item of at most 5
  interactions (`COLD_EDGES`) in all; validation the one before that. Counted in all, and not in what is left:
  then no item becomes cold because its own interactions were held out, and what is left can only be fewer, so
  a held-out item has at most 4 training interactions. (Items with more than 5 in all, of which just so many
  are held out that 5 stay, could be added in more than one way; every such set contains this one.) What a user
  took after her targets stays in training: a task of hers sees none of it, because a graph without her is
  asked and her history ends before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from starrec.data.config import SplitRule
from starrec.data.dataset import Dataset, Sequences, Stretch
from starrec.errors import DataError

Held: TypeAlias = Literal["validation", "test"]
Kind: TypeAlias = Literal["leave-one-out", "global-time", "item_cold_start", "own"]

PARTS: Final = ("train", "validation", "test")
"""The parts of a split, numbered as in `Sequences.parts`."""
PART_WORDS: Final = {
    **dict.fromkeys(("train", "training", "tr", "trn"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval"), 1),
    **dict.fromkeys(("test", "testing", "tst"), 2),
}
"""What a split's column may say, in any case."""
COLD_EDGES: Final = 5
"""Interactions of an item that is cold, at most."""


@dataclass(frozen=True, eq=False)
class Split:
    """Training sequences and each user's held-out targets."""

    sequences: Sequences
    """Everything, as it was before the split; `parts`, but for leave-one-out, is that of each interaction."""
    train: Sequences
    validation: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no validation item."""
    test: NDArray[np.int32]
    """`(n_users,)` item index, or -1 where the user has no test item."""
    kind: Kind = "leave-one-out"
    without_history: Mapping[Held, int] = field(default_factory=dict)
    """Users with held-out interactions who are no task, because nothing stands before the target."""
    cuts: tuple[int, int] | None = None
    """Of a global-time split: the first moments of validation and of test, in ticks of the dataset's times."""

    @property
    def trained_after(self) -> int:
        """Users with training interactions after their test target."""
        everything = self.sequences
        if everything.parts is None:
            return 0
        rows = np.arange(len(everything.items))
        last = _one_each(everything, rows[everything.parts == 0], "last")
        target = _one_each(everything, rows[everything.items == self.test[everything.users]], "last")
        return int(((target >= 0) & (last > target)).sum())

    @property
    def scenario(self) -> str:
        """The scenario of the tasks that are made of the held-out items as they are."""
        return "item_cold_start" if self.kind == "item_cold_start" else "classic"

    def targets(self, which: Held) -> NDArray[np.int32]:
        return self.validation if which == "validation" else self.test

    def history(self, user: int, which: Held) -> Stretch:
        """What the user took before the held-out item, oldest first; for test with the validation item."""
        if self.sequences.parts is not None:
            return self._history_by_part(user, which)
        if self.validation[user] < 0:
            return self.sequences.before(user, int(self.sequences.lengths[user]))
        return self.sequences.before(user, -2 if which == "validation" else -1)

    def _history_by_part(self, user: int, which: Held) -> Stretch:
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


def hold_out(dataset: Dataset, tie_seed: int, rule: SplitRule) -> Split:
    """The data's own split where they bring one, else that of the rule.

    Args:
        tie_seed: orders interactions of a user that have the same time.

    Raises:
        DataError: the rule names a split and the data bring another; two rules at once; or a split at moments
            of data without a clock.
    """
    sequences = dataset.sequences(tie_seed)
    named = [
        f'{key} = "{value}"'
        for key, value, default in (
            ("split", rule.split, "leave-one-out"),
            ("hold_out", rule.hold_out, "all"),
        )
        if value != default
    ]
    if sequences.parts is not None:
        if named:
            raise DataError(
                f"Dataset {dataset.name!r} brings a split of its own, and `[data]` says {' and '.join(named)}. "
                "Take that setting out to use your split, or take out `split_column`, "
                "`validation_interactions` and `test_interactions`."
            )
        return own_split(sequences)
    if len(named) > 1:
        raise DataError(
            f"`[data]` says {' and '.join(named)}: cold items are held out from the whole span of the data. "
            "Leave one of the two at its default, and make a run of each."
        )
    if rule.hold_out == "item_cold_start":
        return item_cold_start(sequences, dataset.n_items)
    if rule.split == "global-time":
        return global_time(dataset, sequences, rule.test_share, rule.validation_share)
    return leave_one_out(sequences)


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


def own_split(sequences: Sequences) -> Split:
    """The split that `sequences.parts` says."""
    return _by_parts(sequences, "own")


def global_time(dataset: Dataset, sequences: Sequences, test_share: float, validation_share: float) -> Split:
    """Cut all interactions at two moments. Those of one moment stay together, so the shares are upper bounds:
    the latest `test_share` of the interactions is test, the `validation_share` before it validation.

    Args:
        sequences: of the dataset, whose rows stand in the order of its interactions but for equal times.

    Raises:
        DataError: the times are no clock times.
    """
    dataset.require_clock('`[data] split = "global-time"`')
    time = dataset.interactions["time"].to_numpy()
    ordered = np.sort(time)

    def cut(share: float) -> int:
        """The earliest moment from which on at most this share of the interactions lies."""
        at = len(ordered) - int(share * len(ordered) + 1e-9)
        if at == len(ordered) or (at and ordered[at - 1] == ordered[at]):
            # Those before share the moment, so the next one is the earliest.
            at = int(np.searchsorted(ordered, ordered[at - 1], side="right"))
        return int(ordered[at]) if at < len(ordered) else int(ordered[-1]) + 1

    cuts = cut(test_share + validation_share), cut(test_share)
    parts = ((time >= cuts[0]).astype(np.int8) + (time >= cuts[1])).astype(np.int8)
    return replace(_by_parts(replace(sequences, parts=parts), "global-time"), cuts=cuts)


def item_cold_start(sequences: Sequences, n_items: int) -> Split:
    """Hold out each user's latest interaction with a cold item, and for validation the one before it; what
    stands first of a user stays, because nothing would be her history."""
    cold = np.bincount(sequences.items, minlength=n_items)[sequences.items] <= COLD_EDGES
    first = np.zeros(len(sequences.items), dtype=np.bool_)
    first[sequences.ptr[:-1][sequences.lengths > 0]] = True
    parts = np.zeros(len(sequences.items), dtype=np.int8)
    usable = cold & ~first
    for part in (2, 1):
        at = _one_each(sequences, np.flatnonzero(usable), "last")
        parts[at[at >= 0]] = part
        usable &= parts == 0
    split = _by_parts(replace(sequences, parts=parts), "item_cold_start")
    only_first = np.setdiff1d(sequences.users[cold & first], sequences.users[parts == 2])
    return replace(split, without_history={"validation": 0, "test": len(only_first)})


def _by_parts(sequences: Sequences, kind: Kind) -> Split:
    """The split of `sequences.parts`, with the targets of its kind."""
    parts = sequences.parts
    assert parts is not None, "these sequences bring no split"
    earlier_than = {part: np.append(0, np.cumsum(parts < part)) for part in (1, 2)}
    without_history: dict[Held, int] = {}

    def targets(which: Held) -> NDArray[np.int32]:
        part = PARTS.index(which)
        at = _one_each(sequences, np.flatnonzero(parts == part), "first" if kind == "global-time" else "last")
        found = np.full(sequences.n_users, -1, dtype=np.int32)
        held = np.flatnonzero(at >= 0)
        earlier = earlier_than[part]
        asked = held[earlier[at[held]] > earlier[sequences.ptr[held]]]
        found[asked] = sequences.items[at[asked]]
        without_history[which] = len(held) - len(asked)
        return found

    validation, test = targets("validation"), targets("test")
    return Split(sequences, sequences.kept(parts == 0), validation, test, kind, without_history)


def _one_each(
    sequences: Sequences, at: NDArray[np.int64], which: Literal["first", "last"]
) -> NDArray[np.int64]:
    """`(n_users,)` the first or last of these rows (ascending) of each user, -1 where there is none."""
    found = np.full(sequences.n_users, -1, dtype=np.int64)
    # In the order in which the one that is meant comes last and so stays.
    ordered = at if which == "last" else at[::-1]
    found[sequences.users[ordered]] = ordered
    return found
