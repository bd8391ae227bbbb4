"""The tools that teacher and student share, bound to one task.

A `Toolbox` knows the task's history, candidates and the user whose own doings must stay out of every count; a
caller names a tool and its arguments and cannot reach anything else. So an agent, a trained model or a
stranger's prompt can ask what it likes and never see an edge that the task may not see. Answers are text
(sentences, for agents to reason over) with the numbers behind them (scores, for a policy to rank by).

`compare` is the one tool with the compact rendering: every candidate, every signal, one token each. The Ranker
looks at it last, and fast mode looks at nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Dataset, RankingTask, escape
from starrec.errors import StarrecError
from starrec.hashing import Keys, combine
from starrec.signals import (
    SIGNALS,
    Evidence,
    Fact,
    Graph,
    Semantics,
    SignalsConfig,
    TaskView,
    compact,
    gather,
    labels,
    select,
    sentence,
)
from starrec.tools.memory import SHOWN, WINDOW, Window

if TYPE_CHECKING:
    from starrec.signals.checker import Checked, Checker


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
        ToolSpec("item_facts", "Popularity of candidates, their trend, and what they share.", False, True),
        ToolSpec("item_cf", "People who took an item of the history: what else did they take?", True, True),
        ToolSpec("user_cf", "People with the most similar history: what did they take?", True, True),
        ToolSpec("transitions", "What do people take soon after the latest items?", False, True),
        ToolSpec("ease", "What does an item of the history add beyond all the others?", False, True),
        ToolSpec("contrary", "Which candidates do people who took the history's items avoid?", False, True),
        ToolSpec("compare", "All signals for all candidates, as levels from 0 to 15.", False, False),
    )
}


@dataclass(frozen=True, eq=False, slots=True)
class ToolResponse:
    """What a tool answered."""

    text: str
    """Sentences (or compact rows); items as mentions, candidates by label."""
    scores: NDArray[np.float64] | None = None
    """`(c,)` what the tool's signal says of each candidate, NaN where it has no basis; None for tools that
    do not score."""


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
        dataset: Dataset,
        graph: Graph,
        config: SignalsConfig | None = None,
        embeddings: NDArray[np.float32] | None = None,
    ) -> World:
        """Of a catalogue and what was counted over it; embeddings as in `Semantics`."""
        return cls(dataset.mentions, graph, Semantics.of(dataset, embeddings), config or SignalsConfig())

    @cached_property
    def checker(self) -> Checker:
        """Checks what anyone says of this world."""
        # Imported here: reading claims takes half a second to get ready, and ranking reads none.
        from starrec.signals.checker import Checker
        from starrec.signals.claims import Catalogue

        return Checker(Catalogue(self.mentions, self.semantics.topics))

    def sentence(self, fact: Fact) -> str:
        """A fact as it may be said to anyone."""
        return sentence(fact, self.mentions, support=self.config.support)

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
        return combine(self.task.candidates, 5)

    @cached_property
    def view(self) -> TaskView:
        """All that the task may see."""
        return TaskView.of(self._world.graph, self._world.semantics, self.task)

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

    def call(self, name: str, arguments: Mapping[str, object]) -> ToolResponse:
        """Answer one call.

        Raises:
            ToolError: there is no such tool, or an argument is unknown or out of range.
        """
        spec = TOOLS.get(name)
        if spec is None:
            raise ToolError(f"There is no tool {name!r}. Tools: {', '.join(TOOLS)}.")
        window, columns = self._arguments(spec, arguments)
        match name:
            case "profile":
                return ToolResponse(self._sentences(self.evidence.profile) or self._silence)
            case "compare":
                return ToolResponse("".join(self.rows()))
            case "contrary":
                return self._against(columns)
            case "item_facts":
                return self._answer("popularity", columns, also=("trend", "category", "semantic"))
            case "transitions" | "ease":
                return self._answer(name, columns)
            case _:
                return self._answer(f"{name}.{window}", columns)

    def check(self, text: str) -> list[Checked]:
        """Each claim of a text about the graph, and whether it is true of what the task may see."""
        return self._world.checker.check(text, self.view)

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

    def _answer(self, signal: str, columns: list[int] | None, also: Sequence[str] = ()) -> ToolResponse:
        """What a signal says: of the candidates asked about, or of its strongest ones. Other signals speak
        beside it within the same budget, the most telling facts first."""
        scores = self.evidence.scores[SIGNALS.index(signal)]
        budget = self._world.config.budget
        if columns is None:
            order = np.lexsort((self.ties, -scores))
            columns = [at for at in order[:budget].tolist() if scores[at] > 0]
        lines = []
        for at in columns:
            facts = [self.evidence.fact(name, at) for name in (signal, *also)]
            known = [fact for fact in facts if fact is not None]
            beside = select(known[1:], 1, support=self._world.config.support)
            sentences = self._sentences(known[:1] + beside) or "Nothing is known."
            lines.append(f"{self.labels[at]} {sentences}")
        return ToolResponse(" ".join(lines) or self._silence, scores)

    @cached_property
    def _silence(self) -> str:
        """What is said where there is nothing to say, and why: not every person has a history that others
        share."""
        if not len(self.task.history):
            return "There is no history yet: only popularity and descriptions can speak."
        if np.isnan(self.evidence.scores[SIGNALS.index("item_cf.whole")]).all():
            return "This history stands alone so far: only popularity and descriptions can speak."
        return "Nothing is known."

    def _against(self, columns: list[int] | None) -> ToolResponse:
        """Contrary facts, the surest first."""
        asked = range(len(self.labels)) if columns is None else columns
        found = [(at, fact) for at in asked if (fact := self.evidence.contrary(at)) is not None]
        budget = self._world.config.budget
        if columns is None:
            found = sorted(found, key=lambda pair: (pair[1].significance, self.ties[pair[0]]))[:budget]
        lines = [f"{self.labels[at]} {self._sentences([fact])}" for at, fact in found]
        return ToolResponse(" ".join(lines) or "Nothing speaks against them.")

    def _sentences(self, facts: Sequence[Fact]) -> str:
        return " ".join(map(self._world.sentence, facts))

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
