"""Trajectories as training samples of think mode: token ids, and which of them are the student's to learn.

The student learns what agents wrote (plan, tool calls, reflections, ranking) and never what tools answered:
tool responses and the task are context (STAR, section 3.3). The ids are exactly those of the tokenizer's chat
template on the messages; a test holds that.

The ranking is learned as it will be read: off one distribution right after `<recommend>` (`listwise`). Label by
label, only the first label would teach that distribution. So that it is read from what tools answered, not from
what a candidate is called or which item it is, labels are permuted and item tokens withheld as in fast mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from starrec.signals import labels
from starrec.student.listwise import logits_of
from starrec.student.tokenizer import MAX_LABELS, UNKNOWN_ITEM
from starrec.trajectories import Trajectory, segments


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One trajectory for training."""

    ids: NDArray[np.int64]
    """`(length,)`"""
    learn: NDArray[np.bool_]
    """`(length,)` whether this token is the student's to learn."""
    listed: NDArray[np.bool_]
    """`(length,)` whether this is an item of the task or of the rows of `compare`."""
    ranking: NDArray[np.int64]
    """`(c,)` tokens of the labels, best first."""
    target: int
    """Place of the true next item in the ranking, from 0; -1 where the run was not judged."""

    @property
    def recommend(self) -> int:
        """Where `<recommend>` stands; the labels and the closing tag come after it."""
        return len(self.ids) - len(self.ranking) - 2


def make_samples(
    tokenizer: PreTrainedTokenizerFast,
    trajectories: Sequence[Trajectory],
    context: int,
    *,
    imitated: bool = True,
) -> list[Sample]:
    """Samples of trajectories, those longer than the context left out.

    Args:
        imitated: whether what agents wrote is to be learned; if not, the run is context, for its reward.
    """
    parts = [segments(trajectory) for trajectory in trajectories]
    texts = [part.text for pieces in parts for part in pieces]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    words = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    is_item = np.array([word.startswith("⟦") for word in words])
    samples, at = [], 0
    for trajectory, pieces in zip(trajectories, parts, strict=True):
        rows = [np.asarray(i, dtype=np.int64) for i in encoded[at : at + len(pieces)]]
        at += len(pieces)
        ids = np.concatenate(rows)
        if len(ids) > context:
            continue
        learn = [np.full(len(row), piece.written and imitated) for row, piece in zip(rows, pieces, strict=True)]
        listed = [np.full(len(row), lists) for row, lists in zip(rows, _lists_items(trajectory), strict=True)]
        samples.append(
            Sample(
                ids,
                np.concatenate(learn),
                np.concatenate(listed) & is_item[ids],
                np.asarray(tokenizer.convert_tokens_to_ids(list(trajectory.ranking)), dtype=np.int64),
                -1 if trajectory.outcome is None else trajectory.outcome - 1,
            )
        )
    return samples


def _lists_items(trajectory: Trajectory) -> list[bool]:
    """Of each message, whether it is the task or what `compare` answered."""
    listing = []
    call = ""
    for message in trajectory.messages:
        listing.append(message.role == "user" or (message.role == "tool" and call == "compare"))
        call = message.tool_call.name if message.tool_call is not None else ""
    return listing


class Augmentation:
    """Other labels and withheld items for a sample, drawn anew each time that it is learned from."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, drop_items: float) -> None:
        """
        Args:
            drop_items: probability with which an item token of the task or of a compact row is withheld.
        """
        self._labels = np.asarray(tokenizer.convert_tokens_to_ids(list(labels(MAX_LABELS))), dtype=np.int64)
        self._unknown = tokenizer.get_vocab()[UNKNOWN_ITEM]
        self._size = len(tokenizer)
        self._drop_items = drop_items

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        renamed = np.arange(self._size)
        renamed[self._labels] = random.permutation(self._labels)
        withheld = sample.listed & (random.random(len(sample.ids)) < self._drop_items)
        return replace(
            sample,
            ids=np.where(withheld, self._unknown, renamed[sample.ids]),
            ranking=renamed[sample.ranking],
        )


def read_samples(
    model: PreTrainedModel, samples: Sequence[Sample], pad: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What samples teach: the mean cross-entropy over what agents wrote up to `<recommend>` (0 if nothing is to
    be learned), and the logits of each run's labels after it, `(n, c)`, in the order of its ranking.

    Samples must have equally many candidates. The output matrix is multiplied only where there is something to
    learn.
    """
    longest = max(len(sample.ids) for sample in samples)
    ids = np.full((len(samples), longest), pad, dtype=np.int64)
    learn = np.zeros((len(samples), longest), dtype=np.bool_)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = sample.ids
        learn[row, : sample.recommend + 1] = sample.learn[: sample.recommend + 1]
    inputs = torch.from_numpy(ids)
    hidden = model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
    chosen = torch.from_numpy(learn)[:, 1:]
    logits = model.get_output_embeddings()(hidden[:, :-1][chosen])
    written = functional.cross_entropy(logits.float(), inputs[:, 1:][chosen], reduction="sum")
    last = hidden[torch.arange(len(samples)), torch.tensor([sample.recommend for sample in samples])]
    ranked = logits_of(model, last, torch.from_numpy(np.stack([sample.ranking for sample in samples])))
    return written / max(1, int(learn.sum())), ranked
