"""The embedded policy: the seven agents by rule, so that everything runs on a laptop with no key.

No learned weights and no access to the target: each agent reads only the tools' answers. Analysts order
candidates by their tools' scores; orders are fused by reciprocal rank, weighted by the trust in the plan
(Cormack, Clarke and Büttcher, SIGIR 2009). The Reflector compares what the analysts put first. Where they
disagree, or the leader rests on few people, it sends the contenders back to an analyst; what comes back counts
as one more order, of the contenders alone, and so can change who leads.

Exploring (for teaching), each run draws its own trust in each analyst, may skip one, and may reflect only
once; the outcome filter then keeps the runs whose choices proved right. Greedy runs are a function of the task
alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from starrec.hashing import text_keys
from starrec.signals.claims import support_of
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
from starrec.tools import TOOLS, Window, fold, tastes

_RRF: Final = 2.0
"""Constant of reciprocal-rank fusion; small, because the candidates are only 20."""
_SHORT: Final = 5
"""Histories up to this length are short: their recent and their whole window are the same."""
_THIN: Final = 5
"""A leader whose best sentence rests on fewer people than this is thin."""
_TRUST: Final[Mapping[Analyst, int]] = {
    "historical_interest": 7,
    "interest_divergence": 6,
    "recent_interest": 5,
    "user_profile": 1,
}
"""Trust for long histories (chosen on validation half B, where a point more or less changes nothing)."""
_TRUST_SHORT: Final[Mapping[Analyst, int]] = {
    "recent_interest": 5,
    "interest_divergence": 3,
    "user_profile": 2,
}


_ASK_AGAIN_BY: Final[Mapping[Analyst, str]] = {
    "user_profile": "item_facts",
    "historical_interest": "item_cf",
    "recent_interest": "user_cf",
    "interest_divergence": "transitions",
}
"""The tool that each analyst is sent back to ..."""
_FIRST_ASKED_AGAIN: Final[Sequence[Analyst]] = ("recent_interest", "historical_interest")
"""... and who goes first."""


Question: TypeAlias = tuple[str, dict[str, str]]
_ASKS: Final[Mapping[Analyst, Sequence[Question]]] = {
    "user_profile": [("profile", {})],
    "historical_interest": [("ease", {})],
    "recent_interest": [("item_cf", {"window": "recent"}), ("user_cf", {"window": "recent"})],
    "interest_divergence": [("transitions", {})],
}
"""What each analyst asks at first."""
_ASKS_SHORT: Final[Mapping[Analyst, Sequence[Question]]] = {
    **_ASKS,
    "user_profile": [("profile", {}), ("item_facts", {})],
}
"""For short histories: where little is known of a user, what everybody takes says something."""
_MAY_ASK: Final[Mapping[Analyst, Sequence[Question]]] = {
    "user_profile": [("item_facts", {})],
    "historical_interest": [("item_cf", {"window": "whole"}), ("user_cf", {"window": "whole"})],
    "recent_interest": [],
    "interest_divergence": [("contrary", {})],
}
"""What each may ask beside, exploring."""
_SPREAD: Final = 1.0
"""Exploring: standard deviation of the logarithm of trust."""
_ASK_AGAIN: Final = 0.7
"""Exploring: probability of each of an analyst's questions ..."""
_ASK_MORE: Final = 0.25
"""... and of each that it may ask beside."""


