"""A student's weights as a GGUF file, which llama.cpp, Ollama and others run.

The base must be a GGUF file itself: all but the weights is copied from there (architecture, tokenizer, chat
template, licence), so that the student is read just as its base is. A base from the hub has no such file;
llama.cpp's own `convert_hf_to_gguf.py` converts the exported folder then.

Matrices are written as 16-bit floats and vectors as 32-bit ones, as llama.cpp's converter does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gguf
import numpy as np
import torch
from gguf.constants import GGUFValueType, Keys, LlamaFileType
from numpy.typing import NDArray
from transformers import PreTrainedModel

from starrec.errors import RunError
from starrec.student.lm.bases import gguf_of
from starrec.student.lm.model import Belongs

_ROTATED: Final = {"llama": True, "qwen2": False, "qwen3": False}
"""Architectures that can be written, and whether llama.cpp keeps the rows of queries and keys in another order:
the two of a rotation side by side."""
_WRITTEN: Final = (
    Keys.General.ARCHITECTURE,
    Keys.General.FILE_TYPE,
    Keys.General.QUANTIZATION_VERSION,
    Keys.General.NAME,
)
"""Keys that do not come from the base."""


def base_file(belongs: Belongs) -> Path:
    """The GGUF file of a student's base.

    Raises:
        RunError: the base is none, or its architecture is not one that can be written.
    """
    found = gguf_of(belongs.base)
    if found is None:
        raise RunError(
            f"The base {belongs.base!r} is no GGUF file, from which the student's would take all but its "
            "weights. Export without --gguf, and convert the folder with llama.cpp's convert_hf_to_gguf.py."
        )
    architecture = _architecture(gguf.GGUFReader(found))
    if architecture not in _ROTATED:
        raise RunError(
            f"The base {belongs.base!r} is of the architecture {architecture!r}; {', '.join(_ROTATED)} can be "
            "written. Export without --gguf, and convert the folder with llama.cpp's convert_hf_to_gguf.py."
        )
    return found


def write_gguf(model: PreTrainedModel, name: str, base: Path, into: Path) -> None:
    """Write a model's weights to a new file.

    Args:
        model: whole weights, without adapters.
        name: of the model, for those who list it.
        base: as of `base_file`.

    Raises:
        RunError: the model has not just the base's tensors.
    """
    reader = gguf.GGUFReader(base)
    architecture = _architecture(reader)
    writer = gguf.GGUFWriter(into, architecture)
    writer.add_name(name)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    for key, field in reader.fields.items():
        # What begins so is the file's own header.
        if key in _WRITTEN or key.startswith("GGUF."):
            continue
        kind = field.types[0]
        writer.add_key_value(
            key, field.contents(), kind, sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None
        )
    weights = _named(model, architecture)
    expected = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in reader.tensors}
    if {key: weight.shape for key, weight in weights.items()} != expected:
        raise RunError(
            f"The student has not the tensors of {base.name} ({len(weights)} and {len(expected)}, or other "
            "shapes), so it is no student of that base."
        )
    for key in expected:
        writer.add_tensor(key, weights[key])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _named(model: PreTrainedModel, architecture: str) -> dict[str, NDArray[np.float16] | NDArray[np.float32]]:
    """The tensors of a model by their names in GGUF, in llama.cpp's order of rows."""
    config = model.config
    names = gguf.get_tensor_name_map(_architecture_of(architecture), config.num_hidden_layers)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    state = model.state_dict()
    if config.tie_word_embeddings:
        state.pop("lm_head.weight", None)
    found = {}
    for own, weight in state.items():
        key = names.get_name(own, try_suffixes=(".weight", ".bias"))
        if key is None:
            raise RunError(f"GGUF has no name for the tensor {own} of a {architecture} model.")
        values = weight.detach().to("cpu", torch.float32)
        # Such as blk.7.attn_q.weight
        if _ROTATED[architecture] and (part := key.split(".")[-2]) in heads:
            values = _pairs_side_by_side(values, heads[part])
        array = values.numpy()
        found[key] = array.astype(np.float16) if array.ndim > 1 else array
    return found


def _pairs_side_by_side(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of each head in the order 0, d/2, 1, d/2 + 1, …: transformers rotates the halves of a head against
    each other, llama.cpp neighbours.

    Args:
        weight: `(heads * d, ...)`.
    """
    parts = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return parts.transpose(1, 2).reshape(weight.shape).contiguous()


def _architecture(reader: gguf.GGUFReader) -> str:
    return str(reader.fields[Keys.General.ARCHITECTURE].contents())


def _architecture_of(name: str) -> gguf.MODEL_ARCH:
    return next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
