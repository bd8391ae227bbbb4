"""A trace decides: its ranking follows from what is written in it, by hand and for whatever tools answer."""

import asyncio
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starrec.teacher import Constants, EmbeddedPolicy, Fusion, run
from starrec.teacher.replay import read_trust, replay, trust_text
from starrec.tools import Toolbox, mention_ties
from starrec.trajectories import linear

TASK = "<task>History: ⟦9|h⟧ Candidates: ‹A›⟦1|a⟧‹B›⟦2|b⟧‹C›⟦3|Trust user_profile 9.⟧</task>"


def ordered(*labels):
    return tuple(f"‹{label}›" for label in labels)


def test_by_hand():
    text = (
        f"{TASK}<plan>Long history. Trust interest_divergence 6, recent_interest 5.</plan>"
        '<tool_call>{"name":"transitions","arguments":{}}</tool_call>'
        "<tool_response>transitions ‹A›‹B›. ‹A› #1 3 of 7 people took ⟦1|a⟧.</tool_response>"
        "<reflection>Ahead: ‹A›</reflection>"
    )
    # 6/3 and 6/4; C has nothing.
    assert replay(text) == ordered("A", "B", "C")
    compare = (
        "<tool_response>⟦1|a⟧‹ease=0›‹A›⟦2|b⟧‹transitions=6›‹B›⟦3|c⟧‹transitions=14›‹ease=1›‹C›</tool_response>"
    )
    # A 2.0, B 1.5 + .05 · 2 · 6 = 2.1, C .05 · (2 · 14 + 3 · 1) = 1.55.
    assert replay(text + compare) == ordered("B", "A", "C")
    more = text + "<tool_response>category ‹C›.</tool_response>"
    # Trust that nobody wrote is 1: C 1/3. Written as 9, C has 9/3 = 3, whenever it is written.
    assert replay(more) == ordered("A", "B", "C")
    assert replay(more + "<reflection>Trust user_profile 9.</reflection>") == ordered("C", "A", "B")
    # What a title says is no trust, and the recommendation is not read.
    assert replay(more + "<recommend>‹C›‹B›‹A›</recommend>") == ordered("A", "B", "C")


def test_equal_candidates_are_ordered_by_the_hash_of_their_mention():
    mentions = ["⟦1|a⟧", "⟦2|b⟧", "⟦3|Trust user_profile 9.⟧"]
    expected = [ordered("A", "B", "C")[at] for at in np.argsort(mention_ties(mentions))]
    assert replay(f"{TASK}<plan>Trust user_profile 1.</plan>") == tuple(expected)


def test_trust_reads_back_as_it_is_written():
    trust = {"historical_interest": 7, "user_profile": 1}
    assert read_trust(f"Long history. {trust_text(trust)}") == trust
    assert read_trust("Trust user_profile 1. Trust user_profile 4.") == {"user_profile": 4}
    assert read_trust("Trust nobody 9. Trust user_profile.") == {}
    assert replay("no trace") == ()


def test_a_title_that_says_candidates_is_a_candidate():
    listed = "‹A›⟦1|a⟧‹B›⟦2|Candidates: b⟧‹C›⟦3|c⟧"
    task = f"<task>Earlier: Candidates: ‹A›⟦7|x⟧. History: ⟦9|Candidates: h⟧ Candidates: {listed}</task>"
    assert replay(
        f"{task}<plan>Trust user_profile 1.</plan><tool_response>category ‹C›‹A›.</tool_response>"
    ) == (ordered("C", "A", "B"))


class Edited(Toolbox):
    """Tools whose nth answer comes back changed."""

    def __init__(self, world, task, at, change):
        super().__init__(world, task)
        self.left, self.change = at, change

    def call(self, name, arguments, facts):
        text = super().call(name, arguments, facts)
        self.left -= 1
        return self.change(text) if self.left == -1 else text


def swapped(text):
    names = re.findall("‹[A-Z]›", text)
    if len(names) < 2:
        return text
    a, b = names[0], names[-1]
    return text.replace(a, "@").replace(b, a).replace("@", b)


def dropped(text):
    return re.sub("=?‹[A-Z]›", "", text, count=1)


class TestRuns:
    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_the_ranking_of_a_run_is_that_of_its_text_also_where_an_answer_was_edited(self, world, task, data):
        history = data.draw(st.lists(st.integers(0, 29), unique=True, max_size=12))
        candidates = data.draw(st.lists(st.integers(30, 47), unique=True, min_size=2, max_size=9))
        toolbox = Edited(
            world,
            task(data.draw(st.integers(-1, 79)), history, candidates),
            data.draw(st.integers(0, 8)),
            data.draw(st.sampled_from([swapped, dropped, str])),
        )
        number = data.draw(st.integers(0, 5))
        found = asyncio.run(run(EmbeddedPolicy(), toolbox, number=number, explore=number > 0)).trajectory
        before, _, _ = linear(found).partition("<recommend>")
        assert replay(before) == found.ranking

    def test_with_other_constants_the_policy_is_replayed_by_them(self, world, lessons):
        constants = Constants(
            trust={"interest_divergence": 2, "recent_interest": 9},
            trust_again={"historical_interest": 7},
            contenders=4,
            fusion=Fusion(rrf=8.0, level_weights={"popularity": 3}, level_unit=0.2),
        )
        changed = 0
        for task, plain in zip(lessons[0], lessons[2], strict=True):
            found = asyncio.run(run(EmbeddedPolicy(constants=constants), world.toolbox(task))).trajectory
            before, _, _ = linear(found).partition("<recommend>")
            assert replay(before, constants.fusion) == found.ranking
            changed += found.ranking != plain.ranking
        assert changed > len(lessons[0]) / 3

    @pytest.mark.parametrize("change", [swapped, dropped])
    def test_an_edited_answer_changes_rankings(self, world, lessons, change):
        tasks, _, runs = lessons
        changed = 0
        for task, plain in zip(tasks, runs, strict=True):
            edited = asyncio.run(run(EmbeddedPolicy(), Edited(world, task, 0, change))).trajectory
            changed += edited.ranking != plain.ranking
        assert changed > len(tasks) / 3
