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
from typing import ParamSpec, TypeVar

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


def _trim() -> None:
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
