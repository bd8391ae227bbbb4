"""The embedded policy: the seven agents by rule, so that everything runs on a laptop with no key.

No learned weights and no access to the target: each agent reads only what the tools answered, as text. Analysts
ask their tools, whose answers say the order of the candidates by each signal; orders are fused by reciprocal
rank, weighted by the trust that the plan writes (`replay`). The Reflector compares what the signals put first.
Where they disagree it sends the eight that stand first back for what nobody has looked at yet (categories and
descriptions, people alike over the whole history), and writes how far that is trusted from now on; what comes
back moves them by the same rule. The Ranker asks for all levels once (`compare`), and ranks by what is written.

Exploring (for teaching), each run draws its own trust in each analyst, may leave questions out or ask more, and
may reflect only once; the outcome filter then keeps the runs whose choices proved right. Greedy runs are a
function of the task alone.

This is version 2 (`teacher_v2`); `v1` is the version before. Its constants, and what is asked at first and what
by reflection, were chosen on validation half B of MovieLens-100K (467 users, ten candidate draws, two seeds of
ties) and of Amazon Games (2,526 users, three draws) together: about 6,000 settings were tried, by scripts
that are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from starrec.data import SHORT_HISTORY
from starrec.hashing import text_keys
from starrec.teacher.agents import (
    Analyst,
    Answer,
    Brief,
    Caller,
    Check,
    Decision,
    Finding,
    Plan,
    Request,
    Verdict,
)
from starrec.teacher.replay import DEFAULT, OWNERS, Fusion, Standing
from starrec.tools import TOOLS, Window, fold, read_facts, tastes

_LONG: Final = 20
"""Histories above this length are long; of short ones (`SHORT_HISTORY`) the recent and the whole window are the
same."""
_AGAIN: Final[Mapping[Analyst, str]] = {"user_profile": "content", "historical_interest": "user_cf"}
"""Who is sent back to which tool."""
_LEAD: Final = 3
"""Candidates that a last reflection names."""


Question: TypeAlias = tuple[str, dict[str, str]]
_ASKS: Final[Mapping[Analyst, Sequence[Question]]] = {
    "user_profile": [("profile", {})],
    "historical_interest": [("ease", {})],
    "recent_interest": [("item_cf", {"window": "recent"})],
    "interest_divergence": [("transitions", {})],
}
"""What each analyst asks at first."""
_ASKS_SHORT: Final[Mapping[Analyst, Sequence[Question]]] = {
    **_ASKS,
    "user_profile": [("profile", {}), ("item_facts", {}), ("content", {})],
}
"""For short histories: where little is known of a user, what items are and what everybody takes says
something."""
_MAY_ASK: Final[Mapping[Analyst, Sequence[Question]]] = {
    "user_profile": [("item_facts", {}), ("content", {})],
    "historical_interest": [("item_cf", {"window": "whole"}), ("user_cf", {"window": "whole"})],
    "recent_interest": [("user_cf", {"window": "recent"})],
    "interest_divergence": [("contrary", {})],
}
"""What each may ask beside, exploring."""
_SPREAD: Final = 1.0
"""Exploring: standard deviation of the logarithm of trust."""
_ASK_AGAIN: Final = 0.7
"""Exploring: probability of each of an analyst's questions ..."""
_ASK_MORE: Final = 0.25
"""... and of each that it may ask beside."""


@dataclass(frozen=True)
class Constants:
    """The numbers in the rules. Trust is from 1 to 9, by analyst, in the order in which they are consulted."""

    trust: Mapping[Analyst, int] = field(
        default_factory=lambda: {
            "historical_interest": 3,
            "interest_divergence": 3,
            "recent_interest": 2,
            "user_profile": 1,
        }
    )
    trust_short: Mapping[Analyst, int] = field(
        default_factory=lambda: {"recent_interest": 4, "user_profile": 4, "interest_divergence": 1}
    )
    """For short histories."""
    trust_again: Mapping[Analyst, int] = field(default_factory=lambda: {"user_profile": 4})
    """What a reflection that sends work back writes."""
    contenders: int = 8
    """Candidates that are sent back."""
    fusion: Fusion = DEFAULT


