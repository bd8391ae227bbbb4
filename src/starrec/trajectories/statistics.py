"""What many runs of a teacher tell together: how often they succeed, how long they think, what they cost.

A revision shows in a trajectory as a second reflection: the Reflector sent work back once. Whether it changed
the first place cannot be told from the text, because what the ranking would have been is not in it; what can be
told is how runs with one reflection and with more of them ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from starrec.trajectories.outcome import pass_at
from starrec.trajectories.schema import Cost, Spent, Trajectory
from starrec.trajectories.store import REASONS, Failure

Statistics: TypeAlias = dict[str, Any]
"""As JSON can hold it; see `statistics`."""


def statistics(runs: Iterable[Trajectory], failures: Iterable[Failure] = ()) -> Statistics:
    """Of judged runs, read once, and of failed ones.

    Returns:
        `tasks`, `runs`, `pass@1` and `pass@K` (of the runs that ended, K the most runs that a task has),
        `reflections` ({how many: {"runs", "share", "pass@1"}}), `tool_calls` ({"mean", "by_tool"}),
        `failures` ({reason: runs}), `repairs` ({"runs": with any, "by_kind": {kind: how often}}, of runs that
        ended) and `cost` ({"runs", "agents": {agent: `Spent`}}, of failures too).

    Raises:
        ValueError: a run was not judged.
    """
    light: list[Trajectory] = []
    reflections: dict[int, list[Trajectory]] = {}
    calls: Counter[str] = Counter()
    spent: dict[str, Spent] = {}
    repairs: Counter[str] = Counter()
    repaired = 0
    for run in runs:
        # What is kept of each is small: a store holds tens of thousands.
        kept = replace(run, messages=(), labels=(), ranking=(), cost=Cost())
        light.append(kept)
        count = sum(m.role == "assistant" and m.agent == "reflector" for m in run.messages)
        reflections.setdefault(count, []).append(kept)
        calls.update(m.tool_call.name for m in run.messages if m.tool_call is not None)
        _add(spent, run.cost)
        repairs.update(run.cost.repairs)
        repaired += bool(run.cost.repairs)
    reasons: Counter[str] = Counter()
    for failure in failures:
        reasons[failure.reason] += 1
        _add(spent, failure.cost)
    by_task = Counter(run.task_id for run in light)
    most = max(by_task.values(), default=1)
    return {
        "tasks": len(by_task),
        "runs": len(light),
        "pass@1": pass_at(light, 1),
        f"pass@{most}": pass_at(light, most),
        "reflections": {
            str(count): {
                "runs": len(found),
                "share": len(found) / len(light),
                "pass@1": sum(run.outcome == 1 for run in found) / len(found),
            }
            for count, found in sorted(reflections.items())
        },
        "tool_calls": {
            "mean": calls.total() / len(light) if light else 0.0,
            "by_tool": dict(calls.most_common()),
        },
        "failures": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "repairs": {"runs": repaired, "by_kind": dict(repairs.most_common())},
        "cost": {
            "runs": len(light) + reasons.total(),
            "agents": {agent: asdict(of_agent) for agent, of_agent in spent.items()},
        },
    }


def _add(spent: dict[str, Spent], cost: Cost) -> None:
    for agent, of_agent in cost.agents.items():
        spent[agent] = spent.get(agent, Spent()) + of_agent
