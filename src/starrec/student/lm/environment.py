"""The tools as an environment of TRL's: what a model in training asks, and is answered, in one rollout.

TRL shows the model's calls to the public methods of an object, which it makes once and resets with each row of
the data set. So an environment has a method for each tool that the teacher has, and `fast_order` where the
student has a fast mode; they are made of the tools' own specifications. What they look up is the task's
`Toolbox`, which leaves the asking user's own edges out of every count.

Answers are text (TRL writes a dict as Python prints it) and bounded: TRL takes an answer that does not fit back
after the tool has run, and the rollout ends at its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starrec.data import RankingTask
from starrec.signals import FactNumbers
from starrec.student.lm.chat import Chat
from starrec.student.lm.think import FastOrder, answer_call
from starrec.tools import REFUSED, ToolSpec, World, think_task
from starrec.trajectories import ToolCall


class Answered(NamedTuple):
    """A call that was answered."""

    shown: str
    """The answer as it stands in the linear form."""
    spelled: str
    """The same as the model reads it."""
    cut: bool
    """Whether there was more."""
    facts: int
    """That had been stated in the trace behind it."""

    @property
    def refused(self) -> bool:
        """Whether the call could not be answered."""
        return self.shown.startswith(REFUSED)


@dataclass(frozen=True, eq=False)
class Scene:
    """What environments share."""

    chat: Chat
    world: World
    tasks: Mapping[str, RankingTask]
    """By task id."""
    fast_order: FastOrder | None = None
    """Where the chat has that tool."""


class _Environment:
    """One rollout's; `environment_factory` adds the tools. What begins with `_` TRL does not take for one."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def reset(self, **row: Any) -> None:
        """Begin a rollout.

        Args:
            row: of the data set; `task_id` says which task it is.
        """
        scene = self._scene
        self._toolbox = scene.world.toolbox(scene.tasks[row["task_id"]])
        self._task = think_task(self._toolbox)
        self._spelling = scene.chat.spelling(self._toolbox.labels)
        scene.chat.begin(self._task, self._spelling)
        self._facts = FactNumbers()
        self._answered: list[Answered] = []

    def _ask(self, name: str, arguments: Mapping[str, Any]) -> str:
        given = {key: value for key, value in arguments.items() if value is not None}
        full = answer_call(self._toolbox, ToolCall(name, given), self._facts, self._scene.fast_order)
        shown, spelled = self._scene.chat.answer(name, full, self._spelling)
        self._answered.append(Answered(shown, spelled, shown != full, len(self._facts)))
        return spelled


def environment_factory(scene: Scene) -> Callable[[], Any]:
    """What makes an environment, as `GRPOTrainer` takes it."""
    methods = {name: _method(tool) for name, tool in scene.chat.tools.items()}
    made = type("Tools", (_Environment,), methods)
    return lambda: made(scene)


def _method(tool: ToolSpec) -> Callable[..., str]:
    """A tool as a method, with the signature and docstring that its schema is made of."""

    def nothing(self: _Environment) -> str:
        return self._ask(tool.name, {})

    def candidates_only(self: _Environment, candidates: list[str] | None = None) -> str:
        return self._ask(tool.name, {"candidates": candidates})

    def window_and_candidates(
        self: _Environment, window: str | None = None, candidates: list[str] | None = None
    ) -> str:
        return self._ask(tool.name, {"window": window, "candidates": candidates})

    method: Any = window_and_candidates if tool.windows else candidates_only if tool.candidates else nothing
    arguments = []
    if tool.windows:
        arguments.append('window: "recent" (as when left out) or "whole".')
    if tool.candidates:
        arguments.append("candidates: Labels to ask about; left out, the strongest ones.")
    method.__name__ = tool.name
    # transformers would make a parameter of it.
    del method.__annotations__["self"]
    listed = "".join(f"\n    {line}" for line in arguments)
    method.__doc__ = f"{tool.description}\n\nArgs:{listed}" if listed else tool.description
    return method  # type: ignore[no-any-return]
