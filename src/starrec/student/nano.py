"""The nano base: a Llama of about one million parameters that starts with a reader's habits.

Trained from scratch on a laptop, a small transformer spends most of its budget discovering two circuits:
gathering the evidence tokens of a row at the row's label, and pointing from `<recommend>` to a label. From a
random start neither forms until the other exists: after 22,000 tasks it still ranks at chance (0.153 on
validation). So the weights start where these circuits are plausible and everything in them stays trainable
(in the spirit of mimetic initialisation, Trockman and Kolter, ICML 2023); the same 22,000 tasks then give 0.71.

- First layer: head h starts by looking a fixed distance back (1, 3, 5, 7 tokens), which RoPE makes possible
  with constant queries and keys. Each head writes what it saw into directions of its own.
- Last layer: head 0 starts as a pointer. Labels have a marker that its keys read, and a subspace of the
  residual stream that nothing else writes to at first, which its values copy: attention to a label is a logit
  for that label.
- Last layer: head 1 starts by looking for what followed the last occurrence of the current token (an induction
  head), on top of the first layer's look-one-back head: figures are copied, not remembered.
- Levels of a signal are ordinal, so their embeddings start on a line.

No evidence weight is set: which signals matter, and how, is learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from starrec.signals import N_LEVELS, SIGNALS, compact, labels
from starrec.student.config import NanoConfig
from starrec.student.tokenizer import MAX_LABELS

_ROPE_THETA: Final = 1e5
_OFFSETS: Final = (1, 3, 5, 7)
_FAST_PAIRS: Final = 4
"""Rotary pairs quick enough (a turn in 6 to 55 tokens) to tell distances within a row apart."""
_SLOW_PAIRS: Final = 8
"""Rotary pairs that hardly turn within a context: content can be compared through them at any distance."""
_NAME: Final = 1.1
"""Length of a label's name in the labels' subspace."""
_SHARPNESS: Final = 8.0
"""Logit of a first-layer head at its own distance."""


def build_nano(tokenizer: PreTrainedTokenizerFast, config: NanoConfig, seed: int) -> LlamaForCausalLM:
    """A fresh model for this tokenizer; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
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
        with torch.no_grad():
            _start(model, tokenizer)
    return model


def _start(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    width = model.config.hidden_size
    heads = model.config.num_attention_heads
    size = width // heads
    own = slice(0, size)  # the labels' subspace
    embedding = model.model.embed_tokens.weight
    embedding.normal_(0, 0.1)
    embedding[:, own] = 0
    _start_levels(embedding, tokenizer, size)
    label_ids = _ids(tokenizer, labels(MAX_LABELS))
    embedding[label_ids] = 0
    embedding[label_ids, own] = _NAME * _far_apart(len(label_ids), size)
    embedding[label_ids, size] = 1.0  # the marker

    layers = model.model.layers
    for layer in layers:
        layer.self_attn.o_proj.weight[own] = 0
        layer.mlp.down_proj.weight[own] = 0
        layer.mlp.down_proj.weight *= 0.5
        # Nobody reads which label it is at first, so that a label's name is no evidence.
        for reader in (layer.mlp.gate_proj, layer.mlp.up_proj):
            reader.weight[:, own] = 0

    for projection in (layers[0].self_attn, layers[-1].self_attn):
        for reader in (projection.q_proj, projection.k_proj, projection.v_proj):
            reader.weight[:, own] = 0

    first = layers[0].self_attn
    seen, _ = torch.linalg.qr(torch.randn(width, width))
    written, _ = torch.linalg.qr(torch.randn(width, width))
    seen[:, own] = 0
    first.v_proj.weight.copy_(seen)
    first.o_proj.weight.copy_(0.5 * written.T)
    first.o_proj.weight[own] = 0
    first.q_proj.weight *= 0.5
    first.k_proj.weight *= 0.5
    pairs = torch.arange(_FAST_PAIRS)
    turn = _ROPE_THETA ** (-2 * pairs / size)
    strength = math.sqrt(_SHARPNESS * math.sqrt(size) / _FAST_PAIRS)
    for head in range(heads):
        # q rotated back by the offset: q·k over a pair is then cos((distance - offset) · turn).
        angle = _OFFSETS[head % len(_OFFSETS)] * turn
        real, imaginary = head * size + pairs, head * size + size // 2 + pairs
        first.k_proj.bias[real] = strength
        first.q_proj.bias[real] = strength * torch.cos(angle)
        first.q_proj.bias[imaginary] = -strength * torch.sin(angle)

    last = layers[-1].self_attn
    slow = torch.cat([size // 2 - _SLOW_PAIRS + torch.arange(_SLOW_PAIRS)] * 2)
    slow[_SLOW_PAIRS:] += size // 2
    # Head 0: a constant query meets the labels' marker; values and outputs are the labels' subspace.
    for projection in (last.q_proj, last.k_proj):
        projection.weight[own] *= 0.3
    last.q_proj.bias[slow] = 1.0
    last.k_proj.weight[slow, size] = 0.75
    last.v_proj.weight[own] = 0
    last.v_proj.weight[own, own] = torch.eye(size)
    last.o_proj.weight[:, own] = 0
    last.o_proj.weight[own, own] = torch.eye(size)
    # Head 1: the current token as the query, what the look-one-back head wrote as the key, copied onwards.
    if heads > 1:
        second = slice(size, 2 * size)
        last.q_proj.weight[second] *= 0.1
        last.k_proj.weight[second] *= 0.1
        last.q_proj.weight[size + slow] = 2.0 * seen[: len(slow)]
        last.k_proj.weight[size + slow] = 2.0 * written.T[:, : len(slow)].T
        copied, _ = torch.linalg.qr(torch.randn(width, size))
        copied[own] = 0
        last.v_proj.weight[second] = copied.T
        last.o_proj.weight[:, second] = copied
        last.o_proj.weight[own, second] = 0


def _far_apart(n: int, size: int) -> torch.Tensor:
    """n vectors `(n, size)` of length 1, orthogonal where there is room: equally unlike each other, so that
    attention to one label is no logit for another."""
    names: torch.Tensor = torch.linalg.qr(torch.randn(max(n, size), size))[0][:n]
    return torch.nn.functional.normalize(names, dim=1)


def _start_levels(embedding: torch.Tensor, tokenizer: PreTrainedTokenizerFast, size: int) -> None:
    position = torch.linspace(-1, 1, N_LEVELS)[:, None]
    width = embedding.shape[1] - size
    for signal in SIGNALS:
        ids = _ids(tokenizer, [compact(signal, level) for level in range(N_LEVELS)])
        line = torch.randn(width) * 0.1 + position * torch.randn(width) * 0.1
        embedding[ids, size:] = line + torch.randn(N_LEVELS, width) * 0.03
        embedding[ids, size + 1] = 0.5 * position[:, 0]


def _ids(tokenizer: PreTrainedTokenizerFast, marks: Sequence[str]) -> torch.Tensor:
    return torch.tensor(tokenizer.convert_tokens_to_ids(list(marks)))
