"""The nano student's tokenizer: what traces say in few tokens, whatever the catalogue.

What has a meaning of its own is one token: each label, each tag, the numbers 0 to 999, the small decimals of
lifts and weights, and the number of a fact (` #12`), so that a figure or a citation can be copied in one step.
All other text is byte-level BPE whose merges may cross spaces, so that the recurring phrases of the sentences
become single tokens while any text at all can still be written.

No item has a token of its own. The items of a trace are called by the places at which they are first mentioned,
`⟦1⟧`, `⟦2⟧`, … (`Names`), so a student knows every catalogue equally well, items that came after its training
and other datasets included, and cannot learn a catalogue by heart.

It is an ordinary `transformers` tokenizer, and encoding never needs to know what is structure, because
untrusted text was escaped long before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from starrec.signals import labels
from starrec.student.config import MAX_LABELS
from starrec.trajectories import CHAT_TEMPLATE, TAGS

PAD: Final = "<pad>"
ROWS: Final = "<rows>"
"""Stands for the answer of `compare`, which is read as rows of numbers (`rows.trace_rows`)."""
NUMBERS: Final = 1000
FACTS: Final = 64
"""Numbers of facts that are one token; a trace of the embedded policy states about 25."""
_DECIMALS: Final = (*(f"{n / 10:.1f}" for n in range(100)), *(f"{n / 1000:.3f}" for n in range(300)))
NAMES: Final = 192
"""Items of a trace that have a name; later ones are spelled."""
PIECES: Final = 1500
"""Size of the byte-level vocabulary."""

_MENTION: Final = re.compile(r"⟦[^⟦⟧]*⟧")
_NAME: Final = re.compile(r"⟦(\d+)⟧")
_STRUCTURE: Final = re.compile(r"⟦[^⟦⟧]*⟧|‹[^‹›]*›|</?[a-z_]+>| #\d{1,2}|\d\.\d{3}|\d\.\d|\d{1,3}")


class Names:
    """What the items of one trace are called: `⟦1⟧` is the first that was mentioned."""

    def __init__(self) -> None:
        self._mentions: list[str] = []
        self._numbers: dict[str, int] = {}

    def short(self, text: str) -> str:
        """The text with mentions (`⟦50|Star Wars (1977)⟧`) replaced by names; new ones get the next."""
        return _MENTION.sub(lambda found: self._name(found[0]), text)

    def full(self, text: str) -> str:
        """The text with names replaced by what they stand for; a name of nothing is left as it is."""
        return _NAME.sub(lambda found: self._mention(found[0], int(found[1])), text)

    def _name(self, mention: str) -> str:
        if mention not in self._numbers:
            if len(self._mentions) == NAMES:
                return mention
            self._mentions.append(mention)
            self._numbers[mention] = len(self._mentions)
        return f"⟦{self._numbers[mention]}⟧"

    def _mention(self, name: str, number: int) -> str:
        return self._mentions[number - 1] if 0 < number <= len(self._mentions) else name


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer that has learned its phrases from these linear forms."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=64,
    )
    tokenizer.train_from_iterator(_fragments(texts), trainer)
    tags = [PAD, ROWS, *(mark for tag in TAGS for mark in (f"<{tag}>", f"</{tag}>"))]
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in tags])
    marks = [
        *labels(MAX_LABELS),
        *map(str, range(NUMBERS)),
        *_DECIMALS,
        *(f" #{number}" for number in range(1, FACTS + 1)),
        *(f"⟦{number}⟧" for number in range(1, NAMES + 1)),
    ]
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _fragments(texts: Iterable[str]) -> Iterator[str]:
    """Text between structure, as BPE will see it."""
    for text in texts:
        yield from filter(None, _STRUCTURE.split(text))
