"""A trace for people: who asked what, what came back, and what decided, in short sentences with titles.

The text of entries is that of messages (`data.text`): an item is a mention `⟦id|title⟧`, everything else is
escaped. So whoever shows them makes titles of mentions (`data.plain`), and no title can become markup. A
candidate is named by its mention, with its label behind it the first time. The raw trace stays the record:
what is left out here (places after the third, levels of all candidates) stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starrec.data import MENTION
from starrec.signals import N_LEVELS
from starrec.signals.citations import CITATION
from starrec.teacher.agents import Analyst
from starrec.teacher.deciding import RANKER, Asked, Decided, decided, read_asked
from starrec.teacher.replay import (
    LEVEL_WEIGHTS,
    OWNERS,
    candidates_of,
    read_trust,
    standing_of,
    without_trust,
)
from starrec.tools import TOOLS, Order, read_levels, read_orders, read_sentences
from starrec.trajectories import LABEL, Element

_SHOWN: Final = 3
"""Titles that a list names."""
_QUESTIONS: Final[Mapping[str, str]] = {
    "profile": "What is this history like?",
    "item_facts": "Which candidates are popular, and which rise?",
    "content": "Which candidates resemble the history in category and wording?",
    "item_cf.recent": "What else did people take who took one of the latest items?",
    "item_cf.whole": "What else did people take who took one of the history's items?",
    "user_cf.recent": "What did the people take whose recent history is most similar?",
    "user_cf.whole": "What did the people take whose whole history is most similar?",
    "transitions": "What do people take soon after the latest items?",
    "ease": "What does a linear model of the whole history expect?",
    "contrary": "Which candidates do people avoid who took the history's items?",
    "compare": "How strong is every signal for every candidate?",
    "fast_order": "How would the student rank without thinking?",
}
"""What a call asks, by `Asked.name`."""
_ORDERS: Final[Mapping[str, str]] = {
    "popularity": "Most popular",
    "trend": "Rising most",
    "category": "By category",
    "semantic": "By wording",
    "contrary": "Avoided most",
}
"""What stands before an order, by its signal."""
_SIGNALS: Final[Mapping[str, str]] = {"semantic": "wording"}
"""Signals that have another name for people."""
_TASK: Final = re.compile(r"(?:Earlier: (.*)\. )?History: ((?:⟦[^⟦⟧]*⟧)*) Candidates: ", re.DOTALL)
_LISTED: Final = re.compile(r"‹[A-Z]+›(?: #\d+)*(?:\s*‹[A-Z]+›(?: #\d+)*)*")
_NAMED: Final = re.compile(r"(‹[A-Z]+›)((?: #\d+)*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One paragraph."""

    who: str
    """Who acts, in words."""
    text: str
    """What they do or say."""
    lines: tuple[str, ...] = ()
    """What came back, or what is cited: an order or a fact each."""


def readable(trace: Sequence[Element]) -> tuple[Entry, ...]:
    """The entries of a trace, the teacher's or a student's, finished or not; what decided is the last."""
    return tuple(_Reader(trace).entries())


