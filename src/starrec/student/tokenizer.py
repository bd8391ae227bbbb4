"""The nano student's tokenizer, built from its catalogue and from trajectories.

What has a meaning of its own is one token: each item (its whole mention `⟦50|Star Wars (1977)⟧`), each label,
each compact level, each tag, the numbers 0 to 999, the small decimals of lifts and weights, and the number of
a fact (` #12`), so that a figure or a citation can be copied in one step. All other
text is byte-level BPE whose merges may cross spaces, so that the recurring phrases of the sentences become
single tokens while any text at all can still be written. An item without a token is its mention in ordinary
pieces, through the same call.

It is an ordinary `transformers` tokenizer: the linear form of a trajectory is `apply_chat_template` of its
messages, and encoding never needs to know what is structure, because untrusted text was escaped long before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from starrec.signals import N_LEVELS, SIGNALS, compact, labels
from starrec.trajectories import CHAT_TEMPLATE, TAGS

PAD: Final = "<pad>"
UNKNOWN_ITEM: Final = "<item>"
"""Stands for an item whose identity is withheld, in training only."""
MAX_LABELS: Final = 26
NUMBERS: Final = 1000
FACTS: Final = 64
"""Numbers of facts that are one token; a trace of the embedded policy states about 25."""
_DECIMALS: Final = (*(f"{n / 10:.1f}" for n in range(100)), *(f"{n / 1000:.3f}" for n in range(300)))
PIECES: Final = 1500
"""Size of the byte-level vocabulary."""

_STRUCTURE: Final = re.compile(r"⟦[^⟦⟧]*⟧|‹[^‹›]*›|</?[a-z_]+>| #\d{1,2}|\d\.\d{3}|\d\.\d|\d{1,3}")


def build_tokenizer(mentions: Sequence[str], texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer for this catalogue.

    Args:
        mentions: of each item, in index order; item i gets the i-th item token.
        texts: linear forms to learn phrases from.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=64,
    )
    tokenizer.train_from_iterator(_fragments(texts, mentions), trainer)
    tags = [PAD, UNKNOWN_ITEM, *(mark for tag in TAGS for mark in (f"<{tag}>", f"</{tag}>"))]
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in tags])
    marks = [
        *labels(MAX_LABELS),
        *(compact(signal, level) for signal in SIGNALS for level in range(-1, N_LEVELS)),
        *map(str, range(NUMBERS)),
        *_DECIMALS,
        *(f" #{number}" for number in range(1, FACTS + 1)),
        *mentions,
    ]
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _fragments(texts: Iterable[str], mentions: Sequence[str]) -> Iterator[str]:
    """Text between structure, as BPE will see it; titles too, for items to be spelled in."""
    for text in texts:
        yield from filter(None, _STRUCTURE.split(text))
    for mention in mentions:
        yield from filter(None, re.split(r"\d{1,3}", mention))
