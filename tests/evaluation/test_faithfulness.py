"""Figures in a trace are counted against the trace's own tool responses, by hand."""

import asyncio

import pytest

from starrec.evaluation import TraceClaims, check_trace, faithfulness
from starrec.ranking import Ranking
from starrec.student import Step, Thought
from starrec.teacher import EmbeddedPolicy, run

FARGO, PULP, HEAT = "⟦1|Fargo (1996)⟧", "⟦2|Pulp Fiction (1994)⟧", "⟦3|Heat, 7 of 9 people took it (1995)⟧"
TOLD = f"30% of the 214 people who took {FARGO} also took {PULP}, 2.3 times what its popularity predicts."
POPULAR = f"90 of 800 people took {HEAT}."
ALIKE = "20 of the 50 people with the most similar recent history"
NEIGHBOURS = f"{ALIKE} took {PULP}, 1.5 times what its popularity predicts."


def trace(*reflections, plan="Long history. Trust recent_interest.", answers=(TOLD, POPULAR, NEIGHBOURS)):
    steps = [Step("plan", plan, True)]
    for answer in answers:
        steps.append(Step("tool_call", '{"name":"item_cf","arguments":{"candidates":["A"]}}', True))
        steps.append(Step("tool_response", f"‹A› {answer}", False))
    steps += [Step("reflection", text, True) for text in reflections]
    steps.append(Step("recommend", "‹B›‹A›", True))
    return Thought(
        ranking=Ranking((2, 1)),
        task=f"History: {FARGO} Candidates: ‹A›{PULP}‹B›{HEAT}",
        labels=("‹A›", "‹B›"),
        steps=tuple(steps),
        repairs=(),
        tokens_written=0,
        tokens_read=0,
    )


def counts(*reflections, **how):
    found = check_trace(trace(*reflections, **how))
    return found.verified, found.contradicted, found.unverifiable


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (TOLD, (1, 0, 0)),
        (f"‹A› {TOLD} ‹B› {POPULAR} Lead ‹A›‹B›.", (2, 0, 0)),
        (f"{NEIGHBOURS} {NEIGHBOURS}", (2, 0, 0)),
        # Another figure of a fact that was told: each of its three counts.
        (TOLD.replace("30%", "31%"), (0, 1, 0)),
        (TOLD.replace("214", "215"), (0, 1, 0)),
        (TOLD.replace("2.3", "3.2"), (0, 1, 0)),
        (TOLD.replace("30%", "30"), (0, 1, 0)),
        (f"{TOLD} {POPULAR.replace('90', '91')}", (1, 1, 0)),
        # Facts of which no tool spoke: the other direction, another item, another window.
        (TOLD.replace(FARGO, "*").replace(PULP, FARGO).replace("*", PULP), (0, 0, 1)),
        (POPULAR.replace(HEAT, FARGO), (0, 0, 1)),
        (NEIGHBOURS.replace("recent", "whole"), (0, 0, 1)),
        # Prose with a figure is a claim, and none that can be verified.
        ("About 99 people love ‹A›.", (0, 0, 1)),
        (f"Not true: {TOLD}", (0, 0, 1)),
        # No figure, no claim; nor are figures of titles.
        ("They disagree: check ‹A›‹B›.", (0, 0, 0)),
        (f"I prefer {HEAT} to {FARGO}.", (0, 0, 0)),
    ],
)
def test_claims_by_hand(said, expected):
    assert counts(said) == expected


def test_the_plan_and_every_reflection_count_and_nothing_else():
    assert counts() == (0, 0, 0)
    assert counts(TOLD, POPULAR.replace("800", "801"), plan=f"{NEIGHBOURS} 3 of 4 agree.") == (2, 1, 1)
    assert counts(TOLD, answers=()) == (0, 0, 1)
    # The same fact told twice with other figures: both were answered.
    assert counts(TOLD, TOLD.replace("214", "9"), answers=(TOLD, TOLD.replace("214", "9"))) == (2, 0, 0)


def test_whether_a_trace_parses():
    assert check_trace(trace(TOLD)).parses
    assert not check_trace(trace("a < b")).parses


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


def test_the_teachers_own_words_are_faithful(world, lessons):
    """The rules cite what tools answered; with one tool's figures exchanged they would not be."""
    tags = {"planner": "plan", "reflector": "reflection", "ranker": "recommend"}
    total = 0
    for task in lessons[0][:10]:
        outcome = asyncio.run(run(EmbeddedPolicy(), world.toolbox(task)))
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
        found = check_trace(thought)
        assert found.parses and found.verified == found.total
        total += found.total
    assert total >= 20