class EmbeddedPolicy:
    """The agents, by rule."""

    kind = "embedded policy, no learned weights"

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    async def remember(self, brief: Brief, window: Window) -> str:
        return fold(brief.memory, window)

    async def plan(self, brief: Brief) -> Plan:
        length = len(brief.task.history)
        short = length <= _SHORT
        trust = dict(_TRUST_SHORT if short else _TRUST)
        rounds = 2
        if brief.explore:
            random = self._random(brief, "planner")
            for name in trust:
                trust[name] = int(np.clip(round(trust[name] * random.lognormal(0, _SPREAD)), 0, 9))
            trust = {name: value for name, value in trust.items() if value > 0} or {"recent_interest": 5}
            trust = dict(sorted(trust.items(), key=lambda item: -item[1]))
            rounds = 1 + int(random.random() < 0.7)
        # Trust is said in order and without figures: figures in a trajectory are claims about the graph.
        order = ", ".join(name for name, _ in sorted(trust.items(), key=lambda item: -item[1]))
        size = "Short" if short else "Long"
        began = f", at first {tastes(brief.memory)[0]}" if brief.memory else ""
        return Plan(text=f"{size} history{began}. Trust {order}.", trust=trust, rounds=rounds)

    async def study(
        self, analyst: Analyst, brief: Brief, plan: Plan, requests: Sequence[Request], call: Caller
    ) -> Finding:
        if requests:
            answers = [call(request.tool, _follow_up(request)) for request in requests]
            asked = {name for request in requests for name in request.candidates}
            return self._finding(analyst, brief, answers, asked)
        asks = (_ASKS_SHORT if len(brief.task.history) <= _SHORT else _ASKS)[analyst]
        if brief.explore:
            random = self._random(brief, analyst)
            more = [ask for ask in _MAY_ASK[analyst] if ask not in asks and random.random() < _ASK_MORE]
            asks = [ask for ask in asks if random.random() < _ASK_AGAIN] + more or [
                asks[int(random.integers(len(asks)))]
            ]
        return self._finding(analyst, brief, [call(tool, arguments) for tool, arguments in asks], None)

    async def reflect(
        self,
        brief: Brief,
        plan: Plan,
        findings: Sequence[Finding],
        checks: Sequence[Check],
        round: int,
        final: bool,
    ) -> Verdict:
        fused = _fuse(brief, plan, findings)
        lead = [name for name in _ordered(brief, fused)[:3] if fused[name] > 0]
        cited = {name: _best_cite(name, plan, findings) for name in lead}
        citations = " ".join(f"{name} {cite}" for name, cite in cited.items() if cite)
        firsts = list(dict.fromkeys(f.order[0] for f in findings if f.order and f.order[0] in fused))
        if not lead:
            return Verdict(text="Nothing is known of any candidate.")
        if not final and (false := [check for check in checks if check.claim]):
            asked = list(dict.fromkeys(check.label for check in false))
            text = f"What is said of {''.join(asked)} does not hold."
            return Verdict(text=text, requests=[_again(false[0].analyst, asked)])
        thin = (support_of(cited[lead[0]]) or 0) < _THIN
        if not final and (len(firsts) > 1 or thin):
            contenders = list(dict.fromkeys([*firsts, *lead]))[:3]
            requests = [_again(name, contenders) for name in _FIRST_ASKED_AGAIN if name in plan.trust] or [
                _again(next(iter(plan.trust)), contenders)
            ]
            problem = "They disagree" if len(firsts) > 1 else "The leader is thin"
            return Verdict(text=f"{problem}: check {''.join(contenders)}.", requests=requests[:1])
        return Verdict(text=f"{citations} Lead {''.join(lead)}.".lstrip(), lead=lead)

    async def rank(
        self, brief: Brief, plan: Plan, findings: Sequence[Finding], verdict: Verdict, call: Caller
    ) -> Decision:
        call("compare", {})
        fused = _fuse(brief, plan, findings)
        for place, name in enumerate(name for name in verdict.lead if name in fused):
            fused[name] += 10.0 - place
        return Decision(order=_ordered(brief, fused))

    def _finding(
        self, analyst: Analyst, brief: Brief, answers: Sequence[Answer], asked: set[str] | None
    ) -> Finding:
        """Order by the fused ranks of the answers' scores; cite for each label the sentence said of it."""
        total = np.zeros(len(brief.labels))
        for answer in answers:
            scores = answer.response.scores
            if scores is not None:
                total += _reciprocal_ranks(scores)
        order = [brief.labels[at] for at in np.lexsort((brief.ties, -total)).tolist() if total[at] > 0]
        cites: dict[str, str] = {}
        for answer in answers:
            # What speaks against a candidate is no sentence to lead it with.
            for name, text in _by_label(answer.response.text) if answer.tool != "contrary" else ():
                cites.setdefault(name, text)
        if asked is not None:
            order = [name for name in order if name in asked]
        return Finding.model_construct(analyst=analyst, order=order, cites=cites)

    def _random(self, brief: Brief, agent: str) -> np.random.Generator:
        key = int(text_keys([brief.task.task_id], self._seed, f"explore/{agent}")[0])
        return np.random.default_rng([key, brief.run])


def _follow_up(request: Request) -> dict[str, str | list[str]]:
    """The arguments of its tool: the whole window, about the labels that were sent back."""
    spec = TOOLS[request.tool]
    arguments: dict[str, str | list[str]] = {"window": "whole"} if spec.windows else {}
    return {**arguments, "candidates": request.candidates} if spec.candidates else arguments


def _reciprocal_ranks(scores: np.ndarray) -> np.ndarray:
    """`1 / (k + rank)` of each score, `(c,)`; equal scores share the mean rank, NaN and 0 get nothing."""
    known = np.nan_to_num(scores, nan=0.0)
    above = (known[None, :] > known[:, None]).sum(axis=1)
    equal = (known[None, :] == known[:, None]).sum(axis=1)
    return np.where(known > 0, 1 / (_RRF + above + (equal + 1) / 2), 0.0)


def _fuse(brief: Brief, plan: Plan, findings: Sequence[Finding]) -> dict[str, float]:
    """Trust-weighted reciprocal-rank fusion of the analysts' orders."""
    fused = dict.fromkeys(brief.labels, 0.0)
    for finding in findings:
        trust = plan.trust.get(finding.analyst, 1)
        for rank, name in enumerate(finding.order, start=1):
            if name in fused:
                fused[name] += trust / (_RRF + rank)
    return fused


def _ordered(brief: Brief, fused: Mapping[str, float]) -> list[str]:
    """Labels by descending score, equal ones by the hash of their items."""
    scores = np.array([fused[name] for name in brief.labels])
    return [brief.labels[at] for at in np.lexsort((brief.ties, -scores)).tolist()]


_SENTENCES: Final = re.compile("(‹[A-Z]+›) ([^‹]+)")


def _by_label(text: str) -> list[tuple[str, str]]:
    """What a tool said of each label."""
    return [(name, sentence.strip()) for name, sentence in _SENTENCES.findall(text)]


def _best_cite(name: str, plan: Plan, findings: Sequence[Finding]) -> str:
    """The sentence for a label from the most trusted analyst that has one, the latest word first."""
    ranked = sorted(reversed(findings), key=lambda finding: -plan.trust.get(finding.analyst, 0))
    return next((finding.cites[name] for finding in ranked if name in finding.cites), "")


def _again(analyst: Analyst, asked: list[str]) -> Request:
    return Request(analyst=analyst, tool=_ASK_AGAIN_BY[analyst], candidates=asked)
