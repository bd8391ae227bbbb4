"""A trajectory as a chat: what a pretrained base reads and writes of it, turn by turn.

    system      what to do, and the tools
    user        the task
    assistant   <plan>…</plan>
                <tool_call>{"name":"item_cf","arguments":{"window":"recent"}}</tool_call>
    tool        the answer
    assistant   <reflection>…</reflection>
                <recommend> C A B</recommend>

A turn of the assistant is elements of the linear form, one a line, up to a tool call or the ranking. Calls are
text like everything else: SmolLM2's own template drops a message's `tool_calls` without a word. So templates
are ours, in the turn marks of the base (ChatML, Llama 3, or its end token alone); the answer of a tool stands
in a turn of the user, between tags, as Qwen's template has it and any endpoint takes it.

What the assistant wrote, its end of turn among it, lies between generation markers: that is what is learned,
and what TRL's rollouts count as the model's own. The same ids come out of SFT, of a rollout and of the engine.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from starrec.errors import StarrecError
from starrec.signals import labels
from starrec.student.calls import STUDENT_TOOLS
from starrec.student.config import MAX_LABELS, TracesConfig
from starrec.student.lm.spelling import Spelling
from starrec.tools import CUT, TOOLS, ToolSpec
from starrec.trajectories import Element, Trajectory, elements, parse_call

VERSION: Final = 1
"""Of the dialogue: raised with what a model of an earlier one would misread. A saved student names its own."""
_TURN: Final = re.compile(r"<([a-z_]+)>([^<>]*)</\1>")
_BETWEEN: Final = re.compile(r"(?<=>)\n(?=<)")
_PIECE: Final = re.compile(r"(?<= )(?=‹[A-Z]+› |#\d)|(?=⟦[^⟦⟧]*⟧‹)")
"""Where an answer may be cut: before a candidate, a fact, or a row of levels."""
_SPECIAL: Final = re.compile(r"[<>\[\]]")
_ARGUMENTS: Final = {
    (False, False): "",
    (True, False): "window",
    (False, True): "candidates",
    (True, True): "window, candidates",
}
_INSTRUCTIONS: Final = (
    "Rank the candidates by what this person takes next. First write a <plan>. Ask tools by <tool_call>, one "
    "a turn, and weigh what they answer in <reflection>, citing facts by number. End with <recommend>: all "
    'labels, the likeliest first. `window` is "recent" or "whole", `candidates` a list of labels; both may be '
    "left out. Tools: "
)


class Marks(NamedTuple):
    """What a base's turns stand between."""

    begin: str
    """Before the first turn: the base's first token, where its tokenizer begins a text with one."""
    opening: str
    """With `{role}` in the place of the role."""
    closing: str
    """The token that ends a turn."""
    after: str
    """Between two turns."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A trajectory as messages."""

    messages: tuple[Mapping[str, str], ...]
    cut: int
    """Answers of tools of which not all is shown."""


class Encoded(NamedTuple):
    """A conversation as tokens."""

    ids: NDArray[np.int64]
    """`(length,)`"""
    learn: NDArray[np.bool_]
    """`(length,)` whether the assistant wrote this token."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The dialogue that a student's weights have learned."""

    version: int
    titles: bool
    answer_tokens: int
    fast_order: bool

    @classmethod
    def of(cls, config: TracesConfig) -> Self:
        """As the settings of training have it."""
        return cls(VERSION, config.titles, config.answer_tokens, config.fast_order)