class EmbeddedPolicy:
    """The agents, by rule."""

    kind = "embedded policy, no learned weights"

    def __init__(self, seed: int = 0, constants: Constants | None = None) -> None:
        """
        Args:
            seed: of exploration.
            constants: None for those of version 2.
        """
        self._seed = seed
        self._constants = constants or Constants()

    async def remember(self, brief: Brief, window: Window) -> str:
        return fold(brief.memory, window)

    async def plan(self, brief: Brief) -> Plan:
        length = len(brief.task.history)
        constants = self._constants
        trust = dict(constants.trust_short if length <= SHORT_HISTORY else constants.trust)
        rounds = 2
        if brief.explore:
            random = self._random(brief, "planner")
            for name in trust:
                trust[name] = int(np.clip(round(trust[name] * random.lognormal(0, _SPREAD)), 0, 9))
            trust = {name: value for name, value in trust.items() if value > 0} or {"recent_interest": 5}
            trust = dict(sorted(trust.items(), key=lambda item: -item[1]))
            rounds = 1 + int(random.random() < 0.7)
        size = "Short" if length <= SHORT_HISTORY else "Long" if length > _LONG else "Medium"
        began = f", at first {tastes(brief.memory)[0]}" if brief.memory else ""
        return Plan(text=f"{size} history{began}.", trust=trust, rounds=rounds)

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        if requests:
            answers = [call(request.tool, _follow_up(request)) for request in requests]
            return self._finding(analyst, brief, plan, answers)
        asks = (_ASKS_SHORT if len(brief.task.history) <= SHORT_HISTORY else _ASKS)[analyst]
        if brief.explore:
            random = self._random(brief, analyst)
            more = [ask for ask in _MAY_ASK[analyst] if ask not in asks and random.random() < _ASK_MORE]
            asks = [ask for ask in asks if random.random() < _ASK_AGAIN] + more or [
                asks[int(random.integers(len(asks)))]
            ]
        return self._finding(analyst, brief, plan, [call(tool, arguments) for tool, arguments in asks])

    async def reflect(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        checks: Sequence[Check],
        round: int,
        final: bool,
    ) -> Verdict:
        standing = self._standing(brief, plan, answers)
        scores = standing.scores()
        ahead = [name for name in standing.order()[: self._constants.contenders] if scores[name] > 0]
        if not ahead:
            return Verdict(text="Nothing is known of any candidate.")
        short = len(brief.task.history) <= SHORT_HISTORY
        if not final and not short and _disagree(standing):
            requests = [
                Request(analyst=analyst, tool=tool, candidates=ahead) for analyst, tool in _AGAIN.items()
            ]
            text = f"They disagree: check {''.join(ahead)}."
            return Verdict(text=text, requests=requests, trust=dict(self._constants.trust_again))
        lead = ahead[:_LEAD]
        return Verdict(text=f"Ahead: {_cited(lead, plan, findings, answers)}", lead=lead)

    async def rank(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        answers: Sequence[Answer],
        verdict: Verdict,
        call: Caller,
    ) -> Decision:
        standing = self._standing(brief, plan, answers)
        standing.read_answer(call("compare", {}).text)
        return Decision(order=standing.order())

    def _finding(self, analyst: Analyst, brief: Brief, plan: Plan, answers: Sequence[Answer]) -> Finding:
        """Order by the answers' orders; cite for each label the first fact that an answer has of it."""
        standing = self._standing(brief, plan, answers)
        scores = standing.scores()
        order = [name for name in standing.order() if scores[name] > 0]
        cites: dict[str, list[str]] = {}
        for answer in answers:
            # What speaks against a candidate is no fact to lead it with.
            for name, cite, _ in read_facts(answer.text) if answer.tool != "contrary" else ():
                cites.setdefault(name, [cite])
        return Finding.model_construct(analyst=analyst, order=order, cites=cites)

    def _standing(self, brief: Brief, plan: Plan, answers: Sequence[Answer]) -> Standing:
        standing = Standing(brief.labels, brief.ties, self._constants.fusion)
        standing.write_trust(plan.trust)
        for answer in answers:
            standing.read_answer(answer.text)
        return standing

    def _random(self, brief: Brief, agent: str) -> np.random.Generator:
        key = int(text_keys([brief.task.task_id], self._seed, f"explore/{agent}")[0])
        return np.random.default_rng([key, brief.run])


def _follow_up(request: Request) -> dict[str, str | list[str]]:
    """The arguments of its tool: the whole window, about the labels that were sent back."""
    spec = TOOLS[request.tool]
    arguments: dict[str, str | list[str]] = {"window": "whole"} if spec.windows else {}
    return {**arguments, "candidates": request.candidates} if spec.candidates else arguments


def _disagree(standing: Standing) -> bool:
    """Whether no candidate stands first, alone or among equals, in all orders that count."""
    firsts = [set(order.groups[0]) for order in standing.orders if order.signal in OWNERS]
    return bool(firsts) and not set.intersection(*firsts)


def _cited(lead: Sequence[str], plan: Plan, findings: Sequence[Finding], answers: Sequence[Answer]) -> str:
    """The leading labels with the fact that speaks for each: the first one's in words, the others by number."""
    # From the most trusted analyst that has one, the latest first.
    ranked = sorted(reversed(findings), key=lambda finding: -plan.trust.get(finding.analyst, 0))
    sentences = {cite: text for answer in answers for _, cite, text in read_facts(answer.text)}
    parts = []
    for place, name in enumerate(lead):
        cite = next((finding.cites[name][0] for finding in ranked if finding.cites.get(name)), "")
        words = sentences.get(cite, "") if place == 0 else ""
        parts.append(" ".join(filter(None, [name, cite, words])))
    return " ".join(parts)
