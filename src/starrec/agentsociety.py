"""`StarAgent`: a finished run as an agent of the AgentSociety challenge (AgentRecBench, recommendation track).

The challenge's simulator makes an agent a task (`AgentClass(llm=...)`), gives it `interaction_tool` and `task`,
and calls `workflow()`, which returns the candidates, best first. It takes classes, so `StarAgent.of(run)` makes
one. Where the challenge's package `websocietysimulator` is installed, the class derives from its
`RecommendationAgent`, which its simulator insists on; without it, it has the same methods.

What the agent reads through the tool is data: reviews become the history by the rules of the data source
`agentsociety`, and their text is not used. Reviews of candidates are left out of the history: the tool of the
public package returns the one that is asked about too, unless it was given a block set.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from starrec.config import load_recorded
from starrec.data import DataConfig, Dataset, RankingTask
from starrec.data.dataset import Stretch
from starrec.data.given_tasks import SCENARIO, shuffled, without
from starrec.data.platforms import history_of, items_of
from starrec.engines import run_async
from starrec.errors import StarrecError
from starrec.hashing import text_keys
from starrec.pipeline import RunConfig
from starrec.pipeline.tasks import reopen
from starrec.pipeline.teach import WAYS
from starrec.ranking import Ranking, repair
from starrec.teacher import AgentError, EmbeddedPolicy, Outcome, TeacherConfig, run
from starrec.tools import Toolbox, World, retrieve

Mode: TypeAlias = Literal["fast", "think", "teacher"]
"""STAR in one pass; STAR writing its trace; MARS, played as the run's configuration says."""
Rank: TypeAlias = Callable[[RankingTask], Ranking]
_PACKAGE: Final = "websocietysimulator"
_WORD: Final = re.compile(r"[^\W_]+")


class StarAgent:
    """An agent of the challenge. `StarAgent.of` makes the class that its simulator is given."""

    served: ClassVar[Served]
    """The run that answers, shared by all agents of a class."""

    def __init__(self, llm: object = None) -> None:
        """
        Args:
            llm: what the simulator hands to every agent. It is not asked: STAR is the run's student, and MARS
                asks the model that the run names.
        """
        if not hasattr(self, "served"):
            raise StarrecError('An agent answers from a run: give the simulator StarAgent.of("runs/demo").')
        self.llm = llm
        self.interaction_tool: Any = None
        self.task: Any = None

    @classmethod
    def of(cls, run: str | Path, mode: Mode = "fast") -> type[StarAgent]:
        """The class of agents that answer from a run.

        Raises:
            RunError: the run has no data, or for STAR no student, or they are corrupt.
            StarrecError: there is no such mode, or the installed package of the challenge cannot be imported.
        """
        bases = (cls, *_package_base())
        served = Served.open(Path(run), mode)
        made = types.new_class(cls.__name__, bases, exec_body=lambda body: body.update(served=served))
        return cast(type[StarAgent], made)

    @classmethod
    def summary(cls) -> str:
        """What was asked of this class so far, and what of it could not be used."""
        counts = cls.served.counts
        return "; ".join(f"{count:,} {what}" for what, count in counts.items()) or "nothing was asked"

    def set_interaction_tool(self, interaction_tool: Any) -> None:
        """Take the tool that knows users, items and reviews."""
        self.interaction_tool = interaction_tool

    def insert_task(self, task: Any) -> None:
        """Take a task: a mapping, or an object whose `to_dict` gives one."""
        self.task = task if isinstance(task, Mapping) else task.to_dict()

    def workflow(self) -> list[Any]:
        """The task's candidates, best first: each entry of `candidate_list` once, as it stands there.

        Raises:
            StarrecError: there is no tool, or no task with `user_id` and `candidate_list`.
        """
        if self.interaction_tool is None:
            raise StarrecError("The agent has no interaction_tool: give it one before workflow().")
        if not isinstance(self.task, Mapping) or not isinstance(self.task.get("candidate_list"), list):
            raise StarrecError(f"The agent has no task with a candidate_list, only {self.task!r:.80}.")
        if self.task.get("user_id") is None:
            raise StarrecError("The agent's task has no user_id.")
        return self.served.ranked(str(self.task["user_id"]), self.task["candidate_list"], self.interaction_tool)


