"""The embedded policy: each agent's rule, by hand where there are figures."""

import asyncio
import re

import numpy as np
import pytest

from starrec.signals import FactNumbers
from starrec.teacher import TOOLS_OF, Brief, EmbeddedPolicy, Finding, Plan, Request, Verdict
from starrec.teacher.agents import Answer
from starrec.tools import TOOLS, think_task

LABELS = ("‹A›", "‹B›", "‹C›", "‹D›", "‹E›")
SOLID = "20 of 40 people took ⟦1|x #9⟧."


def ask(coroutine):
    return asyncio.run(coroutine)


@pytest.fixture(scope="module")
def brief(task):
    def brief(history=(1, 2, 3, 4, 5, 6), run=0, explore=False, task_id="train/u1/6/0"):
        asked = task(0, history, [10, 11, 12, 13, 14], task_id)
        ties = np.array([4, 3, 2, 1, 0], dtype=np.uint64)
        return Brief(asked, "", LABELS, run, explore, ties)

    return brief


def finding(analyst, **cites):
    return Finding(
        analyst=analyst, order=list(LABELS), cites={f"‹{name}›": [cite] for name, cite in cites.items()}
    )


def answers(*texts):
    return [Answer("item_cf", {}, text) for text in texts]


PLAN = Plan(text="", trust={"interest_divergence": 6, "recent_interest": 5, "historical_interest": 2}, rounds=2)


class TestPlanner:
    def test_a_short_history_is_planned_differently_from_a_long_one(self, brief):
        short, medium, long = (ask(EmbeddedPolicy().plan(brief(range(n)))) for n in (5, 6, 21))
        # Few items have no past to weigh against the present.
        assert "historical_interest" not in short.trust and next(iter(long.trust)) == "historical_interest"
        assert medium.trust == long.trust
        assert [plan.text for plan in (short, medium, long)] == [
            "Short history.", "Medium history.", "Long history."
        ]  # fmt: skip

    def test_exploring_plans_differ_between_runs_and_repeat_within_one(self, brief):
        plans = [ask(EmbeddedPolicy().plan(brief(run=run, explore=True))) for run in range(30)]
        again = [ask(EmbeddedPolicy().plan(brief(run=run, explore=True))) for run in range(30)]
        assert plans == again
        assert len({tuple(plan.trust.items()) for plan in plans}) > 20
        assert {plan.rounds for plan in plans} == {1, 2}
        assert any(len(plan.trust) < 4 for plan in plans)
        for plan in plans:
            assert plan.trust and all(1 <= trust <= 9 for trust in plan.trust.values())
            assert list(plan.trust.values()) == sorted(plan.trust.values(), reverse=True)

    def test_another_task_or_seed_explores_otherwise(self, brief):
        def trusts(seed, task_id):
            briefs = [brief(run=run, explore=True, task_id=task_id) for run in range(8)]
            return [ask(EmbeddedPolicy(seed).plan(each)).trust for each in briefs]

        assert trusts(0, "a") != trusts(1, "a") and trusts(0, "a") != trusts(0, "b")

    def test_a_greedy_plan_does_not_depend_on_the_run(self, brief):
        assert ask(EmbeddedPolicy().plan(brief(run=0))) == ask(EmbeddedPolicy(9).plan(brief(run=7)))


