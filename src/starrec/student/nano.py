"""The nano base: a small Llama that reads rows of numbers beside text.

A candidate is one position: its row of numbers (`rows`), projected to the width of the model; in think mode the
embedding of its label is added, by which the trace speaks of it. Candidates stand side by side, at one place of
the sequence: each attends to all text before them and to all other candidates, so that they have no order among
themselves, and a linear head reads a score off each. A ranking is one pass, over 20 candidates or over 200.

Fast mode has no text, so its positions are the candidates alone. Think mode writes its trace with the same
layers as any causal language model and ranks after `<recommend>`.

Trained from scratch on a laptop, a small transformer spends most of its budget on finding out how to copy. So
two circuits start where they work, and everything in them stays trainable (in the spirit of mimetic
initialisation, Trockman and Kolter, ICML 2023): heads of the first layer look a fixed distance back (1, 2, 3, 5
tokens), which RoPE makes possible with constant queries and keys, and one head of the last layer copies what
followed earlier occurrences of the current token (an induction head), on top of the head that looks one back.
Without them stage 1 does not learn to copy labels, which are permuted in training (docs/student.md).
Candidates all stand at one place, so that in fast mode these biases say nothing. No evidence weight is set.

The transformer is a `LlamaForCausalLM` and is saved as one. `hidden_states` applies its layers without what a
single short pass does not need (caches, position ids, masks made anew in each layer); a test holds the two
equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from starrec.student.config import NanoConfig
from starrec.student.rows import N_NUMBERS, ORDER_SCALES

ROWS_FILE: Final = "rows.safetensors"
_ROPE_THETA: Final = 1e7
_OFFSETS: Final = (1, 2, 3, 5)
_QUICK_PAIRS: Final = 4
"""Rotary pairs quick enough (a turn in 6 to 350 tokens) to tell distances within a sentence apart; the others
hardly turn within a context, so that content can be compared through them at any distance."""
_SHARPNESS: Final = 20.0
"""Logit of a first-layer head at its own distance."""
_CONTENT: Final = 0.2
"""Of what heads with a task compare beside it."""
_WRITES: Final = 0.15
"""How much is written of the token before, beside embeddings of 0.05 ..."""
_WRITES_ELSE: Final = 0.03
"""... and of the tokens before that."""
_FEED_FORWARD: Final = 0.2
"""Of what is drawn for the outputs of feed-forward layers: they begin by adding little."""
_MATCHES: Final = 2.0
"""How sharply the copying head compares."""
_BLOCK: Final = 128
"""Queries of text in training whose attention is computed at once."""
_CLIP: Final = 8.0
"""Standard deviations beyond which a number says no more."""
_SMALLEST: Final = 1e-2
"""Spread below which a number keeps the scale that it has: in training it hardly moves."""


Keep: TypeAlias = Callable[[int, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class RowReader(nn.Module):
    """Rows of numbers in, scores out: what the transformer has beside its tokens."""

    mean: torch.Tensor
    """`(N_NUMBERS,)` of training tasks."""
    scale: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_NUMBERS))
        self.register_buffer("scale", torch.ones(N_NUMBERS))
        self.enter = nn.Linear(N_NUMBERS, width)
        self.score = nn.Linear(width, 1)

    def standardise(self, numbers: NDArray[np.float32]) -> None:
        """Take the scale of the numbers from rows of training tasks, `(n, N_NUMBERS)`."""
        self.mean.copy_(torch.from_numpy(numbers.mean(axis=0, dtype=np.float64)))
        spread = torch.from_numpy(numbers.std(axis=0, dtype=np.float64))
        self.scale.copy_(torch.where(spread < _SMALLEST, torch.from_numpy(ORDER_SCALES), spread))

    def standardise_as(self, other: RowReader) -> None:
        """Take the scale of the numbers from another reader."""
        self.mean.copy_(other.mean)
        self.scale.copy_(other.scale)

    def read(self, numbers: torch.Tensor) -> torch.Tensor:
        """`(..., width)` of rows `(..., N_NUMBERS)`."""
        entered: torch.Tensor = self.enter(((numbers - self.mean) / self.scale).clamp(-_CLIP, _CLIP))
        return entered


class Nano(nn.Module):
    """The student's weights: a causal language model and its reader of rows."""

    def __init__(self, lm: LlamaForCausalLM) -> None:
        super().__init__()
        self.lm = lm
        self.reader = RowReader(lm.config.hidden_size)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Weights saved by `save`; raises whatever transformers and safetensors find wrong with the files."""
        model = cls(LlamaForCausalLM.from_pretrained(folder))
        model.reader.load_state_dict(load_file(folder / ROWS_FILE))
        return model.eval()

    def save(self, folder: Path) -> None:
        """A folder of transformers, and the reader's weights beside it."""
        self.lm.save_pretrained(folder)
        save_file(self.reader.state_dict(), folder / ROWS_FILE)

    @property
    def context(self) -> int:
        """Longest input, in positions."""
        return int(self.lm.config.max_position_embeddings)

    def candidate_scores(self, numbers: torch.Tensor, present: torch.Tensor | None = None) -> torch.Tensor:
        """Fast mode: the score of each candidate, `(n, c) float32`, from rows `(n, c, N_NUMBERS)`.

        Args:
            present: `(n, c)` where there is a candidate, -inf elsewhere; None for everywhere.
        """
        rows = self.reader.read(numbers)
        mask = None if present is None else present[:, None, None, :]
        scores = self.scores(self.hidden_states(rows, mask))
        return scores if present is None else scores.masked_fill(~present, float("-inf"))

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores `(...)` of candidates by their last hidden states `(..., width)`."""
        found: torch.Tensor = self.reader.score(hidden).squeeze(-1)
        return found

    def labelled_rows(self, numbers: torch.Tensor, label_ids: torch.Tensor) -> torch.Tensor:
        """Rows as think mode reads them, `(..., c, width)`."""
        embedded: torch.Tensor = self.lm.get_input_embeddings()(label_ids)
        return self.reader.read(numbers) + embedded

    def hidden_states(
        self,
        inputs: torch.Tensor,
        mask: torch.Tensor | None,
        places: torch.Tensor | None = None,
        keep: Keep | None = None,
        text: int = 0,
        read: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Last hidden states `(n, length or read, width)` of embedded inputs.

        Args:
            mask: `(n, 1, 1 or length, cells)` what each position attends to; None for everything. Cells are the
                positions themselves, or what `keep` gives. Where there is text, of the positions behind it.
            places: `(n, length)` of the positions in the sequence; None where all stand at one place.
            keep: given each layer's number and the keys and values of these inputs, gives those to attend to
                (all `(n, heads, cells, size)`); None for these alone.
            text: so many positions at the beginning attend to themselves and to those before them; not with
                `keep`.
            read: `(n, read)` the positions, in ascending order, whose last hidden states are wanted; None for
                all. The last layer computes nothing else. Where there is text, all behind it are among them.
        """
        model: Any = self.lm.model
        turns = None if places is None else model.rotary_emb(inputs, places)
        hidden = inputs
        for number, layer in enumerate(model.layers):
            kept = None if keep is None else partial(keep, number)
            asking = read if number == len(model.layers) - 1 else None
            entered = layer.input_layernorm(hidden)
            found = _attend(layer.self_attn, entered, mask, turns, kept, text, asking)
            hidden = _at(hidden, asking) + found
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        last: torch.Tensor = model.norm(hidden)
        return last