@dataclass(eq=False)
class Served:
    """A run's data and one system of it. Any number of threads may ask at once."""

    dataset: Dataset
    settings: DataConfig
    rank: Rank
    counts: Counter[str]
    """How many tasks, candidates and reviews there were of each kind that is worth knowing."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, folder: Path, mode: Mode) -> Served:
        """Of a run folder."""
        counts: Counter[str] = Counter()
        if mode == "teacher":
            tasks = reopen(folder)
            prepared, config = tasks.prepared, tasks.config
            rank = _mars(prepared.world, config.teacher, folder / WAYS, counts)
            return cls(prepared.dataset, config.data, rank, counts)
        if mode not in get_args(Mode):
            raise StarrecError(f"There is no mode {mode!r}, only {', '.join(map(repr, get_args(Mode)))}.")
        # Imported here: MARS does without torch.
        from starrec.pipeline.serving import open_serving
        from starrec.student import MAX_LABELS, load_thinker

        serving = open_serving(folder, "train")
        config, _ = load_recorded(folder / "config.toml", RunConfig)
        if mode == "fast":
            rank = _star(serving.fast.rank, serving.fast.world, serving.fast.fast.most)
        else:
            star = load_thinker(serving.student, serving.fast.world)
            rank = _star(lambda task: star.think(task).ranking, serving.fast.world, MAX_LABELS)
        return cls(serving.dataset, config.data, rank, counts)

    def ranked(self, user_id: str, listed: list[Any], tool: Any) -> list[Any]:
        """Candidates in order: those that the run knows, then the others by how they are described, then
        repeats."""
        given: dict[str, Any] = {}
        repeats = []
        for each in listed:
            item_id = str(each).strip()
            if item_id in given:
                repeats.append(each)
            else:
                given[item_id] = each
        known = [item_id for item_id in given if item_id in self._items]
        unknown = [item_id for item_id in given if item_id not in self._items]
        history = self._history(user_id, known, tool)
        self._count({"tasks": 1, "candidates that the run does not know": len(unknown)})
        self._count({"repeated candidates": len(repeats), "tasks without a history": not len(history.items)})
        order = self._order(user_id, known, history) if len(known) > 1 else known
        if unknown:
            items = items_of((tool.get_item(item_id=given[item_id]) for item_id in unknown), self.settings)
            order += self._by_description(unknown, items.iter_rows(), history)
        return [*(given[item_id] for item_id in order), *repeats]

    def _order(self, user_id: str, known: list[str], history: Stretch) -> list[str]:
        candidates = [self._items[item_id] for item_id in shuffled(user_id, known, self.settings.seed)]
        task = RankingTask(
            task_id=f"{SCENARIO}/live",
            user=self._users.get(user_id, -1),
            user_id=user_id,
            history=history.items,
            candidates=np.array(candidates, dtype=np.int32),
            scenario=SCENARIO,
            days=history.days,
            ratings=history.ratings,
        )
        return [self.dataset.item_ids[item] for item in self.rank(task).items]

    def _history(self, user_id: str, known: list[str], tool: Any) -> Stretch:
        reviews = tool.get_reviews(user_id=user_id) or []
        every, report = history_of(user_id, reviews, self.dataset, self.settings, self.settings.tie_seed)
        history = without(every, np.array([self._items[item_id] for item_id in known], dtype=np.int32))
        self._count(
            {
                "reviews read": len(reviews),
                "of them of other items, or without what is needed": report.bad,
                "of them of a candidate": len(every.items) - len(history.items),
            }
        )
        return history

    def _by_description(
        self, unknown: list[str], rows: Iterable[tuple[Any, ...]], history: Stretch
    ) -> list[str]:
        """Items that the run does not know, by the share of the history that has the same words and categories,
        rare ones weighing more (as in TF-IDF); equal ones, and those without a description, by hash."""
        past = self.dataset.items[history.items.tolist()].select("title", "categories").iter_rows()
        taken = Counter(trait for title, categories in past for trait in _traits(title, categories))
        scores = dict.fromkeys(unknown, 0.0)
        for item_id, title, categories, _ in rows:
            traits = _traits(title, categories)
            weights = {trait: np.log1p(self.dataset.n_items / (1 + self._spread[trait])) for trait in traits}
            shared = sum(weight * taken[trait] for trait, weight in weights.items())
            scores[item_id] = shared / sum(weights.values()) if weights else 0.0
        keys = dict(zip(unknown, text_keys(unknown, self.settings.seed, "unknown").tolist(), strict=True))
        return sorted(unknown, key=lambda item_id: (-scores[item_id], keys[item_id]))

    @cached_property
    def _items(self) -> dict[str, int]:
        return {item_id: item for item, item_id in enumerate(self.dataset.item_ids)}

    @cached_property
    def _users(self) -> dict[str, int]:
        return {user_id: user for user, user_id in enumerate(self.dataset.user_ids)}

    @cached_property
    def _spread(self) -> Counter[str]:
        """How many items of the catalogue have each word or category."""
        rows = self.dataset.items.select("title", "categories").iter_rows()
        return Counter(trait for title, categories in rows for trait in _traits(title, categories))

    def _count(self, found: Mapping[str, int]) -> None:
        with self._lock:
            self.counts.update({what: int(count) for what, count in found.items() if count})


def _star(rank: Rank, world: World, most: int) -> Rank:
    """Rank one task at a time; more candidates than a mode ranks at once in parts, as retrieved."""
    lock = threading.Lock()

    def answer(task: RankingTask) -> Ranking:
        with lock:
            if len(task.candidates) < 2:
                return Ranking(tuple(task.candidates.tolist()))
            if len(task.candidates) <= most:
                return rank(task)
            found = retrieve(world.graph, task.user, task.history, world.graph.n_items)
            best = found[np.isin(found, task.candidates)]
            parts = np.array_split(best, -(-len(best) // most))
            return Ranking(tuple(item for part in parts for item in rank(_within(task, part)).items))

    return answer


def _within(task: RankingTask, candidates: NDArray[np.int32]) -> RankingTask:
    """The task about some of its candidates, in the task's order, which says nothing."""
    return replace(task, candidates=task.candidates[np.isin(task.candidates, candidates)])


