"""Think mode of a language model: the trace as a dialogue, whoever writes the assistant's turns.

`dialogue` is a coroutine: it yields what is to be answered (`Asked`), is sent a turn (`Turn`), calls the tool
that the turn asks, and ends with a `Thought`, as think mode of nano does. `Thinker` has the turns written by a
model of this process, element by element under grammars (`grammar`) or freely, while the key-value cache is
kept over inserted answers; `endpoint` has them written by a server.

The ranking is the one that is written. Under grammars it is a permutation by construction; what is written
freely is repaired to one, and what was repaired is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedModel

from starrec.data import RankingTask, escape
from starrec.ranking import repair
from starrec.signals import FactNumbers
from starrec.student.calls import FAST_ORDER
from starrec.student.lm.chat import Chat
from starrec.student.lm.grammar import LISTED, RANKING, Grammar
from starrec.student.matcher import Matcher
from starrec.student.trace import MAX_CALLS, Step, Thought, ended
from starrec.tools import REFUSED, Toolbox, ToolError, World, think_task
from starrec.trajectories import LABEL, Element, LinearFormError, ToolCall, parse_call

FastOrder: TypeAlias = Callable[[Toolbox], str]
"""What the tool `fast_order` answers (`calls.fast_order`)."""
_ELEMENT: Final = re.compile(r"<(plan|tool_call|reflection|recommend)>([^<>]*)</\1>")
_CLOSED: Final = "</recommend>"
_LISTED_ALL: Final = '"]}}</tool_call>'
TURN_TOKENS: Final = 600
"""Of one turn at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn of the assistant that is to be written."""

    messages: Sequence[Mapping[str, str]]
    """All of the dialogue so far."""
    answer: str | None
    """What a tool answered to the turn before, as it is spelled; None at the first turn."""
    labels: Sequence[str]
    """Of the candidates, as they stand in a ranking."""
    names: Sequence[str]
    """The same as they stand in a call."""
    calls: bool
    """Whether a tool may be asked."""
    steps: Sequence[Step] = ()
    """Of the trace so far."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it was written."""

    text: str
    written: int
    """Tokens."""
    read: int
    """Tokens read since the turn before."""
    whole: bool = True
    """Whether the model ended it itself."""


Dialogue: TypeAlias = Generator[Asked, Turn, Thought]


def answer_call(toolbox: Toolbox, call: ToolCall, facts: FactNumbers, fast_order: FastOrder | None) -> str:
    """What a tool answers; a call that cannot be answered gets the reason."""
    try:
        if call.name == FAST_ORDER.name and fast_order is not None:
            return fast_order(toolbox)
        return toolbox.call(call.name, call.arguments, facts)
    except ToolError as error:
        # It may quote what the model wrote.
        return f"{REFUSED}{escape(str(error))}"


@dataclass
class _Trace:
    """What stands so far."""

    steps: list[Step] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    written: int = 0
    read: int = 0


