"""A trace of think mode as it is written: what may follow, what was asked and answered, what the model read.

The model is free in what it writes, not in which tag may come next: between elements only tags that the linear
form allows are open, inside an element only its own end. So every trace parses. Facts are cited from this
trace's tool responses (`grounding`), and calls are decoded under their schema (`calls`). Tokens without an
alternative (tags, answers, the rest of a sentence that was begun) are read together with those after them, in
one pass over the key-value cache (`reading`), and many traces are written side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.ranking import Ranking, from_scores
from starrec.signals import Fact, FactNumbers
from starrec.student.calls import FAST_ORDER, STUDENT_TOOLS, Call
from starrec.student.fast_mode import TIE_SEED
from starrec.student.grounding import Grounding, Open
from starrec.student.reading import Read, Reading
from starrec.student.rows import hashed_order, trace_rows
from starrec.student.samples import spoken
from starrec.student.tokenizer import Names
from starrec.tools import Toolbox, think_task
from starrec.trajectories import Element, parse_call

if TYPE_CHECKING:
    from starrec.student.engine import Star

MAX_ELEMENT: Final = 200
"""Tokens of one plan, call or reflection at most; then it is closed."""
MAX_CALLS: Final = 16
"""Tool calls of one trace at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a trace."""

    tag: str
    """plan, tool_call, tool_response, reflection or recommend."""
    text: str
    """What stands between the tags."""
    written: bool
    """Whether the model wrote it (a tool response it did not)."""
    facts: tuple[tuple[int, Fact], ...] = field(default=(), compare=False)
    """Of a tool response: those that it states first, by the numbers under which they are cited."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A think-mode answer."""

    ranking: Ranking
    task: str
    labels: tuple[str, ...]
    """Of the candidates, in task order."""
    steps: tuple[Step, ...]
    repairs: tuple[str, ...]
    tokens_written: int
    tokens_read: int
    """Prompt and tool responses."""
    facts: FactNumbers = field(compare=False)
    """That tools stated in this trace, by the numbers under which it cites them."""

    @property
    def elements(self) -> list[Element]:
        """The trace, its task first."""
        return [Element("task", self.task), *(Element(step.tag, step.text) for step in self.steps)]

    @property
    def text(self) -> str:
        """The linear form of the trace."""
        return "".join(element.linear for element in self.elements)


