"""Kept trajectories as supervised samples: token ids, and which of them are the student's to learn.

The student learns what agents wrote (plan, tool calls, reflections, ranking) and never what tools answered:
tool responses and the task are context (STAR, section 3.3). The ids are exactly those of the tokenizer's chat
template on the messages; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from starrec.trajectories import Trajectory, segments


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One trajectory for supervised training."""

    ids: NDArray[np.int64]
    """`(length,)`"""
    learn: NDArray[np.bool_]
    """`(length,)` whether this token is a training target."""


def make_samples(
    tokenizer: PreTrainedTokenizerFast, trajectories: Sequence[Trajectory], context: int
) -> list[Sample]:
    """Samples of trajectories, those longer than the context left out."""
    parts = [segments(trajectory) for trajectory in trajectories]
    texts = [part.text for pieces in parts for part in pieces]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    samples, at = [], 0
    for pieces in parts:
        ids = encoded[at : at + len(pieces)]
        learn = [np.full(len(i), piece.written) for i, piece in zip(ids, pieces, strict=True)]
        at += len(pieces)
        sample = Sample(np.concatenate([np.asarray(i, dtype=np.int64) for i in ids]), np.concatenate(learn))
        if len(sample.ids) <= context:
            samples.append(sample)
    return samples


def sample_loss(model: PreTrainedModel, samples: Sequence[Sample], pad: int) -> torch.Tensor:
    """Mean cross-entropy over the tokens to learn.

    The output matrix is multiplied only where there is something to learn (about a quarter of the tokens).
    """
    longest = max(len(sample.ids) for sample in samples)
    ids = np.full((len(samples), longest), pad, dtype=np.int64)
    learn = np.zeros((len(samples), longest), dtype=np.bool_)
    for row, sample in enumerate(samples):
        ids[row, : len(sample.ids)] = sample.ids
        learn[row, : len(sample.ids)] = sample.learn
    inputs = torch.from_numpy(ids)
    hidden = model.base_model(input_ids=inputs, use_cache=False).last_hidden_state
    chosen = torch.from_numpy(learn)[:, 1:]
    logits = model.get_output_embeddings()(hidden[:, :-1][chosen])
    return functional.cross_entropy(logits.float(), inputs[:, 1:][chosen])
