"""The embedded policy: each agent's rule, by hand where there are figures."""

import asyncio
import re

import numpy as np
import pytest

from starrec.teacher import TOOLS_OF, Brief, EmbeddedPolicy, Finding, Plan, Request, Verdict
from starrec.teacher.agents import Answer
from starrec.tools import TOOLS, ToolResponse, think_task

LABELS = ("‹A›", "‹B›", "‹C›", "‹D›", "‹E›")
# 20 of 40 people took it: a leader with support.
SOLID = "20 of 40 people took ⟦1|x⟧."


def ask(coroutine):
    return asyncio.run(coroutine)


@pytest.fixture(scope="module")
def brief(task):
    def brief(history=(1, 2, 3, 4, 5, 6), run=0, explore=False, task_id="train/u1/6/0"):
        asked = task(0, history, [10, 11, 12, 13, 14], task_id)
        ties = np.array([4, 3, 2, 1, 0], dtype=np.uint64)
        return Brief(asked, "", LABELS, run, explore, ties)

    return brief


def finding(analyst, order, **cites):
    return Finding(
        analyst=analyst, order=list(order), cites={f"‹{name}›": cite for name, cite in cites.items()}
    )


PLAN = Plan(text="", trust={"interest_divergence": 6, "recent_interest": 5, "historical_interest": 2}, rounds=2)


