"""Commands run in this process, what they end with, and the small shop that they are run on."""

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starrec.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = """
[data]
draws = 1
[teacher]
tasks_per_user = 12
runs = 2
[student]
evaluate_every = 4
[student.nano]
width = 64
intermediate = 64
heads = 2
[student.sft]
steps = 8
fast_batch = 4
think_batch = 1
[student.grpo]
steps = 8
batch = 4
group = 4
tasks_per_user = 2
[evaluation]
n_resamples = 100
think_users = 1
latency_requests = 20
probe_tasks = 4
tie_seeds = 1
worked_examples = 1
controls = ["teacher_tuned"]
"""
"""The smallest configuration of a whole run."""


def starrec(*arguments, input=None):
    """Run a command, whatever comes of it; input: what is typed."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)


def done(*arguments):
    """Run a command that has to succeed."""
    result = starrec(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(result, *parts):
    """Asserts that a command ended with code 2 and one paragraph in which all parts stand; that paragraph."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ") and sum(line.startswith("error: ") for line in lines) == 1
    assert all(part in lines[-1] for part in parts), lines[-1]
    return lines[-1]


def own(folder):
    """The options that name a shop's files."""
    return ["--interactions", folder / "my.csv", "--items", folder / "my_items.csv"]


def write_shop(folder):
    """Write the files on which `.ci/readme.py` runs the README: 60 people, 60 things, 916 interactions."""
    spec = importlib.util.spec_from_file_location("ci_readme", ROOT / ".ci" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_shop(folder)


@pytest.fixture(scope="module")
def shop_files(tmp_path_factory):
    """A folder of this module with a shop's files."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    return folder
