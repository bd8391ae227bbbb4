"""Lines of Python in `src` and `tests`, by package, of two commits.

    .venv/bin/python benchmarks/sizes.py BEFORE [AFTER]

A package is the first folder below `src/starrec` or `tests`; `(modules)` are the files beside them. Blank
lines, comments and docstrings count.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from pathlib import Path

from record import keep

ROOT = Path(__file__).resolve().parent.parent
PARTS = {"src": "src/starrec", "tests": "tests"}
MODULES = "(modules)"


def lines(repository: Path, commit: str) -> dict[str, Counter[str]]:
    """Lines by part (`src`, `tests`) and package.

    Raises:
        subprocess.CalledProcessError: there is no such commit.
    """
    listed = subprocess.run(
        # Every line matches: one call counts the lines of all files.
        ["git", "grep", "--count", "", commit, "--", *(f"{folder}/*.py" for folder in PARTS.values())],
        cwd=repository, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    for line in listed.splitlines():
        path, count = line.removeprefix(f"{commit}:").rsplit(":", 1)
        part = next(part for part, folder in PARTS.items() if path.startswith(f"{folder}/"))
        package, _, rest = path.removeprefix(f"{PARTS[part]}/").partition("/")
        counts[part][package if rest else MODULES] += int(count)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?", default="HEAD")
    given = parser.parse_args()
    before, after = (lines(ROOT, commit) for commit in (given.before, given.after))
    print(f"{'':<22}{'before':>8}{'after':>8}{'change':>8}")
    for part in PARTS:
        for package in sorted(before[part] | after[part]):
            old, new = before[part][package], after[part][package]
            print(f"{f'{part}/{package}':<22}{old:>8,}{new:>8,}{new - old:>+8,}")
        old, new = before[part].total(), after[part].total()
        print(f"{part:<22}{old:>8,}{new:>8,}{new - old:>+8,}\n")
    sizes = {
        moment: {
            part: {"total": packages.total(), **dict(sorted(packages.items()))}
            for part, packages in found.items()
        }
        for moment, found in (("before", before), ("after", after))
    }
    named = {"before": given.before, "after": given.after}
    commits = {
        moment: subprocess.run(
            ["git", "rev-parse", commit], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        for moment, commit in named.items()
    }
    keep("sizes", {"commits": commits, "lines": sizes})


if __name__ == "__main__":
    main()