class TestAnalysts:
    def study(self, brief, answers, analyst="recent_interest", requests=()):
        calls = []

        def call(tool, arguments):
            calls.append((tool, dict(arguments)))
            return Answer(tool, arguments, answers[tool])

        return ask(EmbeddedPolicy().study(analyst, brief, PLAN, list(requests), call)), calls

    ANSWERS = {  # noqa: RUF012
        "item_cf": f"item_cf.recent ‹B›‹A›‹D›. ‹B› #1 {SOLID} ‹A› #2 3 of 7 people took ⟦0|y⟧.",
        "user_cf": "user_cf.recent ‹A›‹B›=‹E›. ‹B› #3 1 of 2 people took ⟦1|x⟧.",
    }

    def test_they_fuse_their_tools_by_reciprocal_rank(self, brief):
        requests = [
            Request(analyst="recent_interest", tool=tool, candidates=[]) for tool in ("item_cf", "user_cf")
        ]
        found, calls = self.study(brief(), self.ANSWERS, requests=requests)
        assert [tool for tool, _ in calls] == ["item_cf", "user_cf"]
        # Trust 5; share / (2 + rank), Item-CF with 1, User-CF with .5, B and E share ranks 2 and 3:
        # A 1/4 + .5/3 = .417, B 1/3 + .5/4.5 = .444, D 1/5 = .2, E .5/4.5 = .111; C is in no order.
        assert found.order == ["‹B›", "‹A›", "‹D›", "‹E›"]
        # The first fact that an answer has of a candidate.
        assert found.cites == {"‹B›": ["#1"], "‹A›": ["#2"]}

    def test_equal_candidates_are_ordered_by_hash_and_not_by_place(self, brief):
        found, _ = self.study(brief(), {"transitions": "transitions ‹A›=‹C›=‹D›."}, "interest_divergence")
        assert found.order == ["‹D›", "‹C›", "‹A›"]

    def test_asked_again_a_tool_is_asked_about_what_was_sent_back(self, brief):
        request = Request(analyst="historical_interest", tool="item_cf", candidates=["‹A›", "‹D›"])
        texts = {"item_cf": "item_cf.whole ‹D›‹A›.", "ease": "ease ‹A›‹D›."}
        found, calls = self.study(brief(), texts, "historical_interest", [request])
        assert calls == [("item_cf", {"window": "whole", "candidates": ["‹A›", "‹D›"]})]
        assert found.order == ["‹D›", "‹A›"]
        # A tool without windows is asked without one.
        request = Request(analyst="historical_interest", tool="ease", candidates=["‹A›", "‹D›"])
        found, calls = self.study(brief(), texts, "historical_interest", [request])
        assert calls == [("ease", {"candidates": ["‹A›", "‹D›"]})]
        assert found.order == ["‹A›", "‹D›"]

    def test_they_can_be_asked_again_with_any_tool_of_theirs(self, brief, world, task):
        tools = world.toolbox(task(3, [1, 2, 13], [10, 11, 12, 13, 14]))

        def call(tool, arguments):
            return Answer(tool, arguments, tools.call(tool, arguments, FactNumbers()))

        for analyst, names in TOOLS_OF.items():
            for name in names:
                requests = [Request(analyst=analyst, tool=name, candidates=["‹B›"])]
                found = ask(EmbeddedPolicy().study(analyst, brief(), PLAN, requests, call))
                assert set(found.order) <= {"‹B›"}

    SILENT = dict.fromkeys(TOOLS, "Nothing is known.")

    @pytest.mark.parametrize(
        ("analyst", "long", "short"),
        [
            ("user_profile", ["profile"], ["profile", "item_facts", "content"]),
            ("historical_interest", ["ease"], ["ease"]),
            ("recent_interest", ["item_cf"], ["item_cf"]),
            ("interest_divergence", ["transitions"], ["transitions"]),
        ],
    )
    def test_each_first_asks_what_it_is_for(self, brief, analyst, long, short):
        for history, expected in ((range(6), long), (range(5), short)):
            found, calls = self.study(brief(history), self.SILENT, analyst)
            assert [tool for tool, _ in calls] == expected
            assert found.order == [] and set(expected) <= set(TOOLS_OF[analyst])

    def test_exploring_each_asks_something_of_its_own_and_now_and_then_all_of_it(self, brief):
        for analyst, tools in TOOLS_OF.items():
            asked = []
            for run in range(60):
                _, calls = self.study(brief(run=run, explore=True), self.SILENT, analyst)
                assert calls and len({str(call) for call in calls}) == len(calls)
                assert calls == self.study(brief(run=run, explore=True), self.SILENT, analyst)[1]
                asked.append(tuple(tool for tool, _ in calls))
            assert {tool for calls in asked for tool in calls} == set(tools)
            assert len(tools) == 1 or len(set(asked)) > 1

    def test_what_speaks_against_a_candidate_is_not_cited_for_it(self, brief):
        texts = {
            "transitions": f"transitions ‹A›‹B›. ‹A› #1 {SOLID}",
            "contrary": "contrary ‹B›. ‹B› #2 Only 4 of the 90 people who took ⟦1|x⟧ also took ⟦2|y⟧, where "
            "its popularity predicts 20.",
        }
        requests = [
            Request(analyst="interest_divergence", tool=tool, candidates=["‹A›", "‹B›"])
            for tool in ("contrary", "transitions")
        ]
        found, _ = self.study(brief(), texts, "interest_divergence", requests)
        assert found.cites == {"‹A›": ["#1"]} and found.order == ["‹A›", "‹B›"]


