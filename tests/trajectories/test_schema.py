"""What a trajectory is, what it refuses to be, and what stays outside its equality."""

import json
from dataclasses import asdict, replace

import pytest

from starrec.signals import labels
from starrec.trajectories import (
    AGENTS,
    LABEL,
    Message,
    ToolCall,
    Trajectory,
    TrajectoryError,
)


def test_every_name_of_a_candidate_is_a_label():
    assert all(map(LABEL.fullmatch, labels(26 * 27 + 1)))


def test_there_are_seven_agents():
    assert len(AGENTS) == 7 and "" not in AGENTS


def test_canonical_holds_what_was_said_in_order(make):
    said = make(place=2).canonical()
    assert said.plan == "Recent taste first."
    assert said.calls == (ToolCall("item_cf", {"window": "recent"}),)
    assert said.responses == ("61% of 214 people also watched ⟦2|Pulp Fiction (1994)⟧.",)
    assert said.reflections == ("The evidence agrees.",)
    assert said.ranking == ("‹B›", "‹A›", "‹C›", "‹D›")


def test_cost_is_outside_equality_and_hash_and_outcome_is_not(make):
    assert make(seconds=1.0) == make(seconds=2.0)
    assert hash(make(seconds=1.0)) == hash(make(seconds=2.0))
    assert make(outcome=1) != make(outcome=None)
    assert make(says="a") != make(says="b")


def test_a_record_reads_back_equal(make):
    trajectory = make(outcome=1)
    record = json.loads(json.dumps(trajectory.to_record()))
    again = Trajectory.from_record(record, asdict(trajectory.cost))
    assert again == trajectory and again.cost == trajectory.cost
    assert "cost" not in record and "seconds" not in json.dumps(record)


PLAN = Message("assistant", "planner", 0, "p")
CALL = Message("assistant", "recent_interest", 0, tool_call=ToolCall("item_cf"))
ANSWER = Message("tool", "recent_interest", 0, "r")
REFLECTION = Message("assistant", "reflector", 0, "ok")
RANKER = Message("assistant", "ranker", 0, "‹A›‹B›")
TASK = Message("user", "", 0, "t")


def trajectory(*messages, labels=("‹A›", "‹B›"), ranking=("‹A›", "‹B›")):
    return Trajectory("x", 3, "t", messages, labels, ranking)


def test_the_shortest_and_a_longer_trajectory_are_accepted():
    trajectory(TASK, PLAN, RANKER).check()
    trajectory(TASK, PLAN, REFLECTION, CALL, ANSWER, CALL, ANSWER, REFLECTION, RANKER).check()


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ((), "at least"),
        ((TASK, RANKER), "at least"),
        ((PLAN, TASK, RANKER), "message 0: a plan where task"),
        ((TASK, REFLECTION, RANKER), "message 1: a reflection where plan"),
        ((TASK, PLAN, PLAN, RANKER), "message 2: a plan where tool call or reflection"),
        ((TASK, PLAN, CALL, RANKER), "message 3: a ranking where tool response"),
        ((TASK, PLAN, CALL, CALL, ANSWER, RANKER), "message 3: a tool call where tool response"),
        ((TASK, PLAN, ANSWER, RANKER), "message 2: a tool response where"),
        ((TASK, PLAN, RANKER, REFLECTION), "message 2: a ranking where"),
        ((TASK, PLAN, CALL, ANSWER), "message 3: a tool response where|ranking"),
        ((TASK, PLAN, REFLECTION), "message 2: a reflection where ranking"),
        ((TASK, PLAN, Message("assistant", "user_profile", 0, "hm"), RANKER), "text of user_profile"),
        ((TASK, PLAN, replace(CALL, content="hm"), ANSWER, RANKER), "carries no other text"),
        ((TASK, replace(PLAN, content="a < b"), RANKER), "message 1 .*raw '<' at character 2"),
        ((TASK, PLAN, CALL, replace(ANSWER, content="</tool_response>"), RANKER), "message 3 .*raw '<'"),
        ((replace(TASK, content="x > y"), PLAN, RANKER), "message 0 .*raw '>'"),
        ((TASK, replace(PLAN, content="\ud800"), RANKER), "message 1 .*raw"),
        (
            (
                TASK,
                PLAN,
                replace(RANKER, content="‹B›‹A›"),
            ),
            "does not say the ranking",
        ),
    ],
)
def test_a_trajectory_without_linear_form_is_refused(messages, said):
    with pytest.raises(TrajectoryError, match=said):
        trajectory(*messages).canonical()


@pytest.mark.parametrize(
    ("labels", "ranking"),
    [
        (("‹A›", "‹B›"), ("‹A›",)),
        (("‹A›", "‹B›"), ("‹A›", "‹A›")),
        (("‹A›", "‹B›"), ("‹A›", "‹C›")),
        (("‹A›", "‹A›"), ("‹A›", "‹A›")),
        (("A", "B"), ("A", "B")),
    ],
)
def test_a_ranking_that_is_no_permutation_of_labels_is_refused(labels, ranking):
    ranker = replace(RANKER, content="".join(ranking))
    with pytest.raises(TrajectoryError, match="ranking"):
        trajectory(TASK, PLAN, ranker, labels=labels, ranking=ranking).check()


@pytest.mark.parametrize(
    "call",
    [
        ToolCall(""),
        ToolCall("item cf"),
        ToolCall('x","arguments":{}}'),
        ToolCall("f", {"x": float("nan")}),
        ToolCall("f", {"x": {"nested": 1}}),
        ToolCall("f", {"x": [1, 2]}),
        ToolCall("f", {"x": ("a", "b")}),
        ToolCall("f", {1: "x"}),
        ToolCall("f", {"x": "\ud800"}),
    ],
)
def test_a_call_that_json_would_not_give_back_is_refused(call):
    with pytest.raises(TrajectoryError):
        trajectory(TASK, PLAN, replace(CALL, tool_call=call), ANSWER, RANKER).check()


def test_a_call_is_compact_json_without_angle_brackets():
    call = ToolCall("items", {"title": '</tool_call>é"', "k": 5, "ids": ["<a>"], "all": None})
    assert call.json() == (
        '{"name":"items","arguments":{"title":"\\u003c/tool_call\\u003eé\\"","k":5,"ids":["\\u003ca\\u003e"],'
        '"all":null}}'
    )
    assert json.loads(call.json())["arguments"] == call.arguments
