"""A trajectory: what the team of agents (MARS) did for one ranking task, message by message.

Messages follow OpenAI's roles, so that any chat trainer can read them, and keep which agent spoke in which
round. An assistant message is either one tool call or text; a call's tool message follows it at once. What a
student learns from is the `Canonical` part (plan, calls, responses, reflections, ranking); time and tokens
are a sidecar (`Cost`) outside equality, so that two runs that thought the same are equal however long they
took.

Objects are plain frozen dataclasses and are not checked when made: teaching makes tens of thousands of them
in a couple of minutes. `check` runs where they leave the teacher: in `canonical`, in the linear form, in the
store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["user", "assistant", "tool"]
Agent: TypeAlias = Literal[
    "",
    "planner",
    "user_profile",
    "historical_interest",
    "recent_interest",
    "interest_divergence",
    "reflector",
    "ranker",
]
Argument: TypeAlias = str | int | float | bool | list[str] | None

AGENTS: Final[tuple[Agent, ...]] = get_args(Agent)[1:]
"""The seven agents of MARS; the empty name belongs to the user."""

LABEL: Final = re.compile(r"‹([A-Z]+)›")
"""A candidate's label as it stands in text."""

_RAW: Final = re.compile("[<>\ud800-\udfff]")
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class TrajectoryError(ValueError):
    """A trajectory that has no linear form. A mistake of the code that made it, so not a `StarrecError`."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool's name (letters, digits, `_`, `-`; at most 64) and its arguments."""

    name: str
    arguments: dict[str, Argument] = field(default_factory=dict, hash=False)
    """In the order in which they were given; lists hold strings only."""

    def arguments_json(self) -> str:
        """The arguments as compact JSON in which `<` and `>` stand as `\\u003c` and `\\u003e`.

        Raises:
            TrajectoryError: an argument is of another type, not finite, or holds a lone surrogate.
        """
        for key, value in self.arguments.items():
            plain = type(value) in _SCALARS or (type(value) is list and all(type(v) is str for v in value))
            if type(key) is not str or not plain:
                raise TrajectoryError(
                    f"argument {key!r} of tool call `{self.name}` is a {type(value).__name__}; "
                    "give a JSON scalar or a list of strings under a string key"
                )
        try:
            text = _encode(self.arguments)
            text.encode()
        except ValueError as error:
            raise TrajectoryError(f"arguments of tool call `{self.name}` are not JSON: {error}") from error
        return text.replace("<", "\\u003c").replace(">", "\\u003e")

    def json(self) -> str:
        """The call as it stands in the linear form; raises as `arguments_json`, and for a malformed name."""
        if not _TOOL_NAME.fullmatch(self.name):
            raise TrajectoryError(f"{self.name!r} is no tool name: 1 to 64 letters, digits, `_` or `-`")
        return f'{{"name":"{self.name}","arguments":{self.arguments_json()}}}'


