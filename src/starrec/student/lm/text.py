"""The text rendering of a task: what a language model reads of it in fast mode.

    <|im_start|>user
    Rows of items: signals, a low to z high, then a label. Which comes next? e h b k … A c - f … B<|im_end|>
    <|im_start|>assistant
    Next:

A candidate is a row: a letter for each signal, ` -` where the signal is unknown, then the candidate's label,
so that the label is read when all of its row has been. The answer is asked at one position, after `Next:`,
where the likelihood of each label is its candidate's score. Letters and labels are written with the space
before them, which makes each one token of the base wherever it stands: labels stand in the rows as the answer
would be written, and the token ids of a prompt are those of its text. A prompt is put together from ids, as a
tokenizer would need milliseconds for what numpy does in microseconds.

A letter says how a candidate stands among the others, in standard deviations from their mean, and not how high
its score is in itself: cuts of that would have to be fitted on a catalogue. Rows stand in the order of a hash
of their item.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from starrec.data import MENTION, unescape
from starrec.errors import StarrecError
from starrec.student.rows import READ, FastTasks

VERSION: Final = 1
"""Of this rendering; weights that learned another one are not asked in this one."""
LETTERED: Final = (
    "category",
    "semantic",
    "trend",
    "popularity",
    "item_cf.whole",
    "user_cf.whole",
    "item_cf.recent",
    "user_cf.recent",
    "transitions",
    "ease",
    "following.1",
    "following.30",
    "around.20",
    "walk.recent",
)
"""Signals that a row tells, in this order."""
CUTS: Final = np.array(
    [
        *(-1.6, -1.3, -1.1, -0.9, -0.75, -0.6, -0.45, -0.3, -0.15, 0.0),
        *(0.15, 0.3, 0.5, 0.7, 0.9, 1.15, 1.4, 1.7, 2.0, 2.35, 2.7, 3.1, 3.6, 4.0, 4.3),
    ],
    dtype=np.float32,
)
"""Between the letters a to z, in standard deviations: finer where candidates are many. With 20 candidates
nobody stands beyond 4.36."""
ROW_TOKENS: Final = 16
"""Of a row without its title, at most."""
INSTRUCTION: Final = "Rows of items: signals, a low to z high, then a label. Which comes next?"
TITLED: Final = "Rows of items: title, signals, a low to z high, then a label. Which comes next?"
ANSWER: Final = "Next:"
_VALUES: Final = (*(f" {letter}" for letter in string.ascii_lowercase), " -")
_UNKNOWN: Final = len(_VALUES) - 1
_COLUMNS: Final = np.array([READ.index(signal) for signal in LETTERED])
LABELS: Final = 20
"""A base with fewer single-token labels is refused."""
TITLE_TOKENS: Final = 16
"""Of a title; longer ones are cut."""
_ROWS: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for the rows while the chat template is applied."""


class Prompts(NamedTuple):
    """Prompts of n tasks, c the most candidates of one."""

    ids: NDArray[np.int64]
    """`(n, length)` tokens; shorter prompts are filled up at their end, which no token before it sees."""
    last: NDArray[np.int64]
    """`(n,)` the position at which the label is asked."""


