"""Randomness that belongs to a thing, not to its place in a file.

Shuffles, tie breaks and negatives must come out the same whatever order the input was in, whichever other
users are present, and on every machine. So nothing here draws from a shared random stream: each value is a
hash of the seed and the names of what it is for (a user id, an item id, a draw). Python's own `hash()`
changes from process to process and is never used. Strings go through BLAKE2b once each; all combining is
SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) on whole arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys: TypeAlias = NDArray[np.uint64]


def text_keys(texts: Iterable[str], seed: int, purpose: str) -> Keys:
    """One 64-bit key for each text, `(n,) uint64`; seed and purpose make independent families of keys."""
    salt = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8, key=salt).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def mix(keys: Keys) -> Keys:
    """SplitMix64's finaliser: a bijection on 64-bit values whose output bits all depend on all input bits."""
    z = keys + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def combine(keys: ArrayLike, *values: ArrayLike) -> Keys:
    """Fold integers or other keys into keys; shapes broadcast, and the order of the values matters."""
    result = mix(np.atleast_1d(_as_keys(keys)))
    for value in values:
        result = mix(result ^ mix(np.atleast_1d(_as_keys(value))))
    return result


def uniform_integers(keys: Keys, below: ArrayLike) -> NDArray[np.int64]:
    """Each key as an integer in `[0, below)`; `below` broadcasts and stays under 2**31 (bias < 2**-22)."""
    unit = (keys >> np.uint64(11)).astype(np.float64) * 2.0**-53
    integers: NDArray[np.int64] = (unit * np.asarray(below)).astype(np.int64)
    return integers


def _as_keys(values: ArrayLike) -> Keys:
    array = np.asarray(values)
    # Two's complement keeps negative seeds apart from positive ones.
    return array if array.dtype == np.uint64 else array.astype(np.int64).view(np.uint64)
