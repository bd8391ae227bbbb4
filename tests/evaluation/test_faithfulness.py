"""What a trace claims is counted against a graph of seven people, by hand."""

import asyncio

import pytest
from starrec.signals.checker import Checker
from starrec.signals.claims import Catalogue

from starrec.data import mention
from starrec.evaluation import TraceClaims, check_trace, faithfulness
from starrec.ranking import Ranking
from starrec.signals import Graph, Semantics, TaskView
from starrec.student import Step, Thought
from starrec.teacher import EmbeddedPolicy, run

FARGO, PULP, HEAT = MENTIONS = [
    mention("1", "Fargo (1996)"),
    mention("2", "Pulp Fiction (1994)"),
    mention("3", "Heat, 7 of 9 people took it (1995)"),
]
# Seven others, then the task's own user. Of the 5 who took Fargo 3 took Pulp Fiction, as 4 of all 7 did:
# lift 3 / 5 · 7 / 4 = 1.05. With the user it would be 4 of 6, and 5 of 8: lift 1.07.
ROWS = [[0, 1], [0, 1], [0, 1, 2], [0, 2], [0], [1], [2], [0, 1]]
TOLD = f"3 of the 5 people who took {FARGO} also took {PULP}, 1.0 times what its popularity predicts."
POPULAR = f"3 of 7 people took {HEAT}."


@pytest.fixture
def checker():
    return Checker(Catalogue(MENTIONS))


@pytest.fixture
def view(sequences, task):
    graph = Graph.build(sequences(ROWS), 3)
    return TaskView.of(graph, Semantics([[], [], []]), task(7, [0], [1, 2]))


def trace(*reflections, plan="Long history. Trust recent_interest.", ranking="‹B›‹A›"):
    steps = [
        Step("plan", plan, True),
        Step("tool_call", '{"name":"item_cf","arguments":{"candidates":["A"]}}', True),
        # What tools answer is no claim of the model's, true or not.
        Step("tool_response", f"‹A› {TOLD} ‹B› 6 of 7 people took {HEAT}.", False),
        *(Step("reflection", text, True) for text in reflections),
        Step("recommend", ranking, True),
    ]
    return Thought(
        ranking=Ranking((2, 1)),
        task=f"History: {FARGO} Candidates: ‹A›{PULP}‹B›{HEAT}",
        labels=("‹A›", "‹B›"),
        steps=tuple(steps),
        repairs=(),
        tokens_written=0,
        tokens_read=0,
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # Two claims, a count and a lift.
        (TOLD, (2, 0, 0)),
        (f"‹A› {TOLD} ‹B› {POPULAR} Lead ‹A›‹B›.", (3, 0, 0)),
        (f"{POPULAR} {POPULAR}", (2, 0, 0)),
        # In words of its own, and of a candidate by its label.
        ("Most viewers of Fargo (1996) took ‹A›, and 3 people took ‹B›.", (2, 0, 0)),
        # Wrong figures, wrong items, the user's own edge.
        (TOLD.replace("3 of", "2 of"), (1, 1, 0)),
        (TOLD.replace("the 5", "the 6"), (1, 1, 0)),
        (TOLD.replace("1.0", "1.1"), (1, 1, 0)),
        (TOLD.replace(PULP, HEAT), (0, 2, 0)),
        (f"4 people took both {FARGO} and {PULP}.", (0, 1, 0)),
        (f"{TOLD} {POPULAR.replace('3 of', '4 of')}", (2, 1, 0)),
        # A claim that nobody can check.
        ("About 99 people love ‹A›.", (0, 0, 1)),
        (f"Many people took {HEAT}.", (0, 0, 1)),
        ("3 people took ⟦9|Alien (1979)⟧.", (0, 0, 1)),
        # No claim; nor are figures of titles.
        ("They disagree: check ‹A›‹B›.", (0, 0, 0)),
        (f"I prefer {HEAT} to {FARGO}.", (0, 0, 0)),
    ],
)
def test_claims_by_hand(view, checker, said, expected):
    for thought in (trace(said), trace(plan=said)):
        found = check_trace(thought, view, checker)
        assert (found.verified, found.contradicted, found.unverifiable) == expected


def test_the_plan_and_every_reflection_count_and_nothing_else(view, checker):
    assert check_trace(trace(), view, checker).total == 0
    found = check_trace(trace(TOLD, POPULAR, plan="‹B›: taken by 9 people."), view, checker)
    assert (found.verified, found.contradicted, found.unverifiable) == (3, 1, 0)


def test_whether_a_trace_parses(view, checker):
    assert check_trace(trace(TOLD), view, checker).parses
    assert not check_trace(trace("a < b"), view, checker).parses


def test_totals_by_hand():
    traces = [
        TraceClaims(3, 1, 0, True),
        TraceClaims(0, 0, 0, True),
        TraceClaims(5, 0, 2, True),
        TraceClaims(1, 0, 0, False),
    ]
    found = faithfulness(traces)
    assert found == {
        "traces": 4,
        "parsed": 3,
        "claims": 12,
        "verified": 9,
        "contradicted": 1,
        "unverifiable": 2,
        "traces_without_claims": 1,
        "median_claims": 2.5,  # of 0, 1, 4, 7
    }
    assert faithfulness([])["claims"] == faithfulness([])["median_claims"] == 0


def test_the_teachers_own_words_are_faithful(small, world, lessons):
    """The rules cite what tools answered; tools answer what is true."""
    tags = {"planner": "plan", "reflector": "reflection", "ranker": "recommend"}
    checker = Checker.of(small)
    total = 0
    for task in lessons[0][:10]:
        toolbox = world.toolbox(task)
        outcome = asyncio.run(run(EmbeddedPolicy(), toolbox))
        first, *messages = outcome.trajectory.messages
        steps = tuple(
            Step("tool_call", message.tool_call.json(), True)
            if message.tool_call
            else Step(
                "tool_response" if message.role == "tool" else tags[message.agent],
                message.content,
                message.role != "tool",
            )
            for message in messages
        )
        thought = Thought(outcome.ranking, first.content, outcome.trajectory.labels, steps, (), 0, 0)
        found = check_trace(thought, toolbox.view, checker)
        assert found.parses and found.verified == found.total
        total += found.total
    assert total >= 20
