"""How a benchmark keeps what it measured: a JSON file beside the others, and the bars on the last lines it
prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from starrec.evaluation import environment

RESULTS: Final = Path(__file__).parent / "results"


def keep(
    name: str,
    content: Mapping[str, Any],
    bars: Mapping[str, float] | None = None,
    made: Mapping[str, Any] | None = None,
    folder: Path = RESULTS,
) -> None:
    """Print the result and write it as `FOLDER/NAME.json`, with commit, command, date (UTC) and environment.

    Args:
        bars: figures with a name; each is printed last as `bar NAME VALUE`.
        made: what is not that of this call, where the result was made by an earlier one.
    """
    result = {
        "row": name,
        **content,
        "bars": dict(bars or {}),
        "commit": _commit(),
        # Without folders of this machine.
        "command": " ".join(
            [
                ".venv/bin/python",
                f"benchmarks/{Path(sys.argv[0]).name}",
                *("FOLDER" if argument.startswith("/") else argument for argument in sys.argv[1:]),
            ]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "environment": environment(),
        **(made or {}),
    }
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for bar, value in (bars or {}).items():
        print(f"bar {bar} {value:g}")


def _commit() -> str:
    """The commit of the checkout, with a mark where files that count differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=RESULTS, capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../src", "..")
    changed = "\n".join(line for line in changed.splitlines() if "benchmarks/results/" not in line)
    return git("rev-parse", "HEAD") + ("+changes" if changed else "")
