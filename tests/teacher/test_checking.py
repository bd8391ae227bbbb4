"""Checks of findings: citations that do not hold, and first choices for which nothing is cited."""

import asyncio

import pytest

from starrec.signals import FactNumbers
from starrec.teacher import EmbeddedPolicy, Finding, run
from starrec.teacher.checking import UNCITED, unverified


@pytest.fixture(scope="module")
def toolbox(world, split, task):
    return world.toolbox(task(3, split.train.of(3), [30, 2, 13, 45, 0, 26, 7, 12, 37, 18]))


@pytest.fixture
def facts(toolbox):
    """#1 is about ‹A›, #2 about ‹B›, #3 and those after it about the history."""
    facts = FactNumbers()
    toolbox.call("item_facts", {"candidates": ["A", "B"]}, facts)
    assert [fact.subject for fact in facts] == [30, 2]
    toolbox.call("profile", {}, facts)
    return facts


def finding(*order, **cites):
    return Finding(
        analyst="recent_interest",
        order=list(order),
        cites={f"‹{name}›": [cite] for name, cite in cites.items()},
    )


class TestUnverified:
    def test_facts_that_were_said_of_their_candidates_stand(self, toolbox, facts):
        assert unverified([finding("‹A›", A="#1", B=" #2 ")], facts, toolbox) == []

    @pytest.mark.parametrize(
        ("label", "cite", "reason"),
        [
            ("A", "#99", "'#99' is no fact that a tool said; facts go from #1 to #"),
            ("A", "#0", "'#0' is no fact"),
            ("A", "73% of the people", "'73% of the people' is no fact"),
            ("B", "#1", "#1 is not about ‹B›"),
            ("B", "#3", "#3 is not about ‹B›"),
            ("Z", "#1", "'‹Z›' is no candidate"),
        ],
    )
    def test_what_does_not_hold_is_named_with_who_cited_it_and_why(self, toolbox, facts, label, cite, reason):
        (check,) = unverified([finding("‹A›", **{"A": "#1", label: cite})], facts, toolbox)
        assert (check.analyst, check.label, check.cite) == ("recent_interest", f"‹{label}›", cite)
        assert check.reason.startswith(reason)

    def test_a_first_choice_without_a_fact_is_a_gap(self, toolbox, facts):
        (check,) = unverified([finding("‹B›", "‹A›", A="#1")], facts, toolbox)
        assert (check.label, check.cite, check.reason) == ("‹B›", "", UNCITED)
        assert unverified([finding()], facts, toolbox) == []


def test_checks_of_new_findings_reach_the_reflector(toolbox):
    class Inventive(EmbeddedPolicy):
        """Its first analyst cites a fact that nobody said."""

        checks = ()

        async def study(self, analyst, brief, plan, requests, call):
            found = await super().study(analyst, brief, plan, requests, call)
            if analyst == next(iter(plan.trust)) and not requests:
                return found.model_copy(update={"cites": {found.order[0]: ["#77"]}})
            return found

        async def reflect(self, brief, plan, findings, answers, checks, round, final):
            self.checks = (*self.checks, [check.cite for check in checks if check.cite])
            return await super().reflect(brief, plan, findings, answers, checks, round, final)

    agents = Inventive()
    asyncio.run(run(agents, toolbox))
    assert agents.checks[0] == ["#77"] and all(later == [] for later in agents.checks[1:])