class TestPlanner:
    def test_a_short_history_is_planned_differently_from_a_long_one(self, brief):
        short = ask(EmbeddedPolicy().plan(brief([1, 2])))
        long = ask(EmbeddedPolicy().plan(brief(range(40))))
        # Two items have no past to weigh against the present.
        assert "historical_interest" not in short.trust and "historical_interest" in long.trust
        assert next(iter(short.trust)) == "recent_interest" and next(iter(long.trust)) == "historical_interest"
        assert "short" in short.text.lower() and "long" in long.text.lower()

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
            assert re.findall("[a-z]+_[a-z]+", plan.text) == list(plan.trust)

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
        "item_cf": ToolResponse(
            f"‹B› {SOLID} ‹A› 3 of 7 people took ⟦0|y⟧.", np.array([0.2, 0.9, 0.0, 0.1, np.nan])
        ),
        "user_cf": ToolResponse("‹B› 1 of 2 people took ⟦1|x⟧.", np.array([0.5, 0.4, 0.0, np.nan, 0.4])),
    }

    def test_they_fuse_their_tools_by_reciprocal_rank(self, brief):
        found, calls = self.study(brief(), self.ANSWERS)
        assert calls == [("item_cf", {"window": "recent"}), ("user_cf", {"window": "recent"})]
        # 1 / (2 + rank): B 1/3 + 1/4.5 (shares ranks 2 and 3), A 1/4 + 1/3, D 1/5, E 1/4.5: A .583, B .556,
        # E .222, D .2; 0 and NaN are nothing.
        assert found.order == ["‹A›", "‹B›", "‹E›", "‹D›"]
        assert found.cites == {"‹B›": SOLID, "‹A›": "3 of 7 people took ⟦0|y⟧."}

    def test_equal_candidates_are_ordered_by_hash_and_not_by_place(self, brief):
        answers = {"transitions": ToolResponse("", np.array([0.5, 0.0, 0.5, 0.5, 0.0]))}
        found, _ = self.study(brief(), answers, "interest_divergence")
        assert found.order == ["‹D›", "‹C›", "‹A›"]

    def test_asked_again_they_speak_of_what_was_asked_only(self, brief):
        request = Request(analyst="historical_interest", tool="item_cf", candidates=["‹A›", "‹D›"])
        found, calls = self.study(brief(), self.ANSWERS, "historical_interest", [request])
        assert calls == [("item_cf", {"window": "whole", "candidates": ["‹A›", "‹D›"]})]
        assert found.order == ["‹A›", "‹D›"]
        # A tool without windows is asked without one.
        answers = {"ease": ToolResponse("", np.array([0.3, 0.5, 0.1, 0.2, np.nan]))}
        request = Request(analyst="historical_interest", tool="ease", candidates=["‹A›", "‹D›"])
        found, calls = self.study(brief(), answers, "historical_interest", [request])
        assert calls == [("ease", {"candidates": ["‹A›", "‹D›"]})]
        assert found.order == ["‹A›", "‹D›"]

    def test_they_can_be_asked_again_with_any_tool_of_theirs(self, brief, world, task):
        tools = world.toolbox(task(3, [1, 2, 13], [10, 11, 12, 13, 14]))

        def call(tool, arguments):
            return Answer(tool, arguments, tools.call(tool, arguments))

        for analyst, names in TOOLS_OF.items():
            for name in names:
                requests = [Request(analyst=analyst, tool=name, candidates=["‹B›"])]
                found = ask(EmbeddedPolicy().study(analyst, brief(), PLAN, requests, call))
                assert set(found.order) <= {"‹B›"}

    SILENT = dict.fromkeys(TOOLS, ToolResponse("Nothing is known.", np.full(5, np.nan)))

    @pytest.mark.parametrize(
        ("analyst", "long", "short"),
        [
            ("user_profile", ["profile"], ["profile", "item_facts"]),
            ("historical_interest", ["ease"], ["ease"]),
            ("recent_interest", ["item_cf", "user_cf"], ["item_cf", "user_cf"]),
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
        against = (
            "‹B› Only 4 of the 90 people who took ⟦1|x⟧ also took ⟦2|y⟧, where its popularity predicts 20."
        )
        answers = {
            "transitions": ToolResponse(f"‹A› {SOLID}", np.array([0.5, 0.4, 0, 0, 0])),
            "contrary": ToolResponse(against),
        }
        contrary = Request(analyst="interest_divergence", tool="contrary", candidates=["‹A›", "‹B›"])
        transitions = Request(analyst="interest_divergence", tool="transitions", candidates=["‹A›", "‹B›"])
        found, _ = self.study(brief(), answers, "interest_divergence", [contrary, transitions])
        assert found.cites == {"‹A›": SOLID} and found.order == ["‹A›", "‹B›"]


class TestReflector:
    def reflect(self, brief, findings, plan=PLAN, final=False):
        return ask(EmbeddedPolicy().reflect(brief, plan, findings, [], 0, final))

    def test_agreement_with_support_is_accepted(self, brief):
        verdict = self.reflect(
            brief(), [finding("recent_interest", LABELS, A=SOLID), finding("interest_divergence", LABELS)]
        )
        assert verdict.requests == [] and verdict.lead == ["‹A›", "‹B›", "‹C›"]
        assert verdict.text == f"‹A› {SOLID} Lead ‹A›‹B›‹C›."

    def test_disagreement_goes_back_with_the_contenders(self, brief):
        said = [
            finding("recent_interest", LABELS, A=SOLID),
            finding("interest_divergence", ["‹E›"]),
        ]
        verdict = self.reflect(brief(), said)
        assert verdict.text == "They disagree: check ‹A›‹E›‹B›."
        (request,) = verdict.requests
        assert request.tool in TOOLS_OF[request.analyst] and request.candidates == ["‹A›", "‹E›", "‹B›"]
        # The last word cannot be sent back.
        assert self.reflect(brief(), said, final=True).requests == []

    @pytest.mark.parametrize(
        ("cite", "accepted"),
        [
            ("4 of 40 people took ⟦1|x⟧.", False),
            ("5 of 40 people took ⟦1|x⟧.", True),
            # 3% of 100 people are three, 6% six.
            ("3% of the 100 people who took ⟦1|x⟧ took ⟦2|y⟧ within their next 3.", False),
            ("6% of the 100 people who took ⟦1|x⟧ took ⟦2|y⟧ within their next 3.", True),
            (
                "4 of the 9 people who took ⟦1|x⟧ also took ⟦2|y⟧, 1.0 times what its popularity predicts.",
                False,
            ),
            ("1,200 of 40,000 people took ⟦1|x⟧.", True),
            ("4% of the 1,000 people who took ⟦1|x⟧ took ⟦2|y⟧ within their next 3.", True),
            (
                "Beyond the rest of the history, ⟦1|x⟧ adds 0.5 to what is expected of ⟦2|y⟧, from the 4 "
                "people who took both.",
                False,
            ),
            (
                "Beyond the rest of the history, ⟦1|x⟧ adds 0.5 to what is expected of ⟦2|y⟧, from the 1,005 "
                "people who took both.",
                True,
            ),
            ("Fewer than 3 of the 40 people who took ⟦1|x⟧ also took ⟦2|y⟧.", False),
            ("Fewer than 3 people took ⟦1|x⟧.", False),
            (
                "4 of 40 people took ⟦1|x⟧. 30 of the 90 choices in the 14 days before were ⟦1|x⟧, 2.0 times "
                "its usual share.",
                False,
            ),
            # Titles and shared words count nobody.
            ("4 of 40 people took ⟦1|20 of 40 people took ⟧.", False),
            ("⟦1|99% of the 900 people⟧ shares 8 of 9 categories and title words with ⟦2|y⟧.", False),
            ("900 people cannot be wrong.", False),
            ("", False),
        ],
    )
    def test_a_leader_who_rests_on_few_people_goes_back(self, brief, cite, accepted):
        verdict = self.reflect(brief(), [finding("recent_interest", LABELS, A=cite)])
        assert (verdict.requests == []) == accepted
        assert accepted or verdict.text == "The leader is thin: check ‹A›‹B›‹C›."

    def test_whoever_is_in_the_plan_can_be_asked_again(self, brief):
        for analyst, tools in TOOLS_OF.items():
            plan = Plan(text="", trust={analyst: 3})
            (request,) = self.reflect(brief(), [finding(analyst, LABELS)], plan).requests
            assert request.analyst == analyst and request.tool in tools

    def test_nothing_known_leads_nobody(self, brief):
        verdict = self.reflect(brief(), [finding("recent_interest", [])])
        assert verdict == Verdict(text="Nothing is known of any candidate.")

    def test_labels_that_do_not_exist_are_not_asked_about(self, brief):
        verdict = self.reflect(
            brief(), [finding("recent_interest", ["‹Z›", "‹B›"]), finding("user_profile", [])]
        )
        assert "‹Z›" not in verdict.text and all("‹Z›" not in r.candidates for r in verdict.requests)


class TestRanker:
    def rank(self, brief, findings, lead=()):
        calls = []
        verdict = Verdict(text="", lead=list(lead))
        decided = ask(EmbeddedPolicy().rank(brief, PLAN, findings, verdict, lambda *call: calls.append(call)))
        assert calls == [("compare", {})]
        return decided.order

    def test_trust_weighs_the_fusion_and_the_verdict_leads(self, brief):
        # trust / (2 + rank): divergence D 6/3, B 6/4; recent B 5/3, C 5/4. B 3.17, D 2, C 1.25; E, A nothing.
        said = [finding("interest_divergence", ["‹D›", "‹B›"]), finding("recent_interest", ["‹B›", "‹C›"])]
        assert self.rank(brief(), said) == ["‹B›", "‹D›", "‹C›", "‹E›", "‹A›"]
        assert self.rank(brief(), said, ["‹C›", "‹A›"]) == ["‹C›", "‹A›", "‹B›", "‹D›", "‹E›"]

    def test_a_lead_that_does_not_exist_is_passed_over(self, brief):
        assert self.rank(brief(), [], ["‹Q›", "‹C›"])[0] == "‹C›"


def test_figures_in_a_reflection_are_the_tools_own(world, split, task):
    tools = world.toolbox(task(3, split.train.of(3), list(range(0, 40, 2))))
    said = re.split("(?=‹)", tools.call("item_cf", {}).text)[1:]
    cites = {part[:3]: part[4:].strip() for part in said}
    brief = Brief(tools.task, think_task(tools), tools.labels, 0, False, tools.ties)
    found = Finding(analyst="recent_interest", order=list(cites), cites=cites)
    text = ask(EmbeddedPolicy().reflect(brief, PLAN, [found], [], 0, True)).text
    # All three, word for word, and who leads.
    sentences = re.split(" (?=‹)", text.split(" Lead ")[0])
    assert set(sentences) == {part.strip() for part in said} and len(said) == 3
    assert re.search(r"\d", text)