def dialogue(
    chat: Chat,
    toolbox: Toolbox,
    *,
    fast_order: FastOrder | None = None,
    edit: Callable[[str], str] | None = None,
) -> Dialogue:
    """The trace of one task.

    Args:
        edit: gives the answer that is read in place of a tool's; to measure what the ranking follows from.
    """
    spelling, facts, trace = chat.spelling(toolbox.labels), FactNumbers(), _Trace()
    task = think_task(toolbox)
    messages, answer = chat.begin(task, spelling), None
    labels, names = (
        [spelling.label(label) for label in toolbox.labels],
        [label[1:-1] for label in toolbox.labels],
    )
    calls, proposed = 0, ""
    while True:
        turn = yield Asked(messages, answer, labels, names, calls < MAX_CALLS, trace.steps)
        trace.written += turn.written
        trace.read += turn.read
        messages = [*messages, {"role": "assistant", "content": turn.text}]
        text = chat.read_turn(turn.text, spelling)
        elements = [Element(found[1], found[2]) for found in _ELEMENT.finditer(text)]
        wrong = _wrong(text, elements, first=not trace.steps, whole=turn.whole)
        if not wrong and calls == MAX_CALLS and elements[-1].tag == "tool_call":
            wrong = "no more are answered"
        if wrong:
            # It stands as it was written, so that the trace does not parse.
            trace.steps.append(Step("text", text, True))
            trace.repairs.append(f"stopped after {calls} calls: {wrong}")
            proposed = text.rpartition(RANKING)[2].partition("</")[0]
            break
        trace.steps += [Step(element.tag, element.text, True) for element in elements]
        if elements[-1].tag == "recommend":
            proposed = elements[-1].text
            break
        said = len(facts)
        calls += 1
        call = parse_call(elements[-1].text)
        full = answer_call(toolbox, call, facts, fast_order)
        shown, answer = chat.answer(call.name, edit(full) if edit else full, spelling)
        trace.steps.append(Step("tool_response", shown, False, facts.between(said, len(facts))))
        messages = [*messages, {"role": "tool", "content": answer}]
    ranking = repair(_items(proposed, toolbox), toolbox.task.candidates)
    return Thought(
        ranking,
        task,
        toolbox.labels,
        tuple(trace.steps),
        (*trace.repairs, *ranking.repairs),
        trace.written,
        trace.read,
        facts,
    )


def _wrong(text: str, elements: Sequence[Element], *, first: bool, whole: bool) -> str:
    """Why this is no turn; empty where it is one."""
    if not whole:
        return "the turn was cut off"
    if not elements or "".join(element.linear for element in elements) != text:
        return "the turn is no sequence of elements"
    tags = [element.tag for element in elements]
    if (tags[0] == "plan") != first or "plan" in tags[1:]:
        return "a trace begins with its plan, and holds one"
    if tags[-1] not in ("tool_call", "recommend") or {"tool_call", "recommend"} & set(tags[:-1]):
        return "a turn ends with its one call, or with the ranking"
    if tags[-1] == "tool_call":
        try:
            parse_call(elements[-1].text)
        except LinearFormError:
            return "the call is not JSON of a tool"
    return ""


def _items(proposed: str, toolbox: Toolbox) -> list[int]:
    columns = {label: int(item) for label, item in zip(toolbox.labels, toolbox.task.candidates, strict=True)}
    return [columns[found[0]] for found in LABEL.finditer(proposed) if found[0] in columns]


class Thinker:
    """Think mode of a model in this process."""

    def __init__(
        self,
        model: PreTrainedModel,
        chat: Chat,
        world: World,
        *,
        fast_order: FastOrder | None = None,
        turn_tokens: int = TURN_TOKENS,
    ) -> None:
        """
        Args:
            model: with or without an adapter.
            fast_order: of this model's fast mode, where the chat has that tool.
            turn_tokens: of one turn that is written freely, at most.
        """
        self._model, self._chat, self._world, self._fast_order = model.eval(), chat, world, fast_order
        self._turn_tokens = turn_tokens
        self._one_turn = Lock()
        """Tokenizers are not for several threads at a time."""
        self._grammar = Grammar(chat.tokenizer, model.get_output_embeddings().weight.shape[0])

    def think(
        self, task: RankingTask, *, free: bool = False, edit: Callable[[str], str] | None = None
    ) -> Thought:
        """The trace of one task, greedily: the same task gives the same trace.

        Args:
            free: without grammars, to measure what the model knows of the form.
            edit: as in `dialogue`.

        Raises:
            StarrecError: there are more candidates than labels.
        """
        return ended(self.thinking(task, free=free, edit=edit))

    def thinking(
        self, task: RankingTask, *, free: bool = False, edit: Callable[[str], str] | None = None
    ) -> Generator[Step, None, Thought]:
        """`think` as it is written: the steps of each turn, with the answer that it asked for, when the turn is
        complete; in the end the whole."""
        trace = dialogue(self._chat, self._world.toolbox(task), fast_order=self._fast_order, edit=edit)
        writer = _Writer(self._model, self._chat, None if free else self._grammar, self._turn_tokens)
        with self._one_turn:
            asked = next(trace)
        shown = 0
        while True:
            try:
                with self._one_turn:
                    with torch.inference_mode():
                        turn = writer.write(asked)
                    asked = trace.send(turn)
            except StopIteration as end:
                thought: Thought = end.value
                yield from thought.steps[shown:]
                return thought
            new = asked.steps[shown:]
            shown += len(new)
            yield from new