class TextRendering:
    """How tasks are written for one base."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, context: int, mentions: Sequence[str] | None = None
    ) -> None:
        """
        Args:
            context: longest prompt, in tokens.
            mentions: of each item (`World.mentions`), whose titles begin the rows; None leaves titles out.

        Raises:
            StarrecError: the base has not a token for each letter, labels for fewer than 20 candidates, or no
                room for the prompt.
        """
        self._tokenizer = tokenizer
        self._mentions = mentions
        self._titles: dict[int, NDArray[np.int64]] = {}
        self._values = np.array([self._one(value) for value in _VALUES])
        labels, self.label_ids = _labels(tokenizer)
        self.labels = labels
        """Label of each row: one or two capitals, with a space before them."""
        asked = TITLED if mentions is not None else INSTRUCTION
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": asked + _ROWS}], tokenize=False, add_generation_prompt=True
        )
        before, found, after = str(text).partition(_ROWS)
        if not found:
            raise StarrecError(
                "The chat template of this base leaves out what the user says. Use another base."
            )
        self.before, self.after = before, after + ANSWER
        self._before, self._after = (np.array(self._ids(part)) for part in (self.before, self.after))
        self.row_tokens = len(LETTERED) + 1
        """Of a row without its title."""
        room = (context - self.length(0)) // (self.length(1) - self.length(0))
        self.most = min(room, len(labels))
        """Candidates that can be ranked, by the labels that there are and the room of the context."""
        if self.most < 2:
            raise StarrecError(
                f"A context of {context} tokens has no room for two candidates. Raise `[student.lm] context`, "
                "or take a base with a longer one."
            )

    def length(self, size: int) -> int:
        """Tokens of a prompt of so many candidates, at most."""
        title = TITLE_TOKENS if self._mentions is not None else 0
        return len(self._before) + size * (self.row_tokens + title) + len(self._after)

    def text(self, tasks: FastTasks, at: int) -> str:
        """The prompt of one task, as a tokenizer would be given it."""
        size = int(tasks.present[at].sum())
        rows = []
        for row, letters in enumerate(standing(tasks)[at, :size]):
            title = "" if self._mentions is None else self._title(int(tasks.items[at, row]))
            rows.append(title + "".join(_VALUES[letter] for letter in letters) + self.labels[row])
        return self.before + "".join(rows) + self.after

    def prompts(self, tasks: FastTasks) -> Prompts:
        """The prompts of these tasks, as token ids.

        Raises:
            StarrecError: a task has more candidates than this base can rank.
        """
        n, c = tasks.order.shape
        if c > self.most:
            raise StarrecError(
                f"A task has {c} candidates, and this base ranks at most {self.most}: by its single-token "
                "labels and its context. Set `[student] base` to `nano`, which ranks 200, or ask for fewer."
            )
        rows = np.empty((n, c, self.row_tokens), dtype=np.int64)
        rows[:, :, :-1] = self._values[standing(tasks)]
        rows[:, :, -1] = self.label_ids[:c]
        if self._mentions is None:
            return self._untitled(rows, tasks.present.sum(axis=1))
        return self._with_titles(rows, tasks)

    def _untitled(self, rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> Prompts:
        n, c, width = rows.shape
        head, tail = len(self._before), len(self._after)
        ids = np.full((n, head + c * width + tail), self._values[-1])
        ids[:, :head] = self._before
        ids[:, head : head + c * width] = rows.reshape(n, -1)
        ends = head + sizes * width
        np.put_along_axis(ids, ends[:, None] + np.arange(tail), self._after[None], axis=1)
        return Prompts(ids, ends + tail - 1)

    def _with_titles(self, rows: NDArray[np.int64], tasks: FastTasks) -> Prompts:
        prompts = []
        for own, items in zip(rows, tasks.items, strict=True):
            present = [
                part
                for row, item in zip(own, items.tolist(), strict=True)
                if item >= 0
                for part in (self._title_ids(item), row)
            ]
            prompts.append(np.concatenate([self._before, *present, self._after]))
        lengths = np.array([len(prompt) for prompt in prompts])
        ids = np.full((len(prompts), lengths.max()), self._values[-1])
        for into, prompt in zip(ids, prompts, strict=True):
            into[: len(prompt)] = prompt
        return Prompts(ids, lengths - 1)

    def _title(self, item: int) -> str:
        assert self._mentions is not None, "titles are shown"
        found = MENTION.fullmatch(self._mentions[item])
        title = unescape(found.group(2)) if found else ""
        # What a special token is made of must not come from a title.
        title = "\n" + title.replace("<", "(").replace(">", ")").replace("|", "/")
        while (length := len(self._ids(title))) > TITLE_TOKENS:
            title = title[: max(1, len(title) * TITLE_TOKENS // length)]
        return title

    def _title_ids(self, item: int) -> NDArray[np.int64]:
        if item not in self._titles:
            self._titles[item] = np.array(self._ids(self._title(item)))
        return self._titles[item]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _one(self, text: str) -> int:
        ids = self._ids(text)
        if len(ids) != 1:
            raise StarrecError(
                f"This base has no single token for {text!r}, by which rows are written. Use another base; "
                "those of the Llama 3, Qwen, SmolLM and GPT-2 families have."
            )
        return ids[0]


def standing(tasks: FastTasks) -> NDArray[np.int64]:
    """`(n, c, len(LETTERED))` the letter of each signal, 0 to 25, or 26 where it is unknown."""
    unknown = tasks.numbers[:, :, _COLUMNS] > 0
    deviations = tasks.numbers[:, :, 2 * len(READ) + _COLUMNS]
    return np.where(unknown, _UNKNOWN, np.searchsorted(CUTS, deviations, side="right"))


def _labels(tokenizer: PreTrainedTokenizerBase) -> tuple[list[str], NDArray[np.int64]]:
    """Labels that are single tokens, ` A` to ` Z` and then pairs in alphabetical order; their ids."""
    capitals = string.ascii_uppercase
    texts = [f" {one}" for one in capitals] + [f" {one}{two}" for one in capitals for two in capitals]
    found = tokenizer(texts, add_special_tokens=False)["input_ids"]
    single = {text: ids[0] for text, ids in zip(texts, found, strict=True) if len(ids) == 1}
    if len(single) < LABELS:
        raise StarrecError(
            f"This base has {len(single)} labels of one token (one or two capitals after a space); {LABELS} "
            "are needed. Use another base, or `nano`."
        )
    return list(single), np.array(list(single.values()))
