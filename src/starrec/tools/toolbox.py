"""The tools that teacher and student share, bound to one task.

A `Toolbox` knows the task's history, candidates and the user whose own interactions must stay out of every
count; a caller names a tool and its arguments and cannot reach anything else. So an agent, a trained model or a
stranger's prompt can ask what it likes and never see an edge that the task may not see.

An answer is text, and all that a caller gets: the order of the candidates by each signal (`orders`), then facts
as sentences, each under its number in the trace (`signals.citations`):

    item_cf.recent ‹C›‹A›=‹B›‹F›. ‹C› #1 73% of the 91 people who took … . ‹A› #2 …

`compare` is the one tool with the compact rendering: every candidate, every signal. The Ranker looks
at it last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Catalogue, RankingTask, escape
from starrec.errors import StarrecError
from starrec.hashing import Keys, text_keys
from starrec.signals import (
    SIGNALS,
    Cited,
    Evidence,
    Fact,
    FactNumbers,
    Graph,
    Semantics,
    SignalsConfig,
    TaskView,
    check_citations,
    compact,
    gather,
    labels,
    select,
    sentence,
)
from starrec.tools.memory import SHOWN, WINDOW, Window
from starrec.tools.orders import order_text

_OF_ITEMS: Final = {"item_facts": ("popularity", "trend"), "content": ("category", "semantic")}
"""The signals of tools that speak of candidates by themselves."""
_FACTS: Final = 5
"""Candidates whose facts an answer states when asked about more."""


class ToolError(StarrecError):
    """A call that cannot be answered; the message tells the caller (an agent or a model) what to correct."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a caller needs to know about a tool."""

    name: str
    description: str
    windows: bool
    """Whether it takes `window`: "recent" or "whole"."""
    candidates: bool
    """Whether it takes `candidates`: labels to ask about; left out, it speaks of the strongest ones."""

    @property
    def parameters(self) -> dict[str, object]:
        """JSON schema of the arguments."""
        properties: dict[str, object] = {}
        if self.windows:
            properties["window"] = {"type": "string", "enum": ["recent", "whole"]}
        if self.candidates:
            properties["candidates"] = {
                "type": "array",
                "items": {"type": "string", "pattern": "^‹?[A-Z]+›?$"},
                "description": "labels to ask about, such as C; leave out for the strongest ones",
            }
        return {"type": "object", "properties": properties, "additionalProperties": False}


TOOLS: Final[Mapping[str, ToolSpec]] = {
    spec.name: spec
    for spec in (
        ToolSpec("profile", "The history: tastes, breadth, recency, rating habits.", False, False),
        ToolSpec("item_facts", "How popular are candidates, and do they rise?", False, True),
        ToolSpec("content", "Which candidates resemble the history in category and wording?", False, True),
        ToolSpec("item_cf", "People who took an item of the history: what else did they take?", True, True),
        ToolSpec("user_cf", "People with the most similar history: what did they take?", True, True),
        ToolSpec("transitions", "What do people take soon after the latest items?", False, True),
        ToolSpec("ease", "What does an item of the history add beyond all the others?", False, True),
        ToolSpec("contrary", "Which candidates do people who took the history's items avoid?", False, True),
        ToolSpec("compare", "All signals for all candidates, as levels from 0 to 15.", False, False),
    )
}


@dataclass(frozen=True, eq=False)
class World:
    """What tools look things up in, shared by all tasks: the catalogue and the graph."""

    mentions: Sequence[str]
    """Of each item, in index order."""
    graph: Graph
    semantics: Semantics
    config: SignalsConfig = field(default_factory=SignalsConfig)

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        graph: Graph,
        config: SignalsConfig | None = None,
        embeddings: NDArray[np.float32] | None = None,
    ) -> World:
        """Of a catalogue and what was counted over it; embeddings as in `Semantics`."""
        return cls(catalogue.mentions, graph, Semantics.of(catalogue, embeddings), config or SignalsConfig())

    def sentence(self, fact: Fact) -> str:
        """A fact as it may be said to anyone."""
        return sentence(fact, self.mentions, support=self.config.support)

    def cited(self, text: str, facts: FactNumbers, subjects: Mapping[str, int]) -> Cited:
        """The citations of a text of a trace; arguments as of `check_citations`."""
        return check_citations(
            text,
            facts,
            subjects,
            self.mentions,
            topics=self.semantics.topics,
            support=self.config.support,
        )

    def view(self, task: RankingTask) -> TaskView:
        """All that this task may see."""
        return TaskView.of(self.graph, self.semantics, task)

    def toolbox(self, task: RankingTask) -> Toolbox:
        """The tools for this task."""
        return Toolbox(self, task)


