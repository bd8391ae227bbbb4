"""Memory that a part of a step needed goes back to the system, also where something between it stays in use."""

import platform
import subprocess
import sys

import psutil
import pytest

from starrec.pipeline.memory import gives_back

MIB = 2**20


ARENAS = """
import ctypes, sys, threading
from starrec.pipeline.memory import few_arenas
if sys.argv[2] == "few":
    few_arenas()
if not hasattr(ctypes.CDLL(None), "mallopt"):
    sys.exit(print(0))  # not glibc: nothing was to be done, and it was
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
all_there = threading.Barrier(8)
def take():
    all_there.wait()
    libc.malloc(100)
    all_there.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(open(sys.argv[1]).read().count("<heap nr="))
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def part(n):
    """100 MiB in pieces that the C library keeps when they are freed; one of 50 stays in use."""
    return [b"x" * 51_200 for _ in range(n)][::50]


def test_what_was_needed_for_a_while_is_given_back():
    process = psutil.Process()
    before = process.memory_info().rss
    kept = gives_back(part)(2048)
    assert len(kept) == 41
    # Other C libraries are not asked: the pieces that are free may stay.
    assert process.memory_info().rss - before < (20 if GLIBC else 200) * MIB


def test_threads_share_two_arenas_once_told(tmp_path):
    counted = {}
    for told in ("few", "any"):
        command = [sys.executable, "-c", ARENAS, str(tmp_path / told), told]
        counted[told] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert counted["few"] <= 2
    assert counted["any"] > 2 if GLIBC else counted["any"] == 0


def test_errors_pass():
    @gives_back
    def failing():
        raise KeyError("x")

    with pytest.raises(KeyError):
        failing()
    assert failing.__name__ == "failing"
