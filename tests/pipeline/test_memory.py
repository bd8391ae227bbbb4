"""Memory that a part of a step needed goes back to the system, also where something between it stays in use."""

import sys
from pathlib import Path

import pytest

from starrec.pipeline.memory import gives_back

MIB = 2**20


def resident():
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def part(n):
    """100 MiB in pieces that the C library keeps when they are freed; one of 50 stays in use."""
    return [b"x" * 51_200 for _ in range(n)][::50]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back on Linux")
def test_what_was_needed_for_a_while_is_given_back():
    before = resident()
    kept = gives_back(part)(2048)
    assert len(kept) == 41 and resident() - before < 20 * MIB


def test_errors_pass():
    @gives_back
    def failing():
        raise KeyError("x")

    with pytest.raises(KeyError):
        failing()
    assert failing.__name__ == "failing"