@dataclass(frozen=True, slots=True)
class Message:
    """One message: the task (user), an agent's text or tool call (assistant), a tool's answer (tool)."""

    role: Role
    agent: Agent
    """Who spoke; for a tool message, who asked; empty for the user."""
    round: int
    """0-based round of the workflow; a reflection that sends work back begins the next."""
    content: str = ""
    """Text without raw `<` and `>` (`data.text.escape` untrusted parts); empty with a tool call."""
    tool_call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the answers of one agent took."""

    seconds: float = 0.0
    requests: int = 0
    """Calls of a language model; 0 for the embedded policy."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's: what the server had kept from an earlier request."""
    usd: float = 0.0
    """At the provider's list price; 0 where the price is not known."""

    def __add__(self, other: Spent) -> Spent:
        # Spelt out: `astuple` copies deeply, and took a tenth of a run of the embedded policy.
        return Spent(
            self.seconds + other.seconds,
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trajectory took; outside its equality and its hash."""

    agents: Mapping[str, Spent] = field(default_factory=dict, hash=False)
    """By agent, in the order in which they first answered."""
    repairs: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How often an answer of a language model was read otherwise than it was written, by kind."""

    @property
    def total(self) -> Spent:
        """Of all agents; their seconds one after the other."""
        return sum(self.agents.values(), Spent())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Cost:
        """The inverse of `dataclasses.asdict`; `KeyError` or `TypeError` for something else."""
        agents = {agent: Spent(**spent) for agent, spent in record["agents"].items()}
        return cls(agents, dict(record.get("repairs", {})))


@dataclass(frozen=True, slots=True)
class Canonical:
    """What a trajectory says, whatever wrote it down: equal for a trajectory and its parsed linear form."""

    plan: str
    calls: tuple[ToolCall, ...]
    responses: tuple[str, ...]
    """`responses[i]` answers `calls[i]`."""
    reflections: tuple[str, ...]
    ranking: tuple[str, ...]
    """Labels, best first."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One run of the teacher over one task.

    Its messages are, in this order: the task (user), the planner's plan, any number of tool calls (each
    followed by its tool message) and reflections, and the ranker's ranking, `‹C›‹A›…`.
    """

    task_id: str
    run: int
    """0 is the greedy run, or the first sample."""
    teacher: str
    """The teacher's kind, such as "embedded policy, no learned weights"."""
    messages: tuple[Message, ...]
    labels: tuple[str, ...]
    """Each candidate's label in the order of the task (`signals.labels`)."""
    ranking: tuple[str, ...]
    """The labels, best first."""
    outcome: int | None = None
    """1-based rank of the target; None until the outcome step has compared the two."""
    cost: Cost = field(default=Cost(), compare=False)

    def check(self) -> None:
        """Make sure that the trajectory has a linear form.

        Raises:
            TrajectoryError: messages are missing or out of order, a content holds a raw `<` or `>` or a lone
                surrogate, a tool call is not JSON, or the ranking is not a permutation of the labels.
        """
        if len(self.messages) < 3:
            raise TrajectoryError(f"{self._name}: a trajectory has a task, a plan and a ranking at least")
        self._check_text()
        last = len(self.messages) - 1
        after_call = False
        for index, message in enumerate(self.messages):
            expected = _expected(index, last, after_call)
            kind = _kind(message)
            if kind not in expected:
                raise TrajectoryError(
                    f"{self._name}, message {index}: a {kind} where {' or '.join(expected)} was expected"
                )
            if message.tool_call is not None:
                message.tool_call.json()
                if message.content:
                    raise TrajectoryError(f"{self._name}, message {index}: a tool call carries no other text")
            after_call = message.tool_call is not None
        if len(set(self.labels)) < len(self.labels) or sorted(self.ranking) != sorted(self.labels):
            raise TrajectoryError(f"{self._name}: the ranking is not a permutation of the labels")
        if self.messages[last].content != "".join(self.ranking) or not all(map(LABEL.fullmatch, self.labels)):
            raise TrajectoryError(f"{self._name}: the last message does not say the ranking as labels `‹A›`")

    def canonical(self) -> Canonical:
        """Plan, calls, responses, reflections and ranking; raises as `check`."""
        self.check()
        messages = self.messages
        return Canonical(
            plan=messages[1].content,
            calls=tuple(m.tool_call for m in messages if m.tool_call is not None),
            responses=tuple(m.content for m in messages if m.role == "tool"),
            reflections=tuple(m.content for m in messages if _kind(m) == "reflection"),
            ranking=self.ranking,
        )

    def openai_messages(self) -> list[dict[str, Any]]:
        """The messages as OpenAI's chat API writes them (`arguments` is JSON text, the agent is `name`);
        what `linear.CHAT_TEMPLATE` renders to the linear form."""
        result: list[dict[str, Any]] = []
        for index, message in enumerate(self.messages):
            entry: dict[str, Any] = {"role": message.role, "content": message.content}
            if message.role == "assistant":
                entry["name"] = message.agent
            if message.tool_call is not None:
                call = message.tool_call
                function = {"name": call.name, "arguments": call.arguments_json()}
                entry["tool_calls"] = [{"id": f"call_{index}", "type": "function", "function": function}]
            if message.role == "tool":
                entry["tool_call_id"] = f"call_{index - 1}"
            result.append(entry)
        return result

    def to_record(self) -> dict[str, Any]:
        """Everything but the cost, as JSON can hold it; `from_record` reads it back equal."""
        return {
            "task_id": self.task_id,
            "run": self.run,
            "teacher": self.teacher,
            "labels": self.labels,
            "ranking": self.ranking,
            "outcome": self.outcome,
            "messages": [_message_record(message) for message in self.messages],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], cost: Mapping[str, Any] | None = None) -> Trajectory:
        """The inverse of `to_record`; `KeyError` or `TypeError` for something else."""
        return cls(
            task_id=record["task_id"],
            run=record["run"],
            teacher=record["teacher"],
            messages=tuple(_message(entry) for entry in record["messages"]),
            labels=tuple(record["labels"]),
            ranking=tuple(record["ranking"]),
            outcome=record["outcome"],
            cost=Cost.from_record(cost) if cost else Cost(),
        )

    def _check_text(self) -> None:
        # Almost every trajectory is clean, and seeing that in all of it at once takes a sixth of the time.
        text = "".join([message.content for message in self.messages])
        if "<" not in text and ">" not in text and _is_utf8(text):
            return
        for index, message in enumerate(self.messages):
            if found := _RAW.search(message.content):
                raise TrajectoryError(
                    f"{self._name}, message {index} ({message.role} {message.agent}): raw {found.group()!r} "
                    f"at character {found.start()}; pass untrusted text through data.text.escape"
                )

    @property
    def _name(self) -> str:
        return f"trajectory {self.task_id} run {self.run}"


_TEXT_KINDS: Final = {"planner": "plan", "reflector": "reflection", "ranker": "ranking"}


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(message: Message) -> str:
    if message.role != "assistant":
        return "task" if message.role == "user" else "tool response"
    if message.tool_call is not None:
        return "tool call"
    return _TEXT_KINDS.get(message.agent, f"text of {message.agent or 'nobody'}")


def _expected(index: int, last: int, after_call: bool) -> Sequence[str]:
    if after_call:
        return ("tool response",)
    if index < 2:
        return ("task", "plan")[index : index + 1]
    return ("ranking",) if index == last else ("tool call", "reflection")


def _message_record(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "agent": message.agent, "round": message.round}
    if message.tool_call is None:
        record["content"] = message.content
    else:
        record["tool_call"] = {"name": message.tool_call.name, "arguments": message.tool_call.arguments}
    return record


def _message(record: Mapping[str, Any]) -> Message:
    call = record.get("tool_call")
    return Message(
        record["role"],
        record["agent"],
        record["round"],
        record.get("content", ""),
        ToolCall(call["name"], call["arguments"]) if call else None,
    )
