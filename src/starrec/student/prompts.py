"""Fast-mode prompts as arrays of token ids, thousands at a time.

A fast prompt is `<task>` + `tools.fast_task` + `</task><recommend>`. Writing tens of thousands of them an
epoch as text and encoding them would cost more than training on them, so this module assembles the same token
ids from arrays; a test holds the two equal. Augmentation lives here because only arrays see it: labels are
permuted, item tokens withheld, the evidence of a signal withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from starrec.data import RankingTask
from starrec.signals import N_LEVELS, SIGNALS, compact, labels
from starrec.student.tokenizer import MAX_LABELS, UNKNOWN_ITEM
from starrec.tools import SHOWN, World

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FastTasks:
    """What fast prompts are made of."""

    histories: NDArray[np.int32]
    """`(n, SHOWN)` latest items, oldest first, left-padded with -1."""
    candidates: NDArray[np.int32]
    """`(n, c)`"""
    levels: NDArray[np.int8]
    """`(n, signals, c)` in the order of `SIGNALS`; -1 is none."""

    def __len__(self) -> int:
        return len(self.candidates)

    def __getitem__(self, rows: NDArray[np.int64]) -> FastTasks:
        return FastTasks(self.histories[rows], self.candidates[rows], self.levels[rows])

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All parts as one, in order."""
        return cls(
            np.concatenate([part.histories for part in parts]),
            np.concatenate([part.candidates for part in parts]),
            np.concatenate([part.levels for part in parts]),
        )


def gather_tasks(world: World, tasks: list[RankingTask]) -> FastTasks:
    """Look up the evidence of these tasks; they must have equally many candidates."""
    histories = np.full((len(tasks), SHOWN), -1, dtype=np.int32)
    for row, task in enumerate(tasks):
        shown = task.history[-SHOWN:]
        histories[row, SHOWN - len(shown) :] = shown
    return FastTasks(
        histories,
        np.stack([task.candidates for task in tasks]),
        np.stack([world.toolbox(task).evidence.levels for task in tasks]),
    )


@dataclass(frozen=True, eq=False)
class FastBatch:
    """Prompts as the model reads them."""

    ids: Ids
    """`(n, length)` right-padded; causal attention keeps padding out of everything before it."""
    last: Ids
    """`(n,)` position of `<recommend>`."""
    label_ids: Ids
    """`(n, c)` token of each candidate's label."""


class FastPrompts:
    """Assembles fast prompts for one tokenizer and catalogue."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, mentions: list[str]) -> None:
        def encode(text: str) -> Ids:
            return np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int64)

        self._pad = int(tokenizer.pad_token_id)
        self._unknown = tokenizer.get_vocab()[UNKNOWN_ITEM]
        self._items = np.asarray(tokenizer.convert_tokens_to_ids(mentions), dtype=np.int64)
        self._levels = np.asarray(
            [
                tokenizer.convert_tokens_to_ids([compact(signal, level) for level in range(-1, N_LEVELS)])
                for signal in SIGNALS
            ],
            dtype=np.int64,
        )
        self._labels = np.asarray(tokenizer.convert_tokens_to_ids(list(labels(MAX_LABELS))), dtype=np.int64)
        self._head = encode("<task>History: ")
        self._middle = encode(" Candidates: ")
        self._tail = encode("</task><recommend>")

    def batch(
        self,
        tasks: FastTasks,
        *,
        label_permutation: NDArray[np.int64] | None = None,
        random: np.random.Generator | None = None,
        drop_items: float = 0.0,
        drop_signals: float = 0.0,
    ) -> FastBatch:
        """The prompts of these tasks.

        Args:
            label_permutation: `(n, c)` number of each candidate's label; None gives the labels of the task.
            random: for training: permutes labels, and withholds what follows.
            drop_items: probability with which an item token is withheld.
            drop_signals: probability with which one signal is withheld from a whole prompt.
        """
        n, c = tasks.candidates.shape
        if label_permutation is None:
            label_permutation = np.tile(np.arange(c), (n, 1))
        levels = tasks.levels.transpose(0, 2, 1) + 1
        items = self._items[tasks.candidates]
        history = self._items[tasks.histories]
        if random is not None:
            label_permutation = random.permuted(np.tile(np.arange(MAX_LABELS), (n, 1)), axis=1)[:, :c]
            items = np.where(random.random(items.shape) < drop_items, self._unknown, items)
            history = np.where(random.random(history.shape) < drop_items, self._unknown, history)
            withheld = random.random((n, 1, levels.shape[2])) < drop_signals
            levels = np.where(withheld, 0, levels)
        label_ids = self._labels[label_permutation]
        evidence = self._levels[np.arange(len(SIGNALS)), levels]
        rows = np.concatenate([items[:, :, None], evidence, label_ids[:, :, None]], axis=2).reshape(n, -1)
        shown = (tasks.histories >= 0).sum(axis=1)
        wide = np.concatenate(
            [
                np.tile(self._head, (n, 1)),
                history,
                np.tile(self._middle, (n, 1)),
                rows,
                np.tile(self._tail, (n, 1)),
            ],
            axis=1,
        )
        # Histories are left-padded in the array and absent in the prompt: shift short ones to the front.
        missing = SHOWN - shown
        column = np.arange(wide.shape[1])
        source = np.where(column < len(self._head), column, column + missing[:, None])
        beyond = source >= wide.shape[1]
        ids = np.where(beyond, self._pad, np.take_along_axis(wide, np.where(beyond, 0, source), axis=1))
        longest = wide.shape[1] - int(missing.min())
        return FastBatch(ids[:, :longest], wide.shape[1] - 1 - missing, label_ids)
