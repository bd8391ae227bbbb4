"""A trace of think mode as it is written: what may follow, what was asked and answered, what the model read.

The model is free in what it writes, not in which tag may come next: between elements only tags that the linear
form allows are open, inside an element only its own end. So every trace parses. Facts are cited from this
trace's tool responses (`grounding`), and calls are decoded under their schema (`calls`). Tokens without an
alternative (tags, answers, the rest of a sentence that was begun) are read together with those after them, in
one pass over the key-value cache (`reading`), and many traces are written side by side.

A trace that is `free` has none of these constraints: so a student explores in training (`exploration`), and so
it is measured what it has learned of the form. What is no trajectory then ends as `Broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.ranking import Ranking, from_scores
from starrec.signals import Fact, FactNumbers
from starrec.student.call_grammar import Call
from starrec.student.calls import FAST_ORDER, STUDENT_TOOLS
from starrec.student.fast_mode import TIE_SEED
from starrec.student.grounding import Grounding, Open
from starrec.student.reading import Read, Reading
from starrec.student.rows import hashed_order, trace_rows
from starrec.student.samples import spoken
from starrec.student.tokenizer import Names
from starrec.tools import Toolbox, ToolError, think_task
from starrec.trajectories import Element, LinearFormError, parse_call

if TYPE_CHECKING:
    from starrec.student.engine import Star

MAX_ELEMENT: Final = 200
"""Tokens of one plan, call or reflection at most; then it is closed."""
MAX_CALLS: Final = 16
"""Tool calls of one trace at most."""


class Broken(Exception):
    """What was written without constraints is no trajectory; the message says where."""


def likeliest(logits: NDArray[np.float32]) -> int:
    """Greedy decoding."""
    return int(logits.argmax())


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


def ended(steps: Generator[Step, None, Thought]) -> Thought:
    """What a trace is when all of its steps are written."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            thought: Thought = end.value
            return thought


