"""Pools are as large as what the process may use."""

import subprocess
import sys

CONFINED = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from starrec.cores import cores
from starrec.engines import Workers
print(cores(), Workers(None).processes)
"""


def test_a_process_that_is_confined_to_a_core_uses_one():
    printed = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, check=True)
    assert printed.stdout == "1 1\n"