@dataclass
class _Reader:
    trace: Sequence[Element]
    mentions: dict[str, str] = field(default_factory=dict)
    """Of each label."""
    named: set[str] = field(default_factory=set)
    """Labels that stand in an entry already."""
    sentences: dict[str, str] = field(default_factory=dict)
    """Of each fact that was stated so far, by its number (`#12`)."""
    trust: dict[Analyst, int] = field(default_factory=dict)
    reflected: int | None = None
    """Place of the last reflection of which it is not said yet what it moved."""

    def entries(self) -> Iterable[Entry]:
        for at, (tag, text, _) in enumerate(self.trace):
            if tag == "task":
                yield self._task(text)
            elif tag == "plan":
                yield Entry("Planner", self._said(text), self._cited(text))
            elif tag == "tool_call":
                asked = read_asked(self.trace[at])
                if asked.asker == RANKER:
                    yield from self._moved(at)
                yield self._exchange(asked, self.trace[at + 1 : at + 2])
            elif tag == "reflection":
                yield from self._moved(at)
                disagreement = self._disagreement(at)
                yield Entry("Reflector", self._said(text), (*disagreement, *self._cited(text)))
                self.reflected = at
            elif tag == "recommend":
                yield from self._moved(at)
                labels = [found.group() for found in LABEL.finditer(text)]
                yield Entry("Ranker", f"Ranks {self._names(labels)}.")
        yield from self._moved(len(self.trace))
        if (found := decided(self.trace)) is not None:
            yield Entry("What decided", self._decided(found))

    # Who, what

    def _task(self, text: str) -> Entry:
        self.mentions = candidates_of(text)
        ranked = f"{_counted(len(self.mentions), 'candidate')} to rank."
        found = _TASK.match(text)
        if found is None:
            return Entry("Task", ranked)
        items = [item.group() for item in MENTION.finditer(found[2])]
        ends = "The history ends with" if len(items) > _SHOWN or found[1] else "History:"
        history = f"{ends} {', '.join(items[-_SHOWN:])}." if items else "No history."
        earlier = f" It began with: {found[1]}." if found[1] else ""
        return Entry("Task", f"{history}{earlier} {ranked}")

    def _said(self, text: str) -> str:
        """What an agent wrote, with titles for labels and words for trust; facts stand as their numbers."""
        words = without_trust(text)
        for cite, sentence in self.sentences.items():
            words = words.replace(f"{cite} {sentence}", cite)
        for label, mention in self.mentions.items():
            for both in (f"{label}{mention}", f"{label} {mention}", f"{mention}{label}", f"{mention} {label}"):
                words = words.replace(both, label)
        words = self._titled(words)
        if words and words[-1] not in ".!?":
            words += "."
        return " ".join(filter(None, [words, self._trusted(read_trust(text))]))

    def _titled(self, text: str) -> str:
        return _LISTED.sub(lambda found: self._listed(found.group()), text)

    def _listed(self, labels: str) -> str:
        found = _NAMED.findall(labels)
        shown = found if len(found) <= _SHOWN + 1 else found[:_SHOWN]
        names = ", ".join(self._name(label) + cites for label, cites in shown)
        return names + (f" and {len(found) - len(shown)} more" if len(found) > len(shown) else "")

    def _cited(self, text: str) -> tuple[str, ...]:
        """Each fact that a text cites, in full."""
        cites = dict.fromkeys(found.group() for found in CITATION.finditer(MENTION.sub("", text)))
        return tuple(f"{cite} {self.sentences.get(cite, 'No tool stated this.')}" for cite in cites)

    def _trusted(self, trust: Mapping[Analyst, int]) -> str:
        before, self.trust = self.trust, {**self.trust, **trust}
        if not trust:
            return ""
        if not before:
            degrees = sorted(set(trust.values()), reverse=True)
            groups = [[_words(name) for name in trust if trust[name] == degree] for degree in degrees]
            most, each = f"{_and(groups[0])}{' most' if groups[1:] else ''}", " each" if groups[0][1:] else ""
            others = (
                f"{_and(names)} ({degree})" for names, degree in zip(groups[1:], degrees[1:], strict=True)
            )
            rest = f", then {', '.join(others)}" if groups[1:] else ""
            return f"Trusts {most} ({degrees[0]} of 9{each}){rest}."
        changes = []
        for name, value in trust.items():
            was = before.get(name, 1)
            how = "more" if value > was else "less" if value < was else "as before"
            changes.append(f"{_words(name)} {how} ({value} of 9{f', was {was}' if value != was else ''})")
        return f"From now on trusts {_and(changes)}."

    # What was asked, what came back

    def _exchange(self, asked: Asked, answer: Sequence[Element]) -> Entry:
        text = answer[0].text if answer and answer[0].tag == "tool_response" else None
        question = _QUESTIONS.get(asked.name, "Asks a tool that there is not.")
        about = asked.call.arguments.get("candidates")
        n = len(about) if isinstance(about, list) else len(self.mentions)
        of = f", {n} of {len(self.mentions)}" if n < len(self.mentions) else f", all {n}"
        spec = TOOLS.get(asked.call.name)
        name = f"{asked.name}{of if spec is not None and spec.candidates else ''}"
        lines = ("No answer.",) if text is None else self._answer(text, n)
        return Entry(_words(asked.asker).capitalize(), f"{question} ({name})", lines)

    def _answer(self, text: str, n: int) -> tuple[str, ...]:
        stated = dict(read_sentences(text))
        self.sentences |= stated
        orders = [
            f"{_ORDERS.get(order.signal, 'Order')}: {self._order(order, n)}." for order in read_orders(text)
        ]
        facts = [f"{cite} {sentence}" for cite, sentence in stated.items()]
        # Facts of the history alone are short, and read on.
        facts = facts if orders else [" ".join(facts)] if facts else []
        levels = [self._levels(text)] if text.startswith("⟦") else []
        return (*orders, *facts, *levels) or (self._titled(text),)

    def _order(self, order: Order, n: int) -> str:
        """`Fargo ‹A› = Casablanca ‹C›, Heat ‹B›, 4 more; no evidence on 2`."""
        words, shown = "", 0
        for group in order.groups:
            for place, label in enumerate(group):
                if shown == _SHOWN:
                    break
                words += (" = " if place else ", " if words else "") + self._name(label)
                shown += 1
        known = sum(map(len, order.groups))
        more = f", {known - shown} more" if known > shown else ""
        return f"{words}{more}" + (f"; no evidence on {n - known}" if n > known else "")

    def _levels(self, text: str) -> str:
        """The candidates whose levels weigh most in the ranking (an answer of `compare`)."""
        levels = read_levels(text)
        standing = standing_of([self.trace[0], Element("tool_response", text)])
        scores = standing.scores()
        shown = []
        for label in [label for label in standing.order() if scores[label] > 0][:_SHOWN]:
            own = (str(levels[label].get(name, "none")) for name in LEVEL_WEIGHTS)
            shown.append(f"{self._name(label)} ({', '.join(own)})")
        if not shown:
            return "Nothing is known."
        return f"Strongest, by {_and(LEVEL_WEIGHTS)} in levels from 0 to {N_LEVELS - 1}: {', '.join(shown)}."

    # What reflection did

    def _disagreement(self, at: int) -> tuple[str, ...]:
        """Whom the orders so far put first, where a reflection makes an analyst ask more."""
        after = self.trace[at + 1 : at + 2]
        if not after or after[0].tag != "tool_call" or read_asked(after[0]).asker == RANKER:
            return ()
        firsts: dict[tuple[str, ...], list[str]] = {}
        for signal, groups in standing_of(self.trace[:at]).orders:
            if signal in OWNERS:
                firsts.setdefault(groups[0], []).append(_SIGNALS.get(signal, signal))
        if not firsts or set.intersection(*map(set, firsts)):
            return ()
        said = [
            f"{self._names(group, ' = ')} by {_and(dict.fromkeys(names))}" for group, names in firsts.items()
        ]
        return (f"First places so far: {'; '.join(said)}.",)

    def _moved(self, end: int) -> Iterable[Entry]:
        """What the last reflection and the answers after it changed among the first places, told once."""
        start, self.reflected = self.reflected, None
        if start is None:
            return
        added = self.trace[start:end]
        if not read_trust(added[0].text) and not any(part.tag == "tool_response" for part in added):
            return
        before, after = (standing_of(self.trace[:place]).order()[:_SHOWN] for place in (start, end))
        if before == after:
            text = f"The first {len(after)} stay {self._names(after)}."
        elif before[0] == after[0]:
            text = f"{self._name(after[0])} stays first, now before {self._names(after[1:])}."
        else:
            text = f"{self._name(after[0])} takes the first place from {self._name(before[0])}."
        yield Entry("After that", text)

    # What decided

    def _decided(self, found: Decided) -> str:
        first, second = self._name(found.order[0]), self._name(found.second)
        if not found.ranking:
            leads = "" if found.alike else f" By what stands here, {first} leads, ahead of {second}."
            return f"Unfinished: no ranking.{leads}"
        if found.ranking[0] != found.order[0]:
            differs = f"The ranking differs from what its text gives: there, {first} leads."
            return f"First place: {self._name(found.ranking[0])}. {differs}{self._fast(found)}"
        parts = [f"First place: {first}, ahead of {second}.", *self._sources(found)]
        if found.unreflected not in ("", found.order[0]):
            parts.append(f"Without the reflection, {self._name(found.unreflected)} would lead.")
        elif any(part.tag == "reflection" for part in self.trace):
            parts.append("The reflection did not change the first place.")
        agreeing = next(
            (at for at, (a, b) in enumerate(zip(found.ranking, found.order, strict=False)) if a != b), None
        )
        if agreeing is None:
            parts.append("The ranking follows from the text.")
        else:
            parts.append(f"The first {agreeing} of the ranking follow from the text; from there on it differs.")
        return " ".join(parts)

    def _sources(self, found: Decided) -> list[str]:
        if found.alike:
            return ["The text gives both the same score, and a hash of the item orders them."]
        first = found.order[0]
        parts = []
        leaders: dict[str, list[str]] = {}
        for source in found.tools:
            if source.leader != first:
                leaders.setdefault(source.leader, []).append(source.name)
        for leader, names in leaders.items():
            others = f" (or {_or(names[1:])})" if names[1:] else ""
            parts.append(f"Without what {names[0]} said{others}, {self._name(leader)} would lead.")
        if not leaders:
            parts.append("No single tool decided that: without any one of them it would still lead.")
            for source in found.analysts:
                if source.leader != first:
                    asked = f"Without all that {_words(source.name)} asked"
                    parts.append(f"{asked}, {self._name(source.leader)} would lead.")
        if found.tools and found.tools[0].leader == first:
            parts.append(f"The largest part of its lead comes from {found.tools[0].name}.")
        return parts

    def _fast(self, found: Decided) -> str:
        """That the student's own fast order, which `replay` leaves out of account, has the same first."""
        orders = [
            order for part in self.trace for order in read_orders(part.text) if part.tag == "tool_response"
        ]
        own = [order.groups[0][0] for order in orders if order.signal == "star"]
        return " Its own fast order has the same first." if found.ranking[:1] == tuple(own[:1]) else ""

    # Names

    def _name(self, label: str) -> str:
        mention = self.mentions.get(label)
        if mention is None:
            return f"{label} (no candidate)"
        if label in self.named:
            return mention
        self.named.add(label)
        return f"{mention} {label}"

    def _names(self, labels: Sequence[str], between: str = ", ") -> str:
        rest = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        return between.join(map(self._name, labels[:_SHOWN])) + rest


def _words(agent: str) -> str:
    return agent.replace("_", " ")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"


def _and(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _or(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
