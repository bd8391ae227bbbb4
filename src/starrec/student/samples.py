"""Trajectories as training samples of think mode: token ids, and which of them are the student's to learn.

The student learns what agents wrote (plan, tool calls, reflections) and never what tools answered: tool
responses and the task are context (STAR, section 3.3). Items are called by their names in the trace
(`tokenizer.Names`), and the answer of `compare` is read as rows of numbers, which stand after `<recommend>` and
are what is ranked (`nano`). So that a ranking is read from what tools answered and not from what a candidate is
called, labels are permuted.

A run that asks the student for its fast order has it as the student ranks when it learns from the run, not as
it ranked when training began: how far a ranking trusts an order is then how good the order is (`renewed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from starrec.hashing import Keys
from starrec.signals import labels
from starrec.student.calls import FAST_ORDER, fast_order
from starrec.student.config import MAX_LABELS
from starrec.student.nano import Nano
from starrec.student.rows import ORDER_NUMBERS, row_numbers, trace_rows
from starrec.student.tokenizer import ROWS, Names
from starrec.trajectories import Element, Trajectory, elements, parse_call

_READ: Final = 256
"""Trajectories whose text is in memory as lists of tokens at once."""


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """What a student's fast order follows from in a run that asks for it."""

    scores: NDArray[np.float32]
    """`(len(READ), c)` evidence of the candidates, in the order of their labels."""
    ties: Keys
    """`(c,)` as in `tools.order_text`."""


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One trajectory for training."""

    ids: NDArray[np.int64]
    """`(length,)` up to `<recommend>`."""
    learn: NDArray[np.bool_]
    """`(length,)` whether this token is the student's to learn."""
    numbers: NDArray[np.float32]
    """`(c, N_NUMBERS)` rows of the candidates, in the order of their labels."""
    label_ids: NDArray[np.int64]
    """`(c,)` tokens of the candidates' labels."""
    ranking: NDArray[np.int64]
    """`(c,)` rows as the run ranked them, best first."""
    target: int
    """Row of the true next item; -1 where the run was not judged."""
    asked: Asked | None = None
    """Of a run that asks for the fast order, what that follows from ..."""
    answer: tuple[int, int] = (0, 0)
    """... and where its answer begins and ends in `ids`."""


def spoken(element: Element, call: str) -> str:
    """An element as the student reads and writes it, mentions apart.

    Args:
        call: of an answer, name of the tool that was asked.
    """
    if element.tag == "tool_response" and call == "compare":
        return f"<tool_response>{ROWS}</tool_response>"
    return element.linear


def make_samples(
    tokenizer: PreTrainedTokenizerFast,
    trajectories: Sequence[Trajectory],
    context: int,
    asked: Sequence[Asked | None] | None = None,
    imitated: Sequence[bool] | None = None,
) -> list[Sample]:
    """Samples of trajectories, those longer than the context left out.

    Args:
        asked: of each trajectory that asks for the fast order, what that follows from; None where no order is
            to be renewed.
        imitated: of each, whether what agents wrote is to be learned; if not, the run is context, for its
            reward. None: all.
    """
    asked = [None] * len(trajectories) if asked is None else asked
    imitated = [True] * len(trajectories) if imitated is None else imitated
    samples: list[Sample] = []
    for at in range(0, len(trajectories), _READ):
        part = slice(at, at + _READ)
        samples += _samples(tokenizer, trajectories[part], asked[part], imitated[part], context)
    return samples


def _samples(
    tokenizer: PreTrainedTokenizerFast,
    trajectories: Sequence[Trajectory],
    asked: Sequence[Asked | None],
    imitated: Sequence[bool],
    context: int,
) -> list[Sample]:
    texts: list[str] = []
    parts = [_pieces(trajectory) for trajectory in trajectories]
    for pieces, _, _ in parts:
        texts += [text for text, _ in pieces]
    encoded = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    samples, at = [], 0
    for trajectory, own, told, (pieces, answers, ordered) in zip(
        trajectories, asked, imitated, parts, strict=True
    ):
        rows = [np.asarray(text.ids, dtype=np.int64) for text in encoded[at : at + len(pieces)]]
        at += len(pieces)
        ids = np.concatenate(rows)
        if len(ids) + len(trajectory.labels) > context:
            continue
        learn = [np.full(len(row), written and told) for row, (_, written) in zip(rows, pieces, strict=True)]
        ranking = [trajectory.labels.index(label) for label in trajectory.ranking]
        start, size = (0, 0) if ordered is None else (sum(map(len, rows[:ordered])), len(rows[ordered]))
        samples.append(
            Sample(
                ids,
                np.concatenate(learn),
                trace_rows(answers, trajectory.labels),
                np.asarray(tokenizer.convert_tokens_to_ids(list(trajectory.labels)), dtype=np.int64),
                np.asarray(ranking, dtype=np.int64),
                -1 if trajectory.outcome is None else ranking[trajectory.outcome - 1],
                None if ordered is None else own,
                (start, start + size),
            )
        )
    return samples


def _pieces(trajectory: Trajectory) -> tuple[list[tuple[str, bool]], list[tuple[str, str]], int | None]:
    """What the student reads of a trajectory up to `<recommend>`, and what of it is the student's own; the
    answers of its tools; and which of the pieces is the last answer of `fast_order`, if there is one."""
    names = Names()
    pieces, answers, call = [], [], ""
    ordered: int | None = None
    for element in elements(trajectory):
        if element.tag == "recommend":
            pieces.append(("<recommend>", True))
            break
        if element.tag == "tool_call":
            call = parse_call(element.text).name
        elif element.tag == "tool_response":
            answers.append((call, element.text))
            ordered = len(pieces) if call == FAST_ORDER.name else ordered
        written = element.tag not in ("task", "tool_response")
        pieces.append((names.short(spoken(element, call)), written))
    return pieces, answers, ordered