def _attend(
    attention: Any,
    hidden: torch.Tensor,
    mask: torch.Tensor | None,
    turns: tuple[torch.Tensor, torch.Tensor] | None,
    keep: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None,
    text: int,
    asking: torch.Tensor | None,
) -> torch.Tensor:
    """What attention adds to all positions, or to those that are asking; arguments as of `hidden_states`."""
    n, length, width = hidden.shape
    size = attention.head_dim

    def heads(projected: torch.Tensor) -> torch.Tensor:
        return projected.view(n, projected.shape[1], -1, size).transpose(1, 2)

    query = heads(attention.q_proj(_at(hidden, asking)))
    key, value = (heads(projection(hidden)) for projection in (attention.k_proj, attention.v_proj))
    # Positions at one place turn alike, and what they attend to does not depend on it.
    if turns is not None:
        query = _turned(query, *(_at(turn, asking) for turn in turns))
        key = _turned(key, *turns)
    if keep is not None:
        key, value = keep(key, value)
    if asking is None:
        asking = torch.arange(length)[None]
    elif mask is not None and mask.shape[2] > 1:
        mask = mask.take_along_dim(asking[:, None, :, None], 2)
    written = asking.shape[1] - (length - text) if text else 0
    found = functional.scaled_dot_product_attention(query[:, :, written:], key, value, attn_mask=mask)
    if text:
        before = _look_back(query[:, :, :written], key[:, :, :text], value[:, :, :text], asking[:, :written])
        found = torch.cat([before, found], dim=2)
    added: torch.Tensor = attention.o_proj(found.transpose(1, 2).reshape(n, -1, width))
    return added


