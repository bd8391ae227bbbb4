"""Memory that a part of a step needs for a while only.

All steps run in one process. What a part frees lies between what stays in use, and glibc keeps it for later;
the next part, which needs blocks of other sizes, takes more beside it (`benchmarks/demo.py` measures the peak).
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

_ARENA_MAX: Final = -8
"""`M_ARENA_MAX` of malloc.h."""
_ARENAS: Final = 2
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def gives_back(part: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """The function; afterwards, what is free is returned to the system (glibc; elsewhere nothing is done)."""

    @wraps(part)
    def then_trimmed(*args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        try:
            return part(*args, **kwargs)
        finally:
            _trim()

    return then_trimmed


def few_arenas() -> None:
    """Let threads that come from now on share two arenas (glibc; elsewhere nothing is done): each would keep
    what it freed to itself."""
    _ask_malloc("mallopt", _ARENA_MAX, _ARENAS)


def _trim() -> None:
    gc.collect()
    _ask_malloc("malloc_trim", 0)


def _ask_malloc(what: str, *arguments: int) -> None:
    if sys.platform == "linux":
        asked = getattr(ctypes.CDLL(None), what, None)
        if asked is not None:
            asked(*arguments)