class Augmentation:
    """Other labels for a sample, drawn anew each time that it is learned from."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._labels = np.asarray(tokenizer.convert_tokens_to_ids(list(labels(MAX_LABELS))), dtype=np.int64)
        self._size = len(tokenizer)

    def __call__(self, sample: Sample, random: np.random.Generator) -> Sample:
        renamed = np.arange(self._size)
        renamed[self._labels] = random.permutation(self._labels)
        return replace(sample, ids=renamed[sample.ids], label_ids=renamed[sample.label_ids])


@torch.no_grad()
def renewed(model: Nano, samples: Sequence[Sample], tokenizer: PreTrainedTokenizerFast) -> list[Sample]:
    """The samples, the answers of `fast_order` in them as this model ranks; equally many candidates each."""
    found = list(samples)
    at = [place for place, sample in enumerate(samples) if sample.asked is not None]
    evidence = [sample.asked.scores for sample in samples if sample.asked is not None]
    if not at:
        return found
    numbers = row_numbers(np.stack(evidence).astype(np.float64))
    scores = model.candidate_scores(torch.from_numpy(numbers)).numpy()
    for place, own in zip(at, scores, strict=True):
        found[place] = _with_order(found[place], own, tokenizer)
    return found


def _with_order(sample: Sample, scores: NDArray[np.float32], tokenizer: PreTrainedTokenizerFast) -> Sample:
    """
    Args:
        scores: `(c,)` of fast mode, in the order of the rows.
    """
    assert sample.asked is not None
    labels = tokenizer.convert_ids_to_tokens(sample.label_ids.tolist())
    text = fast_order(scores, labels, sample.asked.ties)
    element = spoken(Element("tool_response", text), FAST_ORDER.name)
    answer = tokenizer.backend_tokenizer.encode(element, add_special_tokens=False).ids
    start, end = sample.answer
    numbers = sample.numbers.copy()
    numbers[:, ORDER_NUMBERS] = trace_rows([(FAST_ORDER.name, text)], labels)[:, ORDER_NUMBERS]
    return replace(
        sample,
        ids=np.concatenate([sample.ids[:start], answer, sample.ids[end:]]),
        learn=np.concatenate([sample.learn[:start], np.zeros(len(answer), dtype=np.bool_), sample.learn[end:]]),
        numbers=numbers,
        answer=(start, start + len(answer)),
    )


def read_samples(
    model: Nano, samples: Sequence[Sample], pad: int, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a model says of samples: minus the log-probability of each token to be learned, `(tokens,)`, sample
    after sample; and the score of each candidate after the text, `(n, c)`, in the order of the rows.

    Samples must have equally many candidates. The last layer and the output matrix are computed only where
    there is something to learn.

    Args:
        pad: the token that fills up.
        temperature: by which logits of tokens are divided.
    """
    n, c = len(samples), len(samples[0].label_ids)
    lengths = np.array([len(sample.ids) for sample in samples])
    longest = int(lengths.max())
    ids = np.full((n, longest), pad, dtype=np.int64)
    learn = np.zeros((n, longest), dtype=np.bool_)
    for row, sample in enumerate(samples):
        ids[row, : lengths[row]] = sample.ids
        learn[row, : lengths[row]] = sample.learn
    inputs = torch.from_numpy(ids)
    rows = model.labelled_rows(
        torch.from_numpy(np.stack([sample.numbers for sample in samples])),
        torch.from_numpy(np.stack([sample.label_ids for sample in samples])),
    )
    # Candidates come behind all columns of text. Each stands at the place behind its own text.
    embedded = torch.cat([model.lm.get_input_embeddings()(inputs), rows], dim=1)
    places = np.concatenate([np.tile(np.arange(longest), (n, 1)), np.tile(lengths[:, None], (1, c))], axis=1)
    seen = np.ones((n, longest + c), dtype=np.bool_)
    seen[:, :longest] = np.arange(longest) < lengths[:, None]
    before, chosen = _filled_up(learn[:, 1:])
    candidates = np.tile(np.arange(longest, longest + c), (n, 1))
    hidden = model.hidden_states(
        embedded,
        torch.from_numpy(seen[:, None, None]),
        torch.from_numpy(places),
        text=longest,
        read=torch.from_numpy(np.concatenate([before, candidates], axis=1)),
    )
    text = hidden[:, : before.shape[1]][torch.from_numpy(chosen)]
    logits = model.lm.get_output_embeddings()(text).float()
    if temperature != 1:
        logits = logits / temperature
    written = functional.cross_entropy(logits, torch.from_numpy(ids[:, 1:][learn[:, 1:]]), reduction="none")
    return written, model.scores(hidden[:, before.shape[1] :])


def _filled_up(chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The columns that are chosen in each row, `(n, most)`, filled up with the row's last; and which are not
    filling."""
    counts = chosen.sum(axis=1)
    real = np.arange(counts.max()) < counts[:, None]
    found = np.zeros(real.shape, dtype=np.int64)
    found[real] = chosen.nonzero()[1]
    return np.maximum.accumulate(found, axis=1), real