@dataclass
class Trace:
    """A trajectory being written: what stands so far, and what went wrong. What writes is a coroutine that asks
    for what its model says (`reading`)."""

    star: Star
    toolbox: Toolbox
    grounding: Grounding | None
    """None where facts may be cited otherwise than they were stated."""
    edit: Callable[[str], str] | None = None
    """As in `Star.think`."""
    free: bool = False
    """Whether nothing constrains what is written."""
    pick: Callable[[NDArray[np.float32]], int] = likeliest
    """The next token by its logits `(vocabulary,)`, -inf where it is shut."""
    fast: str | None = None
    """What `fast_order` answers; None for what the student's fast mode says."""
    facts: FactNumbers = field(default_factory=FactNumbers)
    names: Names = field(default_factory=Names)
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Names of the tools that were asked, and what was answered."""
    ids: list[int] = field(default_factory=list)
    """All tokens so far."""
    pending: list[int] = field(default_factory=list)
    """Those at the end that the model has not read yet."""
    picked: dict[int, int] = field(default_factory=dict)
    """The tokens that `pick` gave, by their places; one that broke the trace stands behind its end."""
    written: int = 0
    calls: int = 0
    compared: bool = False
    """Whether all signals were looked at."""
    steps: list[Step] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the context has no room for much more."""
        return len(self.ids) + len(self.toolbox.labels) > self.star.model.context

    def read(self, text: str) -> None:
        """Text that the model did not write."""
        short = self.names.short(text)
        self._add(self.star.tokenizer.backend_tokenizer.encode(short, add_special_tokens=False).ids)

    def run(self) -> Reading[Thought]:
        """The whole trajectory."""
        labels = self.toolbox.labels
        prompt = think_task(self.toolbox)
        self.read(f"<task>{prompt}</task>")
        yield from self.write((yield from self.choose()))
        while (tag := (yield from self.choose())) != "recommend":
            if tag == "reflection":
                yield from self.write(tag)
            else:
                yield from self.ask()
        if not self.compared and not self.full and not self.free:
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
            len(self.ids) - self.written,
            self.facts,
        )

    def choose(self) -> Reading[str]:
        """The element that the model opens next: first its plan."""
        if not self.steps:
            open_ = ["plan"]
        elif len(self.steps) > 2 * MAX_CALLS or self.full:
            open_ = ["recommend"]
        else:
            open_ = ["reflection", "recommend"] + ["tool_call"] * (self.calls < MAX_CALLS)
        tokens = {self.star.tags[f"<{tag}>"]: tag for tag in open_}
        token = yield from self._pick(None if self.free else self._all_but(list(tokens)))
        if token not in tokens:
            raise Broken(f"does not open one of {', '.join(open_)}")
        return tokens[token]

    def write(self, tag: str, call: Call | None = None) -> Reading[str]:
        """The model writes one element; the text between its tags.

        Args:
            call: that a tool call is to be, not begun.
        """
        opening, closing = (self.star.tags[mark] for mark in (f"<{tag}>", f"</{tag}>"))
        self._add([opening])
        tokens: list[int] = []
        while len(tokens) < MAX_ELEMENT:
            token = yield from self._next(tokens, closing, call)
            if token == closing:
                break
            tokens.append(token)
            self._add([token])
        else:
            if self.free:
                raise Broken(f"does not end a {tag}")
            self.repairs.append(f"closed a {tag} of {MAX_ELEMENT} tokens")
        self._add([closing])
        self.written += len(tokens) + 2
        text = self.names.full(str(self.star.tokenizer.decode(tokens)))
        self.steps.append(Step(tag, text, True))
        return text

    def ask(self, tools: Iterable[str] = tuple(STUDENT_TOOLS)) -> Reading[None]:
        """The model writes a call of one of these tools; the answer is looked up and read."""
        begun = None if self.free else self.star.calls.begin(self.toolbox.labels, tools)
        text, said = (yield from self.write("tool_call", begun)), len(self.facts)
        try:
            call = parse_call(text)
            self.calls += 1
            self.compared |= call.name == "compare"
            if call.name == FAST_ORDER.name:
                answer = self.star.fast_order(self.toolbox) if self.fast is None else self.fast
            else:
                answer = self.toolbox.call(call.name, call.arguments, self.facts)
        except (LinearFormError, ToolError) as error:
            assert self.free, "calls are decoded under their schema"
            raise Broken("calls what no tool answers") from error
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

    def _next(self, written: Sequence[int], closing: int, call: Call | None) -> Reading[int]:
        """The next token of an element after what was written of it."""
        if self.free:
            token = yield from self._pick(None)
            if token != closing and token in self.star.marks:
                raise Broken("opens an element in another")
            return token
        if call is not None:
            token = yield from self._pick(call.shut())
            call.add(token)
            return token
        open_ = Open([], True) if self.grounding is None else self.grounding.open(written, closing)
        if not open_.free:
            return (yield from self._pick(self._all_but(open_.tokens)))
        shut = np.zeros(self.star.vocabulary, dtype=np.bool_)
        shut[self.star.brackets] = True
        shut[closing] = False
        if self.grounding is not None:
            shut[self.star.figures] = True
            shut[self.grounding.barred(written)] = True
        shut[open_.tokens] = False
        return (yield from self._pick(shut))

    def _pick(self, shut: NDArray[np.bool_] | None) -> Reading[int]:
        """The next token, none that is shut; what has no alternative is not asked for."""
        if shut is not None and len(open_ := np.flatnonzero(~shut)) == 1:
            return int(open_[0])
        logits = yield from self.logits()
        token = self.pick(logits if shut is None else np.where(shut, -np.inf, logits))
        self.picked[len(self.ids)] = token
        return token

    def _all_but(self, tokens: Sequence[int]) -> NDArray[np.bool_]:
        """`(vocabulary,)` all shut but these."""
        shut = np.ones(self.star.vocabulary, dtype=np.bool_)
        shut[tokens] = False
        return shut

    def _add(self, ids: Sequence[int]) -> None:
        self.pending += ids
        self.ids += ids

    def logits(self) -> Reading[NDArray[np.float32]]:
        """`(vocabulary,)` logits of the next token."""
        ids, self.pending = self.pending, []
        return (yield Read(ids))
