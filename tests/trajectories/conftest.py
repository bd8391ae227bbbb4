import pytest

from starrec.signals import labels
from starrec.trajectories import Cost, Message, Spent, ToolCall, Trajectory


def _make(task_id="test/7/0", run=0, place=1, n=4, outcome=None, says="Recent taste first.", seconds=0.5):
    """A small run whose ranking has the first candidate, `‹A›`, at the given 1-based place."""
    names = labels(n)
    ranking = (*names[1:place], names[0], *names[place:])
    return Trajectory(
        task_id=task_id,
        run=run,
        teacher="embedded policy, no learned weights",
        messages=(
            Message("user", "", 0, "Rank ⟦1|Fargo (1996)⟧ and three more."),
            Message("assistant", "planner", 0, says),
            Message("assistant", "recent_interest", 0, tool_call=ToolCall("item_cf", {"window": "recent"})),
            Message("tool", "recent_interest", 0, "61% of 214 people also watched ⟦2|Pulp Fiction (1994)⟧."),
            Message("assistant", "reflector", 0, "The evidence agrees."),
            Message("assistant", "ranker", 0, "".join(ranking)),
        ),
        labels=names,
        ranking=ranking,
        outcome=outcome,
        cost=Cost({"planner": Spent(seconds=seconds)}),
    )


@pytest.fixture(scope="session")
def make():
    return _make
