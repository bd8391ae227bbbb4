"""Kept trajectories as supervised samples: token ids, and which of them are the student's to learn.

The student learns what agents wrote (plan, tool calls, reflections, ranking) and never what tools answered:
tool responses and the task are context (STAR, section 3.3). The ids are exactly those of the tokenizer's chat
template on the messages; a test holds that.

The ranking is learned as it will be read: off one distribution right after `<recommend>` (`listwise`), by the
likelihood of the run's first places. Label by label, only the first label would teach that distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from starrec.student.grpo import PLACES, log_probability
from starrec.student.listwise import logits_of
from starrec.trajectories import Trajectory, segments

RANKING_WEIGHT: Final = 0.5
"""Of the ranking beside the text: fast mode teaches the same ranking from the same evidence."""


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One trajectory for supervised training."""

    ids: NDArray[np.int64]
    """`(length,)`"""
    learn: NDArray[np.bool_]
    """`(length,)` whether this token is the student's."""
    ranking: NDArray[np.int64]
    """`(c,)` tokens of the labels, best first."""

    @property
    def recommend(self) -> int:
        """Where `<recommend>` stands; the labels and the closing tag come after it."""
        return len(self.ids) - len(self.ranking) - 2


def make_samples(
    tokenizer: PreTrainedTokenizerFast, trajectories: Sequence[Trajectory], context: int
) -> list[Sample]:
    """Samples of trajectories, those longer than the context left out."""
    parts = [segments(trajectory) for trajectory in trajectories]
    texts = [part.text for pieces in parts for part in pieces]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    samples, at = [], 0
    for trajectory, pieces in zip(trajectories, parts, strict=True):
        ids = encoded[at : at + len(pieces)]
        learn = [np.full(len(i), piece.written) for i, piece in zip(ids, pieces, strict=True)]
        at += len(pieces)
        sample = Sample(
            np.concatenate([np.asarray(i, dtype=np.int64) for i in ids]),
            np.concatenate(learn),
            np.asarray(tokenizer.convert_tokens_to_ids(list(trajectory.ranking)), dtype=np.int64),
        )
        if len(sample.ids) <= context:
            samples.append(sample)
    return samples


def sample_loss(model: PreTrainedModel, samples: Sequence[Sample], pad: int) -> torch.Tensor:
    """Mean cross-entropy over what agents wrote up to `<recommend>`, plus `RANKING_WEIGHT` times the mean
    negative log-probability of each of the ranking's first places (Plackett-Luce) under the distribution that
    follows it.

    The output matrix is multiplied only where there is something to learn (about a quarter of the tokens).
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
    written = functional.cross_entropy(logits.float(), inputs[:, 1:][chosen])
    ranked = []
    for row, sample in enumerate(samples):
        # The columns stand best first, so the ranking to learn is 0, 1, 2, …
        labels = torch.from_numpy(sample.ranking)[None]
        best_first = logits_of(model, hidden[row, sample.recommend][None], labels)
        ranked.append(log_probability(best_first, torch.arange(labels.shape[1])[None, None], PLACES))
    return written - RANKING_WEIGHT * torch.cat(ranked).mean() / PLACES