def _look_back(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, asking: torch.Tensor
) -> torch.Tensor:
    """Attention of queries `(n, heads, asking, size)` at positions `(n or 1, asking)`, in ascending order, to
    the keys up to their own.

    A block of queries at a time, to the keys up to its end: nearly half of all products are with a position
    behind, and on a CPU PyTorch computes most of them whatever the mask.
    """
    n, heads, length, size = query.shape
    query, key, value = (part.flatten(0, 1) for part in (query, key, value))
    found = [query[:, :0]]
    for start in range(0, length, _BLOCK):
        block = asking[:, start : start + _BLOCK, None]
        seen = int(block.max()) + 1
        shut = torch.arange(seen) > block
        behind = torch.zeros(shut.shape).masked_fill_(shut, -math.inf)
        if len(block) > 1:
            behind = behind.repeat_interleave(heads, dim=0)
        keys = key[:, :seen].transpose(1, 2)
        scores = torch.baddbmm(behind, query[:, start : start + _BLOCK], keys, alpha=size**-0.5)
        found.append(scores.softmax(2) @ value[:, :seen])
    return torch.cat(found, dim=1).view(n, heads, length, size)


def _at(whole: torch.Tensor, at: torch.Tensor | None) -> torch.Tensor:
    """Of `(n, length, size)` the positions `(n, rows)` of each; None for all."""
    if at is None:
        return whole
    n, length, size = whole.shape
    flat = (at + length * torch.arange(n)[:, None]).reshape(-1)
    return whole.reshape(n * length, size)[flat].view(n, -1, size)


def _turned(part: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Queries or keys `(n, heads, length, size)`, turned by their places (RoPE)."""
    first, second = part.chunk(2, dim=-1)
    return part * cosine[:, None] + torch.cat((-second, first), dim=-1) * sine[:, None]


def build_nano(tokenizer: PreTrainedTokenizerFast, config: NanoConfig, seed: int) -> Nano:
    """A fresh model for this tokenizer; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lm = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.width,
                intermediate_size=config.intermediate,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=config.context,
                tie_word_embeddings=True,
                attention_bias=True,
                rope_parameters={"rope_type": "default", "rope_theta": _ROPE_THETA},
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=None,
                eos_token_id=None,
                initializer_range=0.05,
            )
        )
        # Before the reader is drawn: the transformer starts alike whatever a row holds.
        with torch.no_grad():
            _start_copying(lm)
        model = Nano(lm)
    return model


def _start_copying(lm: LlamaForCausalLM) -> None:
    """Set the heads that look back, and the one that copies what followed, where they start.

    What the residual stream holds of a token is divided, so that neither part drowns the other: the first head
    reads some directions of the token before (`read`) and writes them to others (`written`), which nothing else
    writes to; the copying head compares its token's `read` with the `written` of all, and passes on what is
    outside `written`.
    """
    width, heads = lm.config.hidden_size, lm.config.num_attention_heads
    size = width // heads
    layers: Any = lm.model.layers
    for layer in layers:
        layer.mlp.down_proj.weight *= _FEED_FORWARD
    first, last = layers[0].self_attn, layers[-1].self_attn
    quick = max(1, min(_QUICK_PAIRS, size // 4))
    pairs = torch.arange(quick)
    turn = _ROPE_THETA ** (-2 * pairs / size)
    strength = math.sqrt(_SHARPNESS * math.sqrt(size) / quick)
    first.q_proj.weight *= _CONTENT
    first.k_proj.weight *= _CONTENT
    for head in range(heads):
        # q rotated back by the offset: q·k over a pair is then cos((distance - offset) · turn).
        angle = _OFFSETS[head % len(_OFFSETS)] * turn
        real, imaginary = head * size + pairs, head * size + size // 2 + pairs
        first.k_proj.bias[real] = strength
        first.q_proj.bias[real] = strength * torch.cos(angle)
        first.q_proj.bias[imaginary] = -strength * torch.sin(angle)
    directions, _ = torch.linalg.qr(torch.randn(width, width))
    read, written = directions[:size], directions[size : 2 * size]

    def outside(rows: int) -> torch.Tensor:
        """So many directions at right angles, none of which has a part in `written`."""
        drawn = torch.randn(rows, width)
        found: torch.Tensor = torch.linalg.qr((drawn - drawn @ written.T @ written).T)[0].T
        return found

    seen, _ = torch.linalg.qr(torch.randn(width, width))
    first.v_proj.weight.copy_(torch.cat([read, seen[size:]]))
    first.o_proj.weight.copy_(torch.cat([_WRITES * written, _WRITES_ELSE * outside(width - size)]).T)
    slow = torch.cat([torch.arange(quick, size // 2), torch.arange(size // 2 + quick, size)])
    copying = slice(0, size)
    last.q_proj.weight[copying] *= _CONTENT
    last.k_proj.weight[copying] *= _CONTENT
    last.q_proj.weight[slow] = _MATCHES * read[: len(slow)]
    last.k_proj.weight[slow] = _MATCHES * written[: len(slow)]
    copied = outside(size)
    last.v_proj.weight[copying] = copied
    last.o_proj.weight[:, copying] = copied.T
