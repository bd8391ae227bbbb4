"""What a call may be: all that the teacher asks, its beginnings, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starrec.signals import labels
from starrec.student.calls import CallForm
from starrec.tools import TOOLS
from starrec.trajectories import ToolCall, parse_call

LABELS = labels(6)
FORM = CallForm(LABELS)


@st.composite
def calls(draw):
    spec = TOOLS[draw(st.sampled_from(sorted(TOOLS)))]
    arguments = {}
    if spec.windows and draw(st.booleans()):
        arguments["window"] = draw(st.sampled_from(["recent", "whole"]))
    if spec.candidates and draw(st.booleans()):
        arguments["candidates"] = draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=5, unique=True))
    return ToolCall(spec.name, arguments)


@given(calls(), st.data())
def test_every_call_and_every_beginning_of_one_is_open_and_only_the_end_is_whole(call, data):
    text = call.json()
    cut = data.draw(st.integers(0, len(text) - 1))
    assert FORM.whole(text) and FORM.open(text) and parse_call(text) == call
    assert FORM.open(text[:cut]) and not FORM.whole(text[:cut])
    # A call ends where it ends.
    assert not FORM.open(text + data.draw(st.characters()))


@pytest.mark.parametrize(
    "text",
    [
        "{ ",
        '{"name":"item_d',
        '{"name":"profile","arguments":{"',
        '{"name":"item_cf","arguments":{"window":"f',
        '{"name":"item_cf","arguments":{"candidates":["‹G',
        '{"name":"item_cf","arguments":{"candidates":[]',
        '{"name":"item_cf","arguments":{"candidates":["‹A›"],',
        '{"name":"item_cf","arguments":{"candidates":["‹A›","‹A›',
        '{"name":"transitions","arguments":{"w',
    ],
)
def test_what_no_tool_could_answer_is_never_begun(text):
    assert FORM.open(text[:-1]) and not FORM.open(text)


def test_some_tools_only():
    form = CallForm(LABELS, ["compare"])
    assert form.whole(ToolCall("compare").json()) and not form.open('{"name":"p')


def test_all_that_the_teacher_asked_is_a_call(lessons):
    for run in lessons[2]:
        form = CallForm(run.labels)
        asked = [message.tool_call for message in run.messages if message.tool_call is not None]
        assert asked and all(form.whole(call.json()) for call in asked)
