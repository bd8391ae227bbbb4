"""Rollouts: what a student writes of a task when nothing constrains it, and what that is worth.

In training a student must be free to go wrong: decoding that lets no trace break teaches nothing about the
form. So a rollout is sampled from the student's own distribution over all tokens, at a temperature, until it
ranks or breaks (`trace.Broken`); its tools are asked for real. Many are written side by side (`reading`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from starrec.data import RankingTask
from starrec.signals import Cited, FactNumbers
from starrec.student.reading import Reading, read_together
from starrec.student.rewards import citation_reward, trajectory_reward
from starrec.student.rows import gather_tasks, hashed_order, trace_rows
from starrec.student.samples import Sample
from starrec.student.trace import Broken, Thought, Trace, likeliest
from starrec.trajectories import parse_call

if TYPE_CHECKING:
    from starrec.student.engine import Star

BROKEN: Final = -1.0
"""Reward of what is no trajectory."""


@dataclass(frozen=True, eq=False, slots=True)
class Rollout:
    """One attempt at a task."""

    sample: Sample
    """As training reads it; `learn` are the tokens that were sampled."""
    thought: Thought | None
    """None of what is no trajectory."""
    broken: str
    """What made it none."""
    cited: tuple[Cited, ...]
    """Citations of its plan and its reflections."""

    target: str
    """Label of the true next item; empty where it is not known."""

    def reward(self, citations: float) -> float:
        """Format, outcome and citations: in [-1, 2 + citations].

        Args:
            citations: weight of those that hold.
        """
        if self.thought is None:
            return BROKEN
        worth = trajectory_reward(self.thought.text, self.thought.labels, self.target)
        return worth if worth < 0 else worth + citations * citation_reward(self.cited)

    def asks(self, tool: str) -> bool:
        """Whether it called a tool."""
        steps = () if self.thought is None else self.thought.steps
        return any(step.tag == "tool_call" and parse_call(step.text).name == tool for step in steps)


def sample_rollouts(
    star: Star, tasks: Sequence[RankingTask], targets: Sequence[int], group: int, temperature: float, seed: int
) -> list[list[Rollout]]:
    """Attempts at each task.

    Args:
        targets: column of each task's true next item; -1 where it is not known.
        group: attempts at a task (G).
        temperature: of sampling; 0 for the likeliest token.
        seed: of sampling.
    """
    found: list[list[Rollout | None]] = [[None] * group for _ in tasks]
    with torch.inference_mode():
        gathered = gather_tasks(star.world, tasks)
        present = None if gathered.present.all() else torch.from_numpy(gathered.present)
        scores = star.model.candidate_scores(torch.from_numpy(gathered.numbers), present)
        fast = gathered.as_given(scores.numpy())

        def readings() -> Iterator[tuple[int, Reading[Rollout]]]:
            for at, task in enumerate(tasks):
                toolbox = star.world.toolbox(task)
                answer = star.fast_order(toolbox, fast[at])
                for attempt in range(group):
                    random = np.random.default_rng([seed, at, attempt])
                    trace = Trace(
                        star, toolbox, None, free=True, pick=_sampling(temperature, random), fast=answer
                    )
                    yield at * group + attempt, _attempt(trace, targets[at])

        for number, rollout in read_together(star.model, readings(), len(tasks) * group):
            found[number // group][number % group] = rollout
    return [[rollout for rollout in of_task if rollout is not None] for of_task in found]


def _attempt(trace: Trace, target: int) -> Reading[Rollout]:
    thought, broken = None, ""
    try:
        thought = yield from trace.run()
    except Broken as error:
        broken = str(error)
    order = hashed_order(trace.toolbox.task.candidates)
    labels = [trace.toolbox.labels[at] for at in order.tolist()]
    end = len(trace.ids)
    ids = trace.ids if end not in trace.picked else [*trace.ids, trace.picked[end]]
    learn = np.zeros(len(ids), dtype=np.bool_)
    learn[list(trace.picked)] = True
    place_of = {column: row for row, column in enumerate(order.tolist())}
    ranking = np.arange(len(order))
    if thought is not None:
        column = {item: at for at, item in enumerate(trace.toolbox.task.candidates.tolist())}
        ranking = np.array([place_of[column[item]] for item in thought.ranking.items])
    sample = Sample(
        np.array(ids),
        learn,
        trace_rows(trace.answers, labels),
        np.array(trace.star.tokenizer.convert_tokens_to_ids(labels)),
        ranking,
        place_of.get(target, -1),
    )
    cited = _cited(trace) if thought is not None else ()
    return Rollout(sample, thought, broken, cited, trace.toolbox.labels[target] if target >= 0 else "")


def _cited(trace: Trace) -> tuple[Cited, ...]:
    """What the plan and the reflections of a trace cite, held against what its tools stated by then."""
    subjects = dict(zip(trace.toolbox.labels, trace.toolbox.task.candidates.tolist(), strict=True))
    facts = FactNumbers()
    found = []
    for step in trace.steps:
        for _, fact in step.facts:
            facts.number(fact)
        if step.tag in ("plan", "reflection"):
            found.append(trace.star.world.cited(step.text, facts, subjects))
    return tuple(found)


def _sampling(temperature: float, random: np.random.Generator) -> Callable[[NDArray[np.float32]], int]:
    """Tokens drawn from the softmax of logits over the temperature, by the Gumbel trick."""
    if temperature == 0:
        return likeliest

    def pick(logits: NDArray[np.float32]) -> int:
        return int((logits / temperature + random.gumbel(size=len(logits))).argmax())

    return pick
