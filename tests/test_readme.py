"""What the README says can be done: its commands exist, its links lead somewhere, its numbers come from a run.

`.ci/run` executes the commands at their smallest size; here they only have to be understood.
"""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer.main

from starrec.cli import app
from starrec.data import RankingTask
from starrec.evaluation import ranks_frame, summarise, write_results
from starrec.ranking import Ranking

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/signals.md",
    "docs/teacher.md",
]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ci = load(ROOT / ".ci" / "readme.py")
COMMANDS = [command for name in DOCUMENTS for command in ci.commands((ROOT / name).read_text(encoding="utf-8"))]


def test_there_are_commands_to_check():
    assert sum("starrec recommend" in command for command in COMMANDS) >= 2
    assert "make demo" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_understood(command):
    program, *arguments = shlex.split(command)
    if program == "make":
        # -n prints what would be done, and fails for a target that does not exist.
        subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)
        return
    assert program == ".venv/bin/starrec", "a stranger has no other program"
    group = typer.main.get_command(app)
    name, *options = arguments
    found = group.commands[name]
    while options and options[0] in getattr(found, "commands", {}):
        found, options = found.commands[options[0]], options[1:]
    context = found.make_context(name, options)
    assert context.params


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", text) if not t.startswith(("http", "#"))]
    missing = [target for target in targets if not (ROOT / name).parent.joinpath(target).exists()]
    assert missing == []


def test_python_of_the_documents_imports_what_exists():
    texts = "".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
    blocks = re.findall(r"```python\n(.*?)```", texts, re.DOTALL)
    assert blocks
    for block in blocks:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compile(block, "a document", "exec", flags)
        exec("\n".join(line for line in block.splitlines() if line.startswith(("import ", "from "))))


def test_results_are_filled_in_between_the_markers_only(tmp_path):
    others = list(range(1, 20))
    history, candidates = np.array([30], dtype=np.int32), np.arange(20, dtype=np.int32)
    task = RankingTask("test/u/0", 0, "u", history, candidates, split="test")
    ranks = pl.concat(
        ranks_frame(system, [task], [Ranking(items)], {"test/u/0": 0}, seed=0)
        for system, items in {"star": (0, *others), "teacher": (*others[:3], 0, *others[3:])}.items()
    )
    facts = {"teacher_kind": "embedded policy, no learned weights", "latency_ms": {"star": {"p50": 17.2}}}
    results = summarise(
        ranks, dataset="tiny", comparisons=[("star", "teacher")], seed=0, n_resamples=20, facts=facts
    )
    write_results(tmp_path / "results.json", results)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold numbers\n<!-- /results -->\nafter\n")
    command = [sys.executable, ROOT / "benchmarks" / "readme_results.py", "--readme", readme]
    for _ in range(2):  # filling in again changes nothing
        subprocess.run([*command, "--results", tmp_path / "results.json"], check=True)
        text = readme.read_text()
        assert text.startswith("before\n<!-- results -->\n") and text.endswith("\n<!-- /results -->\nafter\n")
        # rank 1: HR@1 = HR@5 = avg_hr = 1; rank 4: HR@5 alone, so avg_hr = 1/3
        assert (
            "| `star` | student, fast: one batched prefill | 1.000 | 1.000–1.000 | 1.000 | 1.000 | 17 ms | – |"
            in text
        )
        assert "| `teacher` | MARS, seven agents | 0.333 |" in text
        assert "star over teacher: x3.000" in text and "(teacher: embedded policy, no learned weights)" in text
        assert "old numbers" not in text
    assert (tmp_path / "docs" / "report.png").read_bytes().startswith(b"\x89PNG")

    readme.write_text("no markers")
    failed = subprocess.run(
        [*command, "--results", tmp_path / "results.json"], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1 and "<!-- results -->" in failed.stderr
    assert readme.read_text() == "no markers"


def test_readme_has_its_markers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- results -->") == text.count("<!-- /results -->") == 1