@dataclass
class Trace:
    """A trajectory being written: what stands so far, and what went wrong. What writes is a coroutine that asks
    for what its model says (`reading`)."""

    star: Star
    toolbox: Toolbox
    grounding: Grounding | None
    edit: Callable[[str], str] | None
    facts: FactNumbers = field(default_factory=FactNumbers)
    names: Names = field(default_factory=Names)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Names of the tools that were asked, and what was answered."""
    pending: list[int] = field(default_factory=list)
    """Tokens at the end that the model has not read yet."""
    length: int = 0
    written: int = 0
    calls: int = 0
    compared: bool = False
    """Whether all signals were looked at."""
    steps: list[Step] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the context has no room for much more."""
        return self.length + len(self.toolbox.labels) > self.star.model.context

    def read(self, text: str) -> None:
        """Text that the model did not write."""
        short = self.names.short(text)
        self._add(self.star.tokenizer.backend_tokenizer.encode(short, add_special_tokens=False).ids)

    def run(self) -> Reading[Thought]:
        """The whole trajectory."""
        labels = self.toolbox.labels
        prompt = think_task(self.toolbox)
        self.read(f"<task>{prompt}</task>")
        yield from self.write("plan")
        while (tag := (yield from self.choose())) != "recommend":
            if tag == "reflection":
                yield from self.write(tag)
            else:
                yield from self.ask()
        if not self.compared and not self.full:
            self.repairs.append("asked `compare` before the ranking")
            yield from self.ask(["compare"])
        candidates = self.toolbox.task.candidates
        ranking = from_scores(candidates, (yield from self.rank()), TIE_SEED)
        column = {item: at for at, item in enumerate(candidates.tolist())}
        order = "".join(labels[column[item]] for item in ranking.items)
        self.steps.append(Step("recommend", order, True))
        return Thought(
            ranking,
            prompt,
            labels,
            tuple(self.steps),
            tuple(self.repairs),
            self.written,
            self.length - self.written,
            self.facts,
        )

    def choose(self) -> Reading[str]:
        """The element that the model opens next."""
        open_ = ["reflection", "recommend"]
        if self.calls < MAX_CALLS:
            open_.append("tool_call")
        if len(self.steps) > 2 * MAX_CALLS or self.full:
            open_ = ["recommend"]
        scores = (yield from self.logits())[[self.star.tags[f"<{tag}>"] for tag in open_]]
        return open_[int(scores.argmax())]

    def write(self, tag: str, call: Call | None = None) -> Reading[str]:
        """The model writes one element; the text between its tags.

        Args:
            call: that a tool call is to be, not begun.
        """
        opening, closing = (self.star.tags[mark] for mark in (f"<{tag}>", f"</{tag}>"))
        self._add([opening])
        tokens: list[int] = []
        while len(tokens) < MAX_ELEMENT:
            following = self._next_of_call(call) if call else self._next(tokens, closing)
            token = yield from following
            if token == closing:
                break
            tokens.append(token)
            self._add([token])
        else:
            self.repairs.append(f"closed a {tag} of {MAX_ELEMENT} tokens")
        self._add([closing])
        self.written += len(tokens) + 2
        text = self.names.full(str(self.star.tokenizer.decode(tokens)))
        self.steps.append(Step(tag, text, True))
        return text

    def ask(self, tools: Iterable[str] = tuple(STUDENT_TOOLS)) -> Reading[None]:
        """The model writes a call of one of these tools; the answer is looked up and read."""
        begun = self.star.calls.begin(self.toolbox.labels, tools)
        call, said = parse_call((yield from self.write("tool_call", begun))), len(self.facts)
        self.calls += 1
        self.compared |= call.name == "compare"
        if call.name == FAST_ORDER.name:
            answer = self.star.fast_order(self.toolbox)
        else:
            answer = self.toolbox.call(call.name, call.arguments, self.facts)
        if self.edit is not None:
            answer = self.edit(answer)
        self.answers.append((call.name, answer))
        self.read(spoken(Element("tool_response", answer), call.name))
        self.steps.append(Step("tool_response", answer, False, self.facts.between(said, len(self.facts))))
        if self.grounding is not None:
            self.grounding.add(self.names.short(answer))

    def rank(self) -> Reading[NDArray[np.float32]]:
        """Scores of the candidates `(c,)` by what was written and answered; ends the trace."""
        self.read("<recommend>")
        order = hashed_order(self.toolbox.task.candidates)
        labels = [self.toolbox.labels[at] for at in order.tolist()]
        numbers = torch.from_numpy(trace_rows(self.answers, labels))
        ids = torch.tensor(self.star.tokenizer.convert_tokens_to_ids(labels))
        # Candidates see all that was written, and each other.
        found = yield Read(self.pending, self.star.model.labelled_rows(numbers, ids))
        scores = np.empty(len(labels), dtype=np.float32)
        scores[order] = found
        return scores

    def _next(self, written: Sequence[int], closing: int) -> Reading[int]:
        """The likeliest token of a plan or reflection after what was written of it."""
        open_ = Open([], True) if self.grounding is None else self.grounding.open(written, closing)
        if not open_.free and len(open_.tokens) == 1:
            return open_.tokens[0]
        logits = yield from self.logits()
        shut = np.ones(len(logits), dtype=np.bool_)
        if open_.free:
            shut[:] = False
            shut[self.star.brackets] = True
            shut[closing] = False
            if self.grounding is not None:
                shut[self.star.figures] = True
                shut[self.grounding.barred(written)] = True
        shut[open_.tokens] = False
        return int(np.where(shut, -np.inf, logits).argmax())

    def _next_of_call(self, call: Call) -> Reading[int]:
        """The likeliest token after which this still is the beginning of a call."""
        shut = call.shut()
        open_ = np.flatnonzero(~shut)
        if len(open_) == 1:
            token = int(open_[0])
        else:
            token = int(np.where(shut, -np.inf, (yield from self.logits())).argmax())
        call.add(token)
        return token

    def _add(self, ids: Sequence[int]) -> None:
        self.pending += ids
        self.length += len(ids)

    def logits(self) -> Reading[NDArray[np.float32]]:
        """`(vocabulary,)` logits of the next token."""
        ids, self.pending = self.pending, []
        return (yield Read(ids))