class Chat:
    """How one base is spoken with."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        fast_order: bool = False,
        answer_tokens: int = 400,
        titles: bool = True,
    ) -> None:
        """
        Args:
            fast_order: whether there is the tool `fast_order` beside those of the teacher.
            answer_tokens: of one answer of a tool that are shown at most.
            titles: as in `Spelling`.

        Raises:
            StarrecError: the base has no end token, or a special token that a title could spell.
        """
        if tokenizer.eos_token is None:
            raise StarrecError("The base's tokenizer has no end token. Set `eos_token` in its folder.")
        for token in tokenizer.all_special_tokens:
            if not _SPECIAL.search(token):
                raise StarrecError(
                    f"The base's special token {token!r} holds no bracket, so that a title could spell it. "
                    "Choose another base."
                )
        self.tokenizer = copy.deepcopy(tokenizer)
        """With templates of ours, for transformers and TRL."""
        self.tools: Mapping[str, ToolSpec] = STUDENT_TOOLS if fast_order else TOOLS
        """That may be called."""
        self.answer_tokens = answer_tokens
        self._titles = titles
        self.marks = _marks(tokenizer)
        self.tokenizer.eos_token = self.marks.closing
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.marks.closing
        self.tokenizer.chat_template = _template(self.marks)
        self.tokenizer.response_template = _response(self.marks)
        end: Any = self.tokenizer.convert_tokens_to_ids(self.marks.closing)
        self.end: int = end
        """The token that ends a turn."""
        self.spaced = all(len(self.encode_text(f" {label[1:-1]}")) == 1 for label in labels(MAX_LABELS))
        """Whether each label is one token behind a space."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, settings: ChatSettings) -> Self:
        """The dialogue of a student."""
        return cls(
            tokenizer,
            fast_order=settings.fast_order,
            answer_tokens=settings.answer_tokens,
            titles=settings.titles,
        )

    def spelling(self, candidates: Sequence[str]) -> Spelling:
        """The spelling of a new trace over candidates with these labels."""
        return Spelling(candidates, spaced=self.spaced, titles=self._titles)

    def encode_text(self, text: str) -> list[int]:
        """Tokens of a text alone."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def begin(self, task: str, spelling: Spelling) -> list[dict[str, str]]:
        """The messages before the assistant's first turn.

        Args:
            task: as in the linear form.
        """
        listed = "; ".join(
            f"{tool.name}({_ARGUMENTS[tool.windows, tool.candidates]})" for tool in self.tools.values()
        )
        return [
            {"role": "system", "content": _INSTRUCTIONS + listed},
            {"role": "user", "content": spelling.write(task)},
        ]

    def answer(self, tool: str, answer: str, spelling: Spelling) -> tuple[str, str]:
        """What is shown of a tool's answer: in the linear form, and as it is spelled."""
        shown = self._shown(tool, answer, spelling)
        return shown, spelling.write_answer(tool, shown)

    def conversation(self, trajectory: Trajectory) -> Conversation:
        """A trajectory as messages.

        Raises:
            TrajectoryError: as `Trajectory.check`.
        """
        spelling = self.spelling(trajectory.labels)
        parts = elements(trajectory)
        messages = self.begin(parts[0].text, spelling)
        turn: list[str] = []
        call, cut = "", 0
        for part in parts[1:]:
            if part.tag == "tool_response":
                messages.append({"role": "assistant", "content": "\n".join(turn)})
                shown, content = self.answer(call, part.text, spelling)
                messages.append({"role": "tool", "content": content})
                cut += shown != part.text
                turn = []
                continue
            if part.tag == "tool_call":
                call = parse_call(part.text).name
                content = spelling.write_call(part.text)
            else:
                content = spelling.write(part.text)
            turn.append(Element(part.tag, content).linear)
        messages.append({"role": "assistant", "content": "\n".join(turn)})
        return Conversation(tuple(messages), cut)

    def encode(self, messages: Sequence[Mapping[str, str]]) -> Encoded:
        """Tokens of a whole conversation."""
        found: Any = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        return Encoded(
            np.asarray(found["input_ids"], dtype=np.int64), np.asarray(found["assistant_masks"], dtype=np.bool_)
        )

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Tokens of a conversation, up to where the assistant begins its turn."""
        found: Any = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=True, return_dict=True, add_generation_prompt=True
        )
        ids: list[int] = found["input_ids"]
        return ids

    def between(self, answers: Sequence[str]) -> list[int]:
        """Tokens between the end of a turn of the assistant and the begin of its next one.

        Args:
            answers: as they are spelled.
        """
        text = self.marks.after
        for answer in answers:
            text += _rendered(self.marks, "tool", answer)
        return self.encode_text(text + self.marks.opening.format(role="assistant"))

    def read_turn(self, text: str, spelling: Spelling) -> str:
        """A turn that the model wrote, in the linear form; whatever is no element stays as it is."""
        return _TURN.sub(lambda found: _read(found, spelling), _BETWEEN.sub("", text))

    def _shown(self, tool: str, answer: str, spelling: Spelling) -> str:
        def fits(text: str) -> bool:
            return len(self.encode_text(copy.deepcopy(spelling).write_answer(tool, text))) <= self.answer_tokens

        if fits(answer):
            return answer
        pieces = _PIECE.split(answer)

        def cut(count: int) -> str:
            return f"{''.join(pieces[:count]).rstrip()}{CUT}".lstrip()

        low, high = 0, len(pieces)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(cut(middle)) else (low, middle)
        return cut(low)


def _read(found: re.Match[str], spelling: Spelling) -> str:
    tag, text = found[1], found[2]
    return Element(tag, spelling.read_call(text) if tag == "tool_call" else spelling.read(text)).linear


def _marks(tokenizer: PreTrainedTokenizerBase) -> Marks:
    known = tokenizer.get_vocab()
    whole: list[int] = tokenizer("x")["input_ids"]
    begin = str(tokenizer.bos_token) if tokenizer.bos_token and whole[0] == tokenizer.bos_token_id else ""
    if "<|im_start|>" in known and "<|im_end|>" in known:
        return Marks(begin, "<|im_start|>{role}\n", "<|im_end|>", "\n")
    if "<|start_header_id|>" in known and "<|eot_id|>" in known:
        return Marks(begin, "<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>", "")
    return Marks(begin, "### {role}\n", str(tokenizer.eos_token), "\n")


def as_user(answer: str) -> str:
    """A tool's answer as the user's message that it is shown in."""
    return f"<tool_response>\n{answer}\n</tool_response>"


def _rendered(marks: Marks, role: str, content: str) -> str:
    if role == "tool":
        role, content = "user", as_user(content)
    return f"{marks.opening.format(role=role)}{content}{marks.closing}{marks.after}"


def _template(marks: Marks) -> str:
    """The chat template: `_rendered` of each message, the assistant's between generation markers. Calls beside
    the content are rendered as well, as TRL asks of a template."""
    opening = repr(marks.opening).replace("{role}", "' + role + '")
    end = repr(marks.closing + marks.after)
    return (
        f"{{{{- {marks.begin!r} -}}}}"
        "{%- for message in messages -%}"
        "{%- set role = 'user' if message['role'] == 'tool' else message['role'] -%}"
        f"{{{{- {opening} -}}}}"
        "{%- if message['role'] == 'tool' -%}"
        "{{- '<tool_response>\\n' + message['content'] + '\\n</tool_response>' -}}"
        f"{{{{- {end} -}}}}"
        "{%- elif role == 'assistant' -%}"
        "{%- generation -%}{{- message['content'] -}}"
        "{%- for call in message['tool_calls'] or [] -%}"
        "{{- '<tool_call>' + (call['function'] | tojson) + '</tool_call>' -}}"
        f"{{%- endfor -%}}{{{{- {marks.closing!r} -}}}}{{%- endgeneration -%}}"
        f"{{{{- {marks.after!r} -}}}}"
        "{%- else -%}"
        f"{{{{- message['content'] + {end} -}}}}"
        "{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{%- set role = 'assistant' -%}"
        f"{{{{- {opening} -}}}}"
        "{%- endif -%}"
    )


def _response(marks: Marks) -> dict[str, Any]:
    """How transformers finds the calls in what the model wrote."""
    return {
        "defaults": {"role": "assistant"},
        "start_anchor": marks.opening.format(role="assistant"),
        "fields": {
            "tool_calls": {
                "open": "<tool_call>",
                "close_pattern": r"</tool_call>\s*",
                "repeats": True,
                "content": "json",
                "transform": {"type": "function", "function": "{content}"},
            },
            "content": {"close_pattern": re.escape(marks.closing) + r"\s*", "content": "text"},
        },
    }
