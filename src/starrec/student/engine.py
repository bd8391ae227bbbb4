"""The inference engine: one student, two modes.

`fast` ranks in one prefill: all evidence as compact rows, and the distribution over the candidates' labels
right after `<recommend>` is the ranking, averaged over a few label permutations. `think` writes the whole
trajectory: it plans, calls tools, reads their answers, reflects and ranks. Answers are looked up for real and
inserted while the key-value cache is kept, so the cost of a trace is its own tokens once.

What thinking knows of a candidate it has asked for: there is no evidence in its prompt. It may also ask
its own fast mode for its order (`calls.FAST_ORDER`).

What it writes is constrained so that every trace parses and every citation holds (`trace`). Before it ranks, it
looks at `compare` as the teacher's Ranker always does: a student that would skip that is made to ask, which is
noted among the repairs. The ranking is read off the label distribution right after `<recommend>`, so it is
always a permutation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast
from transformers import logging as transformers_logging

from starrec.data import RankingTask, plain
from starrec.errors import RunError
from starrec.ranking import Ranking, from_scores
from starrec.student.calls import CallForm, fast_order
from starrec.student.grounding import Grounding, figure_tokens
from starrec.student.listwise import label_logits, logits_of
from starrec.student.prompts import FastPrompts, FastTasks, gather_tasks
from starrec.student.trace import Step, Thought, Trace
from starrec.tools import Toolbox, World, think_task
from starrec.trajectories import TAGS

TIE_SEED: Final = 5
LABEL_PERMUTATIONS: Final = 4
"""Label permutations that fast mode averages over, in one batched prefill: what a candidate is called should
not matter, and what is left of it averages out (avg_hr +0.006, the same first candidate in 93% instead of 86%
of tasks when labels are permuted; validation)."""
_BATCH: Final = 32
_TAGS: Final = {mark for tag in TAGS for mark in (f"<{tag}>", f"</{tag}>")}


class Star:
    """A student with the world that it looks things up in."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, world: World) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.world = world
        self.prompts = FastPrompts(tokenizer, list(world.mentions))
        self.figures = torch.tensor(figure_tokens(tokenizer))
        vocabulary = tokenizer.get_vocab().items()
        self.words = tokenizer.batch_decode([[at] for at in range(len(tokenizer))])
        """Each token's text."""
        self.brackets = torch.tensor(sorted(at for token, at in vocabulary if "<" in token or ">" in token))
        """Tokens with a raw `<` or `>` (tags among them): text between tags may hold none."""
        self.tags = {token: at for token, at in vocabulary if token in _TAGS}
        """The token of each opening and closing tag."""

    @classmethod
    def load(cls, folder: Path, world: World) -> Self:
        """A student saved by `save`.

        Raises:
            RunError: the folder holds no student, or a corrupt one.
        """
        if not (folder / "model.safetensors").exists():
            raise RunError(
                f"There is no student in {folder}. Train one with `starrec distill` or `starrec run`."
            )
        again = "Delete that folder and run `starrec distill` again."
        # Without its configuration transformers would fill the memory with a Llama of 7 billion parameters.
        for name in ("config.json", "tokenizer.json"):
            if not (folder / name).exists():
                raise RunError(f"The student in {folder} lacks its {name}. {again}")
        transformers_logging.disable_progress_bar()
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
            model = LlamaForCausalLM.from_pretrained(folder)
        except Exception as error:  # whatever safetensors, json and transformers find wrong with the files
            raise RunError(
                f"The student in {folder} cannot be loaded ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}). {again}"
            ) from error
        words = tokenizer.get_vocab()
        unknown = next((mention for mention in world.mentions if mention not in words), None)
        if unknown is not None:
            raise RunError(
                f"The student in {folder} was trained on another catalogue: it does not know "
                f"{plain(unknown)!r}. Run `starrec distill` for this data, in another folder or with --fresh."
            )
        return cls(model, tokenizer, world)

    def save(self, folder: Path) -> None:
        """Write model and tokenizer to a folder."""
        transformers_logging.disable_progress_bar()
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def rank(self, task: RankingTask) -> Ranking:
        """Fast mode, one request, evidence look-up included."""
        return self.rank_many([task])[0]

    def rank_many(self, tasks: Sequence[RankingTask]) -> list[Ranking]:
        """Fast mode for many tasks, in batches of those with equally many candidates."""
        by_size: dict[int, list[int]] = defaultdict(list)
        for at, task in enumerate(tasks):
            by_size[len(task.candidates)].append(at)
        ranked: dict[int, Ranking] = {}
        for places in by_size.values():
            alike = [tasks[at] for at in places]
            scores = self.scores(gather_tasks(self.world, alike))
            for at, task, row in zip(places, alike, scores, strict=True):
                ranked[at] = from_scores(task.candidates, row, TIE_SEED)
        return [ranked[at] for at in range(len(tasks))]

    @torch.inference_mode()
    def scores(
        self, tasks: FastTasks, label_permutation: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Fast mode's score of each candidate, `(n, c)`: mean log-probability over `LABEL_PERMUTATIONS` label
        permutations.

        Args:
            label_permutation: `(n, c)` number of each candidate's label; None gives the labels of the task.
        """
        n, c = tasks.candidates.shape
        if n > _BATCH:
            cuts = [np.arange(at, min(at + _BATCH, n)) for at in range(0, n, _BATCH)]
            return np.concatenate(
                [
                    self.scores(tasks[cut], None if label_permutation is None else label_permutation[cut])
                    for cut in cuts
                ]
            )
        first = np.tile(np.arange(c), (n, 1)) if label_permutation is None else label_permutation
        every = np.concatenate(
            [(first + turn * c // LABEL_PERMUTATIONS) % c for turn in range(LABEL_PERMUTATIONS)]
        )
        batch = self.prompts.batch(tasks[np.tile(np.arange(n), LABEL_PERMUTATIONS)], label_permutation=every)
        log_p = label_logits(self.model, batch).log_softmax(dim=1)
        mean: NDArray[np.float32] = log_p.reshape(LABEL_PERMUTATIONS, n, c).mean(dim=0).numpy()
        return mean

    def fast_order(self, toolbox: Toolbox, scores: NDArray[np.float32] | None = None) -> str:
        """What the tool `fast_order` answers: the order of fast mode.

        Args:
            scores: of the task's candidates in fast mode, where they are known already.
        """
        if scores is None:
            scores = self.scores(gather_tasks(self.world, [toolbox.task]))[0]
        return fast_order(scores, toolbox.labels, toolbox.ties)

    @torch.inference_mode()
    def think(
        self, task: RankingTask, *, grounded: bool = True, edit: Callable[[str], str] | None = None
    ) -> Thought:
        """Think mode, one request: greedy, so the same task gives the same trace.

        Args:
            grounded: whether facts can only be cited as this trace's tools stated them; off to measure how well
                the student cites on its own.
            edit: gives the answer that is read in place of a tool's; to measure what the ranking follows from.
        """
        toolbox = self.world.toolbox(task)
        prompt = think_task(toolbox)
        grounding = Grounding(self.tokenizer, toolbox.labels) if grounded else None
        trace = Trace(self, toolbox, CallForm(toolbox.labels), grounding, edit)
        trace.read(f"<task>{prompt}</task>")
        trace.write("plan")
        while (tag := trace.choose()) != "recommend":
            if tag == "reflection":
                trace.write(tag)
            else:
                trace.ask(trace.form)
        if not trace.compared and not trace.full:
            trace.repairs.append("asked `compare` before the ranking")
            trace.ask(CallForm(toolbox.labels, ["compare"]))
        trace.read("<recommend>")
        ranking = from_scores(task.candidates, self._label_scores(trace.state(), toolbox), TIE_SEED)
        column = {item: at for at, item in enumerate(task.candidates.tolist())}
        order = "".join(toolbox.labels[column[item]] for item in ranking.items)
        trace.steps.append(Step("recommend", order, True))
        return Thought(
            ranking,
            prompt,
            toolbox.labels,
            tuple(trace.steps),
            tuple(trace.repairs),
            trace.written,
            trace.length - trace.written,
            trace.facts,
        )

    def _label_scores(self, hidden: torch.Tensor, toolbox: Toolbox) -> np.ndarray:
        ids = torch.tensor([self.tokenizer.convert_tokens_to_ids(list(toolbox.labels))])
        scores: np.ndarray = logits_of(self.model, hidden, ids)[0].numpy()
        return scores
