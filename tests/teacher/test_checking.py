"""What the Reflector is told about findings: false claims, and first choices for which nothing is cited."""

import asyncio

import pytest

from starrec.teacher import EmbeddedPolicy, Finding, run
from starrec.teacher.checking import UNCITED, unverified
from starrec.trajectories import Message


@pytest.fixture(scope="module")
def toolbox(world, split, task):
    return world.toolbox(task(3, split.train.of(3), [30, 2, 13, 45, 0, 26, 7, 12, 37, 18]))


def finding(*order, **cites):
    return Finding(
        analyst="recent_interest", order=list(order), cites={f"‹{name}›": cite for name, cite in cites.items()}
    )


def heard(text):
    return [Message("tool", "recent_interest", 0, text)]


def people(toolbox, column, more=0):
    """A sentence about a candidate's popularity, true unless there are more."""
    item = toolbox.task.candidates[[column]]
    took = int(toolbox.view.graph.popularity(item)[0]) + more
    return f"{took} of {toolbox.view.graph.n_users} people took {toolbox.mentions(item)[0]}."


class TestUnverified:
    def test_what_is_true_of_the_graph_stands_whoever_worded_it(self, toolbox):
        assert unverified([finding("‹A›", A=people(toolbox, 0))], [], toolbox) == []

    def test_a_false_claim_is_named_with_who_made_it_and_why(self, toolbox):
        (check,) = unverified([finding("‹A›", A=people(toolbox, 0, more=5))], [], toolbox)
        assert (check.analyst, check.label, check.verdict) == ("recent_interest", "‹A›", "contradicted")
        assert people(toolbox, 0, more=5).startswith(check.claim) and check.claim
        assert people(toolbox, 0).split()[0] in check.reason

    def test_what_a_tool_said_of_the_candidate_is_not_read_again_and_of_another_it_is(self, toolbox):
        lie = people(toolbox, 0, more=5)
        said = heard(f"‹A› {lie} ‹B› Nothing is known.")
        assert unverified([finding("‹A›", A=lie)], said, toolbox) == []
        assert [check.label for check in unverified([finding("‹B›", B=lie)], said, toolbox)] == ["‹B›"]

    def test_a_first_choice_without_evidence_is_a_gap(self, toolbox):
        (check,) = unverified([finding("‹B›", "‹A›", A=people(toolbox, 0))], [], toolbox)
        assert (check.label, check.claim, check.verdict, check.reason) == ("‹B›", "", "unverifiable", UNCITED)
        assert unverified([finding()], [], toolbox) == []


class Inventive:
    """The embedded policy, whose first analyst overstates what it cites, once."""

    def __init__(self, lie):
        self._policy = EmbeddedPolicy()
        self.lie = lie
        self.asked_again = []
        self.checks = []

    def __getattr__(self, name):
        return getattr(self._policy, name)

    async def study(self, analyst, brief, plan, requests, call):
        found = await self._policy.study(analyst, brief, plan, requests, call)
        self.asked_again += requests
        if analyst == next(iter(plan.trust)) and not requests:
            return found.model_copy(update={"cites": {**found.cites, found.order[0]: self.lie}})
        return found

    async def reflect(self, brief, plan, findings, checks, round, final):
        self.checks.append(list(checks))
        return await self._policy.reflect(brief, plan, findings, checks, round, final)


def test_a_false_claim_is_sent_back_to_who_made_it(toolbox):
    agents = Inventive(people(toolbox, 0, more=5))
    outcome = asyncio.run(run(agents, toolbox))
    (check,) = [check for check in agents.checks[0] if check.claim]
    (request,) = agents.asked_again
    assert request.analyst == check.analyst and request.candidates == [check.label]
    said = [message.content for message in outcome.trajectory.messages if message.agent == "reflector"]
    assert said[0] == f"What is said of {check.label} does not hold." and len(said) == 2