class _Writer:
    """Writes the turns of one dialogue; the key-value cache is kept."""

    def __init__(self, model: PreTrainedModel, chat: Chat, grammar: Grammar | None, turn_tokens: int) -> None:
        self._model, self._chat, self._grammar = model, chat, grammar
        self._turn_tokens = turn_tokens
        self._cache = DynamicCache(config=model.config)
        self._pending: list[int] = []
        """Tokens that the model has not read yet."""
        self._written: list[int] = []
        self._length = 0
        self._context = int(getattr(model.config, "max_position_embeddings", None) or 2048)

    def write(self, asked: Asked) -> Turn:
        first, chat = asked.answer is None, self._chat
        read = chat.prompt(asked.messages) if first else chat.between([asked.answer or ""])
        self._read(read)
        self._written = []
        whole = True
        if self._grammar is None:
            whole = self._freely()
        else:
            self._by_grammar(self._grammar, asked)
        if whole:
            self._read([self._chat.end])
        return Turn(self._text(), len(self._written) + whole, len(read), whole)

    def _by_grammar(self, grammar: Grammar, asked: Asked) -> None:
        # Room for another call and its answer, and for the ranking.
        spare = self._context - self._length - self._chat.answer_tokens - 8 * len(asked.labels)
        calls = asked.calls and spare > TURN_TOKENS
        self._follow(grammar.turn(first=asked.answer is None, calls=calls, tools=self._chat.tools))
        text = self._text()
        if text.endswith(RANKING):
            left = dict(zip(asked.labels, asked.labels, strict=True))
            while left:
                left.pop(self._one_of(grammar, left))
            self._one_of(grammar, {_CLOSED: ""})
        elif text.endswith(LISTED):
            # Behind a label stand another one or the end of the list, each with the quotation mark before it.
            left = dict(zip(asked.names, asked.names, strict=True))
            while chosen := self._one_of(grammar, left):
                left = {f'","{name}': name for name in left.values() if name != chosen} | {_LISTED_ALL: ""}

    def _one_of(self, grammar: Grammar, texts: Mapping[str, str]) -> str:
        """Have one of these texts written; what it stands for."""
        before = len(self._text())
        self._follow(grammar.one_of(texts))
        return texts[self._text()[before:]]

    def _text(self) -> str:
        return str(self._chat.tokenizer.decode(self._written, clean_up_tokenization_spaces=False))

    def _follow(self, matcher: Matcher) -> None:
        while not matcher.ended:
            if forced := matcher.forced():
                self._take(forced)
                continue
            token = int(np.where(matcher.open(), self._logits(), -np.inf).argmax())
            matcher.take([token])
            self._take([token])

    def _freely(self) -> bool:
        """Whether the model ended its turn."""
        while len(self._written) < self._turn_tokens and self._length < self._context:
            token = int(self._logits().argmax())
            if token == self._chat.end:
                return True
            self._take([token])
        return False

    def _take(self, tokens: Sequence[int]) -> None:
        self._written += tokens
        self._read(tokens)

    def _read(self, tokens: Sequence[int]) -> None:
        self._pending += tokens
        self._length += len(tokens)

    def _logits(self) -> NDArray[np.float32]:
        """`(rows,)` of the next token."""
        ids = torch.tensor([self._pending], device=self._model.device)
        self._pending = []
        found = self._model(ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        logits: NDArray[np.float32] = found.logits[0, -1].float().cpu().numpy()
        return logits
