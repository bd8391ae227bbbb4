"""What the README says can be done: its commands exist, its links lead somewhere, its numbers come from a run.

`.ci/run` executes the commands at their smallest size; here they only have to be understood.
"""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer.main

from starrec.cli import app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/agentsociety.md",
    "benchmarks/README.md",
    "docs/architecture.md",
    "docs/evaluation.md",
    "docs/mcp.md",
    "docs/serving.md",
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


def test_readme_has_its_markers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- results -->") == text.count("<!-- /results -->") == 1


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs_which_would_go_stale(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
