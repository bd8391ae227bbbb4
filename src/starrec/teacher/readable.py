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
from starrec.teacher.deciding import RANKER, Asked, decided, in_words, read_asked
from starrec.teacher.phrases import SHOWN, Names, all_of, words
from starrec.teacher.replay import (
    DEFAULT,
    OWNERS,
    candidates_of,
    read_trust,
    standing_of,
    without_trust,
)
from starrec.tools import TOOLS, Order, read_levels, read_orders, read_sentences
from starrec.trajectories import LABEL, Element

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


DECIDED: Final = "What decided"
"""Who speaks in the last entry."""


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
    names: Names = field(default_factory=lambda: Names({}))
    """Of the candidates."""
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
                yield Entry("Ranker", f"Ranks {self.names.ordered([label] for label in labels)}.")
        yield from self._moved(len(self.trace))
        if (found := decided(self.trace)) is not None:
            yield Entry(DECIDED, in_words(found, self.names))

    # Who, what

    def _task(self, text: str) -> Entry:
        self.names = Names(candidates_of(text))
        ranked = f"{len(self.names)} candidate{'s' if len(self.names) != 1 else ''} to rank."
        found = _TASK.match(text)
        if found is None:
            return Entry("Task", ranked)
        items = [item.group() for item in MENTION.finditer(found[2])]
        ends = "The history ends with" if len(items) > SHOWN or found[1] else "History:"
        history = f"{ends} {'; '.join(items[-SHOWN:])}." if items else "No history."
        earlier = f" It began with: {self.names.in_prose(found[1])}." if found[1] else ""
        return Entry("Task", f"{history}{earlier} {ranked}")

    def _said(self, text: str) -> str:
        """What an agent wrote, with titles for labels and words for trust; facts stand as their numbers."""
        said = without_trust(text)
        for cite, sentence in self.sentences.items():
            said = said.replace(f"{cite} {sentence}", cite)
        said = self.names.in_prose(said)
        if said and said[-1] not in ".!?":
            said += "."
        return " ".join(filter(None, [said, self._trusted(read_trust(text))]))

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
            groups = [[words(name) for name in trust if trust[name] == degree] for degree in degrees]
            most, each = f"{all_of(groups[0])}{' most' if groups[1:] else ''}", " each" if groups[0][1:] else ""
            others = (
                f"{all_of(names)} ({degree})" for names, degree in zip(groups[1:], degrees[1:], strict=True)
            )
            rest = f", then {', '.join(others)}" if groups[1:] else ""
            return f"Trusts {most} ({degrees[0]} of 9{each}){rest}."
        changes = []
        for name, value in trust.items():
            was = before.get(name, 1)
            how = "more" if value > was else "less" if value < was else "as before"
            changes.append(f"{words(name)} {how} ({value} of 9{f', was {was}' if value != was else ''})")
        return f"From now on trusts {all_of(changes)}."

    # What was asked, what came back

    def _exchange(self, asked: Asked, answer: Sequence[Element]) -> Entry:
        text = answer[0].text if answer and answer[0].tag == "tool_response" else None
        question = _QUESTIONS.get(asked.name, "Asks a tool that there is not.")
        about = asked.call.arguments.get("candidates")
        n = len(about) if isinstance(about, list) else len(self.names)
        of = f", {n} of {len(self.names)}" if n < len(self.names) else f", all {n}"
        spec = TOOLS.get(asked.call.name)
        name = f"{asked.name}{of if spec is not None and spec.candidates else ''}"
        lines = ("No answer.",) if text is None else self._answer(text, n)
        return Entry(words(asked.asker).capitalize(), f"{question} ({name})", lines)

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
        return (*orders, *facts, *levels) or (self.names.in_prose(text),)

    def _order(self, order: Order, n: int) -> str:
        known = sum(map(len, order.groups))
        return self.names.ordered(order.groups) + (f"; no evidence on {n - known}" if n > known else "")

    def _levels(self, text: str) -> str:
        """The candidates whose levels weigh most in the ranking (an answer of `compare`)."""
        levels = read_levels(text)
        standing = standing_of([self.trace[0], Element("tool_response", text)])
        scores = standing.scores()
        shown = []
        for label in [label for label in standing.order() if scores[label] > 0][:SHOWN]:
            own = (str(levels[label].get(name, "none")) for name in DEFAULT.level_weights)
            shown.append(f"{self.names.name(label)} ({', '.join(own)})")
        if not shown:
            return "Nothing is known."
        weighed = all_of(DEFAULT.level_weights)
        return f"Strongest, by {weighed} in levels from 0 to {N_LEVELS - 1}: {'; '.join(shown)}."

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
        named = [
            f"{self.names.ordered([group])} by {all_of(dict.fromkeys(signals))}"
            for group, signals in firsts.items()
        ]
        return (f"First places so far: {'; '.join(named)}.",)

    def _moved(self, end: int) -> Iterable[Entry]:
        """What the last reflection and the answers after it changed among the first places, told once."""
        start, self.reflected = self.reflected, None
        if start is None or not len(self.names):
            return
        added = self.trace[start:end]
        if not read_trust(added[0].text) and not any(part.tag == "tool_response" for part in added):
            return
        before, after = (standing_of(self.trace[:place]).order()[:SHOWN] for place in (start, end))
        if before == after:
            text = f"The first {len(after)} stay {self.names.ordered([label] for label in after)}."
        elif before[0] == after[0]:
            text = f"The first {len(after)} are now {self.names.ordered([label] for label in after)}."
        else:
            text = f"{self.names.name(after[0])} takes the first place from {self.names.name(before[0])}."
        yield Entry("After that", text)
