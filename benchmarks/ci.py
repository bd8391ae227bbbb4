"""How long `.ci/run` takes on a new machine: the last commit, cloned, with a virtual environment of its own.

    .venv/bin/python benchmarks/ci.py

The clone has no virtual environment, no compiled files and no caches of numba, mypy or pytest. It shares with
this user pip's cache of downloads and the data that were fetched before, as on a machine that builds every day.
Not included: the clone itself, installing Python, `make test-llm` (which compiles llama.cpp), and what is not
committed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from record import keep

ROOT = Path(__file__).resolve().parent.parent
_TOOK = re.compile(r"^== (.+) took (\d+) s$")


def steps(lines: Iterable[str]) -> dict[str, float]:
    """Minutes of each step, from what `.ci/run` prints."""
    found = (match for line in lines if (match := _TOOK.match(line.rstrip())))
    return {match[1]: int(match[2]) / 60 for match in found}


def clean_environment() -> dict[str, str]:
    """The environment without the virtual environment that this process may run in."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    own = str(Path(sys.executable).parent)
    if sys.prefix != sys.base_prefix:
        kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if part != own)
    return kept


def main() -> int:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    printed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="starrec-ci-") as folder:
        clone = Path(folder) / "starrec"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        command = [str(clone / ".ci" / "run")]
        with subprocess.Popen(
            command,
            cwd=clone,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                printed.append(line)
        if process.returncode:
            return process.returncode
        minutes = steps(printed)
        for name, value in minutes.items():
            print(f"{value:5.1f} min  {name}")
        rounded = {name: round(value, 2) for name, value in minutes.items()}
        keep("ci", {"minutes": rounded}, {"ci_minutes": round(sum(minutes.values()), 2)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