class TestReflector:
    def reflect(self, brief, texts, findings=(), final=False):
        return ask(EmbeddedPolicy().reflect(brief, PLAN, findings, answers(*texts), [], 0, final))

    AGREE = f"item_cf.recent ‹A›‹B›‹C›. ‹A› #1 {SOLID} ‹B› #2 3 of 7 people took ⟦0|y⟧.", "transitions ‹A›=‹D›."

    def test_agreement_is_accepted_and_the_leading_three_are_cited(self, brief):
        verdict = self.reflect(brief(), self.AGREE, [finding("recent_interest", A="#1", B="#2")])
        # Recent interest with trust 5, transitions with 6: A 5/3 + 6/3.5, D 6/3.5, B 5/4.
        assert verdict.requests == [] and verdict.lead == ["‹A›", "‹D›", "‹B›"] and verdict.trust == {}
        assert verdict.text == f"Ahead: ‹A› #1 {SOLID} ‹D› ‹B› #2"

    def test_the_fact_of_the_most_trusted_analyst_is_cited_and_its_latest(self, brief):
        found = [
            finding("interest_divergence", A="#7"),
            finding("interest_divergence", A="#8"),
            finding("recent_interest", A="#1"),
        ]
        assert self.reflect(brief(), self.AGREE, found).text == "Ahead: ‹A› #8 ‹D› ‹B›"

    DISAGREE = "item_cf.recent ‹A›‹B›.", "transitions ‹C›‹A›."

    def test_disagreement_goes_back_with_those_ahead_and_more_trust(self, brief):
        verdict = self.reflect(brief(), self.DISAGREE)
        # A 5/3 + 6/4 = 3.17, C 6/3 = 2, B 5/4.
        assert verdict.text == "They disagree: check ‹A›‹C›‹B›." and verdict.trust == {"user_profile": 4}
        asked = [(request.analyst, request.tool) for request in verdict.requests]
        assert asked == [("user_profile", "content"), ("historical_interest", "user_cf")]
        assert all(request.candidates == ["‹A›", "‹C›", "‹B›"] for request in verdict.requests)
        assert all(tool in TOOLS_OF[analyst] for analyst, tool in asked)

    def test_the_last_word_and_short_histories_send_nothing_back(self, brief):
        assert self.reflect(brief(), self.DISAGREE, final=True).requests == []
        assert self.reflect(brief(range(5)), self.DISAGREE).requests == []

    def test_what_speaks_against_candidates_is_no_order_to_disagree_with(self, brief):
        assert self.reflect(brief(), [*self.AGREE, "contrary ‹C›‹B›."]).requests == []

    def test_nothing_known_leads_nobody(self, brief):
        verdict = self.reflect(brief(), ["Nothing is known."], [finding("recent_interest")])
        assert verdict == Verdict(text="Nothing is known of any candidate.")

    def test_labels_that_do_not_exist_count_for_nothing(self, brief):
        verdict = self.reflect(brief(), ["item_cf.recent ‹Z›‹B›."], final=True)
        assert verdict.lead == ["‹B›"]


class TestRanker:
    def test_orders_are_fused_by_trust_and_levels_of_compare_added(self, brief):
        def call(tool, arguments):
            assert (tool, arguments) == ("compare", {})
            # B .05 · (3 · 15 + 1 · 15), E .05 · 2 · 9; no level, or one that does not count, adds nothing.
            return Answer(
                tool,
                arguments,
                "⟦10|x⟧‹trend=15›‹A›⟦11|x⟧‹ease=15›‹item_cf.recent=15›‹B›⟦14|x⟧‹transitions=9›‹ease=none›‹E›",
            )

        texts = answers("transitions ‹D›‹B›.", "item_cf.recent ‹B›‹C›.")
        decided = ask(EmbeddedPolicy().rank(brief(), PLAN, [], texts, Verdict(text=""), call))
        # D 6/3 = 2, B 6/4 + 5/3 + 3 = 6.17, C 5/4 = 1.25, E .9, A 0.
        assert decided.order == ["‹B›", "‹D›", "‹C›", "‹E›", "‹A›"]


def test_figures_in_a_reflection_are_the_tools_own(world, split, task):
    tools = world.toolbox(task(3, split.train.of(3), list(range(0, 40, 2))))
    text = tools.call("item_cf", {}, FactNumbers())
    brief = Brief(tools.task, think_task(tools), tools.labels, 0, False, tools.ties)
    call = answers(text)
    found = ask(EmbeddedPolicy().study("recent_interest", brief, PLAN, [], lambda tool, given: call[0]))
    reflection = ask(EmbeddedPolicy().reflect(brief, PLAN, [found], call, [], 0, True)).text
    first, *others = re.split(" (?=‹)", reflection.removeprefix("Ahead: "))
    # The leader's fact word for word, the others' by number, each as the tool said it of that candidate.
    assert first in text and re.search(r"#\d+ .*\d", first)
    assert len(others) == 2 and all(f"{other} " in text for other in others)
