"""A language model as a student's fast mode: the logits of the candidates' labels are their scores.

One pass over the prompt, one position at its end, and of the output matrix only the rows of the labels. Prompts
of tasks with as many candidates are equally long where titles are left out, so a batch needs no padding; where
it does, the padding stands behind the prompt, which a causal model does not see from before it.

A saved student is a folder of transformers, or of peft where low-rank adapters were trained, and
`student.json`: which base, rendering and evidence the weights belong to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers import logging as transformers_logging

from starrec.errors import RunError, StarrecError
from starrec.runs import write_atomic
from starrec.student.config import LanguageModelConfig, StudentConfig
from starrec.student.fast import LANGUAGE_MODEL
from starrec.student.lm.bases import LanguageBase, computes_in_bfloat16, device_of, load_base
from starrec.student.lm.chat import VERSION as CHAT_VERSION
from starrec.student.lm.chat import ChatSettings
from starrec.student.lm.text import LETTERED, VERSION, Prompts, TextRendering
from starrec.student.rows import FastTasks
from starrec.tools import World

_TOKENS: Final = 4096
"""Tokens of a batch in inference."""


@dataclass(frozen=True)
class Belongs:
    """What a student's weights belong to."""

    base: str
    digest: str
    """Of the base's weights (`bases.weights_digest`)."""
    rendering: int
    signals: tuple[str, ...]
    """That its rows tell."""
    titles: bool
    context: int
    adapter: bool
    """Whether the folder holds an adapter over the base, or whole weights."""
    chat: ChatSettings | None = None
    """The dialogue of think mode; None where they were not trained on traces."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """
        Raises:
            RunError: the folder's record cannot be read.
        """
        try:
            record = json.loads((folder / LANGUAGE_MODEL).read_text(encoding="utf-8"))
            chat = record.get("chat") and ChatSettings(**record["chat"])
            return cls(**{**record, "signals": tuple(record["signals"]), "chat": chat or None})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RunError(
                f"The student in {folder} has no readable {LANGUAGE_MODEL} ({error}). Delete that folder and "
                "run `starrec distill` again."
            ) from error


class LanguageModel:
    """A causal language model that scores candidates; while it is trained, adapters lie beside its weights."""

    def __init__(
        self,
        lm: Any,
        tokenizer: PreTrainedTokenizerBase,
        belongs: Belongs,
        world: World | None,
        config: LanguageModelConfig,
    ) -> None:
        """
        Args:
            lm: a `PreTrainedModel`, or one in a `PeftModel`.
            world: whose titles are shown; may be None where none are.

        Raises:
            StarrecError: as `TextRendering`.
        """
        mentions = world.mentions if world is not None and belongs.titles else None
        self.rendering = TextRendering(tokenizer, belongs.context, mentions)
        self.tokenizer = tokenizer
        self.belongs = belongs
        self.config = config
        self.device = device_of(config)
        self.bfloat16 = computes_in_bfloat16(config)
        self.lm = lm.to(self.device).eval()
        self.label_ids = torch.from_numpy(self.rendering.label_ids).to(self.device)

    @classmethod
    def of(cls, base: LanguageBase, world: World | None, config: StudentConfig) -> Self:
        """A student before its training: the base, with fresh adapters that change nothing yet if the settings
        name a rank; the same seed gives the same ones."""
        lora = config.lm.lora
        lm: Any = base.model
        belongs = Belongs(
            base.name,
            base.digest,
            VERSION,
            LETTERED,
            config.lm.titles,
            base.context,
            adapter=lora.rank > 0,
            chat=ChatSettings.of(config.lm.traces) if config.lm.traces.trained else None,
        )
        if lora.rank:
            from peft import LoraConfig, get_peft_model

            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                lm = get_peft_model(
                    lm,
                    LoraConfig(
                        r=lora.rank,
                        lora_alpha=lora.alpha,
                        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
                        task_type="CAUSAL_LM",
                    ),
                )
        return cls(lm, base.tokenizer, belongs, world, config.lm)

    @classmethod
    def load(cls, folder: Path, world: World | None, config: LanguageModelConfig | None = None) -> Self:
        """A student that `save` saved; an adapter is merged into its base.

        Raises:
            RunError: the folder's student is corrupt, or of another base, rendering, evidence or dialogue.
            StarrecError: its base cannot be found.
        """
        belongs = Belongs.read(folder)
        again = "Run `starrec distill` again, which makes a student beside it."
        if (belongs.rendering, belongs.signals) != (VERSION, LETTERED):
            raise RunError(
                f"The student in {folder} learned to read other evidence (rendering {belongs.rendering} of "
                f"{len(belongs.signals)} signals) than this release writes. {again}"
            )
        if belongs.chat is not None and belongs.chat.version != CHAT_VERSION:
            raise RunError(
                f"The student in {folder} learned to think in another dialogue (version "
                f"{belongs.chat.version}) than this release holds ({CHAT_VERSION}). {again}"
            )
        config = config or LanguageModelConfig(titles=belongs.titles, context=belongs.context)
        transformers_logging.disable_progress_bar()
        if belongs.adapter:
            base = load_base(StudentConfig(base=belongs.base, lm=config))
            if base.digest != belongs.digest:
                raise RunError(
                    f"The adapter in {folder} was trained over other weights than those of {belongs.base!r} "
                    f"now (it belongs to {belongs.digest}, the base is {base.digest}). Name the base that "
                    f"it was trained over in {LANGUAGE_MODEL}, or train anew."
                )
        try:
            if belongs.adapter:
                from peft import PeftModel

                # Typed as what it wraps.
                adapted: Any = PeftModel.from_pretrained(base.model, str(folder))
                lm, tokenizer = adapted.merge_and_unload(), base.tokenizer
            else:
                tokenizer = AutoTokenizer.from_pretrained(folder)
                lm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        except Exception as error:  # whatever the libraries find wrong with their files
            raise RunError(
                f"The student in {folder} cannot be loaded ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}). Delete that folder and run `starrec distill` again."
            ) from error
        return cls(lm, tokenizer, belongs, world, config)

    def save(self, folder: Path) -> None:
        """Write weights (an adapter alone where there is one), tokenizer and `student.json`."""
        transformers_logging.disable_progress_bar()
        self.lm.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_atomic(folder / LANGUAGE_MODEL, json.dumps(asdict(self.belongs), indent=1))

    @property
    def most(self) -> int:
        """Candidates of a task that can be ranked."""
        return self.rendering.most

    def scores(self, tasks: FastTasks) -> NDArray[np.float32]:
        """The score of each row, `(n, c)`; -inf in padding.

        Raises:
            StarrecError: a task has more candidates than can be ranked.
        """
        found = np.full(tasks.order.shape, -np.inf, dtype=np.float32)
        for rows in self._batches(tasks):
            size = int(tasks.present[rows[0]].sum())
            part = FastTasks(tasks.numbers[rows, :size], tasks.order[rows, :size], tasks.items[rows, :size])
            found[rows, :size] = self.label_logits(self.rendering.prompts(part), size).cpu().numpy()
        return found

    @torch.inference_mode()
    def label_logits(self, prompts: Prompts, size: int) -> torch.Tensor:
        """`(n, size)` logits of the first labels at the last position of each prompt."""
        transformer: Any = self.plain.base_model
        head: Any = self.plain.get_output_embeddings()
        with self.autocast():
            hidden = transformer(torch.from_numpy(prompts.ids).to(self.device), use_cache=False)[0]
        asked = hidden[torch.arange(len(hidden)), torch.from_numpy(prompts.last).to(self.device)]
        rows = self.label_ids[:size]
        logits: torch.Tensor = asked.float() @ head.weight[rows].float().T
        return logits if head.bias is None else logits + head.bias[rows]

    @property
    def plain(self) -> PreTrainedModel:
        """The model without peft's wrapping; its layers hold the adapters."""
        found: PreTrainedModel = getattr(self.lm, "get_base_model", lambda: self.lm)()
        return found

    def autocast(self) -> AbstractContextManager[object]:
        """Multiplies in bfloat16 where that is on."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext()

    def _batches(self, tasks: FastTasks) -> Iterator[NDArray[np.int64]]:
        """Rows of tasks with equally many candidates, a few thousand tokens at a time."""
        sizes = tasks.present.sum(axis=1)
        for size in np.unique(sizes).tolist():
            if size > self.most:
                raise StarrecError(
                    f"A task has {size} candidates, and {self.belongs.base} ranks at most {self.most}: by its "
                    "labels and its context. Set `[student] base` to `nano`, which ranks 200,"
                    " or ask for fewer."
                )
            alike = np.flatnonzero(sizes == size)
            together = max(1, _TOKENS // self.rendering.length(size))
            for start in range(0, len(alike), together):
                yield alike[start : start + together]