class Toolbox:
    """The tools of one task."""

    def __init__(self, world: World, task: RankingTask) -> None:
        self.task = task
        self.labels = labels(len(task.candidates))
        self._world = world

    @cached_property
    def ties(self) -> Keys:
        """`(c,)` a hash of each candidate: orders those that evidence leaves equal, whatever their places."""
        return mention_ties(self.mentions(self.task.candidates))

    @cached_property
    def view(self) -> TaskView:
        """All that the task may see."""
        return self._world.view(self.task)

    @cached_property
    def evidence(self) -> Evidence:
        """All evidence for the task, gathered once."""
        return gather(self.view)

    @property
    def old_windows(self) -> Iterator[Window]:
        """The history before its `SHOWN` latest items, oldest first, cut where windows are full."""
        old = self.task.history[:-SHOWN]
        semantics = self._world.semantics
        for start in range(0, len(old), WINDOW):
            items = old[start : start + WINDOW]
            counts = semantics.category[items].sum(axis=0)
            strongest = np.lexsort((np.arange(len(counts)), -counts))
            tastes = {escape(semantics.topics[at]): int(counts[at]) for at in strongest.tolist() if counts[at]}
            yield Window(self.mentions(items), tastes)

    def call(self, name: str, arguments: Mapping[str, object], facts: FactNumbers) -> str:
        """Answer one call.

        Args:
            facts: those of the trace in which is asked; the facts of the answer are numbered by it.

        Raises:
            ToolError: there is no such tool, or an argument is unknown or out of range.
        """
        spec = TOOLS.get(name)
        if spec is None:
            raise ToolError(f"There is no tool {name!r}. Tools: {', '.join(TOOLS)}.")
        window, columns = self._arguments(spec, arguments)
        match name:
            case "profile":
                return self._sentences(self.evidence.profile, facts) or self._silence
            case "compare":
                return "".join(self.rows())
            case "contrary":
                return self._against(columns, facts)
            case "item_facts" | "content":
                return self._answer(_OF_ITEMS[name], columns, facts)
            case "transitions" | "ease":
                return self._answer((name,), columns, facts)
            case _:
                return self._answer((f"{name}.{window}",), columns, facts)

    def mentions(self, items: NDArray[np.int32]) -> list[str]:
        """How these items stand in text."""
        return [self._world.mentions[item] for item in items.tolist()]

    def rows(self) -> list[str]:
        """One compact row a candidate: its mention, a level of each signal, its label."""
        mentions = self._world.mentions
        levels = self.evidence.levels
        return [
            mentions[item]
            + "".join(
                compact(signal, level) for signal, level in zip(SIGNALS, levels[:, at].tolist(), strict=True)
            )
            + self.labels[at]
            for at, item in enumerate(self.task.candidates.tolist())
        ]

    def _answer(self, signals: Sequence[str], columns: list[int] | None, facts: FactNumbers) -> str:
        """The orders of these signals, and the most telling fact of each candidate that was asked about (of the
        first five); asked about none in particular, of those that the first signal puts first, within the
        evidence budget."""
        support = self._world.config.support
        scores = {name: self.evidence.scores[SIGNALS.index(name)] for name in signals}
        orders = [order_text(name, own, self.labels, self.ties, columns) for name, own in scores.items()]
        if columns is None:
            first = scores[signals[0]]
            order = np.lexsort((self.ties, -first))
            columns = [at for at in order[: self._world.config.budget].tolist() if first[at] > 0]
        lines = []
        for at in columns[:_FACTS]:
            behind = [fact for name in signals if (fact := self.evidence.fact(name, at)) is not None]
            best = self._sentences(select(behind, 1, support=support), facts)
            lines.append(f"{self.labels[at]} {best or 'Nothing is known.'}")
        return " ".join(filter(None, [*orders, *lines])) or self._silence

    @cached_property
    def _silence(self) -> str:
        """What is said where there is nothing to say, and why: not every person has a history that others
        share."""
        if not len(self.task.history):
            return "There is no history yet: only popularity and descriptions can speak."
        if np.isnan(self.evidence.scores[SIGNALS.index("item_cf.whole")]).all():
            return "This history stands alone so far: only popularity and descriptions can speak."
        return "Nothing is known."

    def _against(self, columns: list[int] | None, facts: FactNumbers) -> str:
        """Contrary facts, the surest first."""
        against = np.zeros(len(self.labels))
        found: dict[int, Fact] = {}
        for at in range(len(self.labels)) if columns is None else columns:
            if (fact := self.evidence.contrary(at)) is not None:
                found[at], against[at] = fact, -fact.significance
        order = sorted(found, key=lambda at: (-against[at], self.ties[at]))
        budget = len(order) if columns is not None else self._world.config.budget
        lines = [f"{self.labels[at]} {self._sentences([found[at]], facts)}" for at in order[:budget]]
        text = order_text("contrary", against, self.labels, self.ties, columns)
        return " ".join(filter(None, [text, *lines])) or "Nothing speaks against them."

    def _sentences(self, said: Sequence[Fact], facts: FactNumbers) -> str:
        return " ".join(f"#{facts.number(fact)} {self._world.sentence(fact)}" for fact in said)

    def _arguments(self, spec: ToolSpec, arguments: Mapping[str, object]) -> tuple[str, list[int] | None]:
        given = dict(arguments)
        window = given.pop("window", "recent") if spec.windows else ""
        if spec.windows and window not in ("recent", "whole"):
            raise ToolError(f'`window` of {spec.name} is "recent" or "whole", not {window!r}.')
        asked = given.pop("candidates", None) if spec.candidates else None
        if given:
            raise ToolError(f"{spec.name} takes no argument {', '.join(map(repr, given))}.")
        if asked is None:
            return str(window), None
        columns = []
        for name in asked if isinstance(asked, list) else [asked]:
            mark = name if str(name).startswith("‹") else f"‹{name}›"
            if mark not in self.labels:
                raise ToolError(f"There is no candidate {name!r}; labels go from A to {self.labels[-1][1:-1]}.")
            columns.append(self.labels.index(mark))
        return str(window), columns


def mention_ties(mentions: Sequence[str]) -> Keys:
    """`(n,)` a hash of each mentioned item, from its text alone, so that a written trace has the same."""
    return text_keys(mentions, 0, "ties")
