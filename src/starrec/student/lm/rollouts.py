"""What became of a rollout of TRL's, and what it is worth.

A rollout is read from its token ids, not from the messages that TRL made of them, in which a call stands apart
from the text around it: the ids between the answers that TRL inserted are the model's turns, and turns and
answers together are a trajectory in linear form.

What TRL does not show is counted here: rollouts that end at a call (its answer did not fit, or calls were used
up), calls whose JSON was broken and so became text, traces that were cut off, and the tokens of answers, which
the logged lengths leave out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starrec.data import escape
from starrec.signals import FactNumbers
from starrec.student.lm.chat import Chat
from starrec.student.lm.environment import Answered, Scene
from starrec.student.rewards import citation_reward, trajectory_reward
from starrec.trajectories import Element, LinearFormError, parse


@dataclass(slots=True)
class RolloutCounts:
    """Totals over rollouts."""

    rollouts: int = 0
    valid: int = 0
    """That are a trajectory with a permutation as its ranking."""
    first: int = 0
    """That put the target first."""
    ended_at_call: int = 0
    broken_calls: int = 0
    """With a call that is no JSON of a call."""
    truncated: int = 0
    """Whose last turn was cut off."""
    calls: int = 0
    refused: int = 0
    """Calls that could not be answered."""
    cut: int = 0
    """Answers of which not all was shown."""
    written_tokens: int = 0
    tool_tokens: int = 0
    """Of answers and what stands around them; not in the lengths that TRL logs."""
    citations: int = 0
    holding: int = 0
    """Citations that hold."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout, read."""

    text: str
    """The linear form, task included."""
    written: tuple[tuple[str, int], ...]
    """The model's turns in linear form, each with the answers that stand before it."""
    answers: tuple[Answered | None, ...]
    """None for what TRL answered itself."""
    truncated: bool
    ended_at_call: bool
    broken_call: bool
    tool_tokens: int


def read_rollout(
    chat: Chat, environment: Any, ids: Sequence[int], messages: Sequence[Mapping[str, Any]]
) -> Rollout:
    """A rollout from its token ids.

    Args:
        environment: in which it was made.
        ids: of the completion, answers of tools included.
        messages: that TRL made of it.
    """
    turns: list[list[int]] = []
    texts: list[list[str]] = []
    at = tool_tokens = 0
    for answers in _answers(messages):
        between = chat.between(answers)
        start = _find(ids, between, at)
        turns.append(list(ids[at:start]))
        texts.append(answers)
        tool_tokens += len(between)
        at = start + len(between)
    turns.append(list(ids[at:]))
    truncated = not turns[-1] or turns[-1][-1] != chat.end
    made: list[Answered] = list(environment._answered)
    linear = Element("task", environment._task).linear
    written: list[tuple[str, int]] = []
    found: list[Answered | None] = []
    for turn, answers in zip(turns, [*texts, []], strict=True):
        text = str(chat.tokenizer.decode(turn[:-1] if turn[-1:] == [chat.end] else turn))
        written.append((chat.read_turn(text, environment._spelling), len(found)))
        linear += written[-1][0]
        for answer in answers:
            own = made.pop(0) if made and made[0].spelled == answer else None
            found.append(own)
            linear += Element("tool_response", own.shown if own else escape(answer)).linear
    called = bool(messages) and bool(messages[-1].get("tool_calls"))
    return Rollout(
        linear,
        tuple(written),
        tuple(found),
        truncated=truncated,
        ended_at_call=called,
        broken_call=not called and "<tool_call>" in written[-1][0] and not truncated,
        tool_tokens=tool_tokens,
    )


class Rewards:
    """The rewards of rollouts, as `GRPOTrainer` asks for them; it counts what it sees."""

    def __init__(self, scene: Scene, targets: Mapping[str, str]) -> None:
        """
        Args:
            targets: label of the true next item, by task id.
        """
        self.counts = RolloutCounts()
        self._scene, self._targets = scene, targets
        self._last: list[Rollout] = []

    def trajectory(
        self,
        completions: list[list[dict[str, Any]]],
        completion_ids: list[list[int]],
        environments: list[Any],
        task_id: list[str],
        **rest: Any,
    ) -> list[float]:
        """Format and tiered outcome (`rewards.trajectory_reward`), in [-1, 2]."""
        chat = self._scene.chat
        self._last = [
            read_rollout(chat, environment, ids, messages)
            for environment, ids, messages in zip(environments, completion_ids, completions, strict=True)
        ]
        rewards = []
        for rollout, ids, environment, task in zip(
            self._last, completion_ids, environments, task_id, strict=True
        ):
            reward = trajectory_reward(rollout.text, environment._toolbox.labels, self._targets[task])
            self._count(rollout, len(ids), reward)
            rewards.append(reward)
        return rewards

    def citations(self, environments: list[Any], **rest: Any) -> list[float]:
        """Share of the citations and uncited figures of plans and reflections that are citations that hold, in
        [0, 1]; 0 where nothing is cited or the trace has no form. Asked for after `trajectory`."""
        return [
            self._cited(rollout, environment)
            for rollout, environment in zip(self._last, environments, strict=True)
        ]

    def _cited(self, rollout: Rollout, environment: Any) -> float:
        labels = environment._toolbox.labels
        try:
            parse(rollout.text, labels)
        except LinearFormError:
            return 0.0
        subjects = dict(zip(labels, environment._toolbox.task.candidates.tolist(), strict=True))
        found = [
            self._scene.world.cited(text, stated, subjects)
            for text, stated in _with_facts(rollout, environment._facts)
        ]
        verdicts = [citation.verdict for cited in found for citation in cited.citations]
        self.counts.citations += len(verdicts)
        self.counts.holding += verdicts.count("holds")
        return citation_reward(found)

    def _count(self, rollout: Rollout, tokens: int, reward: float) -> None:
        counts = self.counts
        counts.rollouts += 1
        counts.valid += reward >= 1
        counts.first += reward == 2
        counts.ended_at_call += rollout.ended_at_call
        counts.broken_calls += rollout.broken_call
        counts.truncated += rollout.truncated
        counts.calls += len(rollout.answers)
        counts.refused += sum(answer is None or answer.refused for answer in rollout.answers)
        counts.cut += sum(answer is not None and answer.cut for answer in rollout.answers)
        counts.tool_tokens += rollout.tool_tokens
        counts.written_tokens += tokens - rollout.tool_tokens


def _answers(messages: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """The answers between two turns, for each two."""
    together: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            together.append(str(message["content"]))
        elif together:
            yield together
            together = []
    if together:
        yield together


def _find(ids: Sequence[int], part: Sequence[int], start: int) -> int:
    for at in range(start, len(ids) - len(part) + 1):
        if list(ids[at : at + len(part)]) == list(part):
            return at
    raise AssertionError("an answer that TRL inserted stands in the rollout as `Chat.between` writes it")


def _with_facts(rollout: Rollout, facts: FactNumbers) -> Iterator[tuple[str, FactNumbers]]:
    """Each turn's text, with the facts that had been stated before it."""
    every, stated = list(facts), FactNumbers()
    for text, before in rollout.written:
        known = [answer.facts for answer in rollout.answers[:before] if answer is not None]
        for fact in every[len(stated) : known[-1] if known else 0]:
            stated.number(fact)
        yield text, stated
