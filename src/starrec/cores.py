"""How many processors this process may use: fewer than the machine has, in a container or under `taskset`."""

from __future__ import annotations

import os


def cores() -> int:
    """At least 1."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