def _mars(world: World, config: TeacherConfig, ways: Path, counts: Counter[str]) -> Rank:
    """Play the team over one task, greedily. The embedded policy computes, one task at a time; a model is
    waited for. Where it gives no answer the candidates stay as they are shuffled, and that is counted."""
    lock = threading.Lock()
    play = _policy(config, lock) if config.model.embedded else _models(config, ways)

    def answer(task: RankingTask) -> Ranking:
        with lock:
            toolbox = world.toolbox(task)
            _ = toolbox.evidence
        try:
            return play(toolbox).ranking
        except AgentError:
            with lock:
                counts["tasks in which the model gave no answer"] += 1
            return repair([], task.candidates)

    return answer


def _policy(config: TeacherConfig, lock: threading.Lock) -> Callable[[Toolbox], Outcome]:
    policy = EmbeddedPolicy(config.seed)

    def play(toolbox: Toolbox) -> Outcome:
        with lock:
            return run_async(run(policy, toolbox))

    return play


def _models(config: TeacherConfig, ways: Path) -> Callable[[Toolbox], Outcome]:
    # Imported here: pydantic-ai is an extra, and takes seconds.
    from starrec.teacher.llm import LLMAgents
    from starrec.teacher.tryout import TryOut

    LLMAgents(config)  # a model that cannot be there is reported before the first task

    async def ask(toolbox: Toolbox) -> Outcome:
        agents = LLMAgents(config)
        TryOut(agents, kept=ways)  # asked in the ways that the run's teaching found
        try:
            return await run(agents, toolbox)
        finally:
            await agents.close()

    return lambda toolbox: run_async(ask(toolbox))


def _package_base() -> tuple[type, ...]:
    """The challenge's own class of agents, where it is installed."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return ()
    try:
        return (importlib.import_module(f"{_PACKAGE}.agent").RecommendationAgent,)
    except ImportError as error:
        raise StarrecError(
            f"{_PACKAGE} is installed and cannot be imported ({error}). Install what it needs, or uninstall it "
            "to use the agent with a loop of your own."
        ) from error


def _traits(title: str, categories: Iterable[str]) -> set[str]:
    return {f"w:{word}" for word in _WORD.findall(title.lower())} | {f"c:{name.lower()}" for name in categories}
