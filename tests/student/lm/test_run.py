"""A whole run with a language model as the student: distil, evaluate, recommend, export."""

import json

import pytest
from tests.commands.conftest import TINY, done, own, refused, starrec, write_shop

from starrec import load

LANGUAGE_MODEL = """
[student.lm]
evaluations = 1
[student.lm.lora]
rank = 4
[student.lm.sft]
epochs = 0.2
[student.lm.grpo]
steps = 2
batch = 4
"""


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory):
    """The folder of a shop, its finished run, and what the command said."""
    shop = tmp_path_factory.mktemp("shop")
    write_shop(shop)
    config = TINY.replace("[student]\n", f'[student]\nbase = "{folder}"\n') + LANGUAGE_MODEL
    (shop / "tiny.toml").write_text(config.replace('["teacher_tuned"]', "[]"))
    result = done("run", "--config", shop / "tiny.toml", *own(shop), "--run", shop / "run")
    return shop, shop / "run", result.output


def test_a_run_ranks_with_the_language_model(ran):
    _, run, said = ran
    results = json.loads((run / "results.json").read_text())
    assert {"star", "star_sft", "teacher", "random"} <= set(results["systems"])
    assert "star_think" not in results["systems"] and "star_think" not in results["latency_ms"]
    assert results["training"]["grpo"]["tasks"] == 8
    assert "think mode and the catalogue are nano's" in " ".join(said.split())
    assert (run / "report.html").exists()


def test_it_recommends_and_says_what_it_cannot(ran):
    shop, run, _ = ran
    model = load(run, system="star")
    found = model.recommend(history=["i1", "i2"], n=3)
    assert len(found) == 3 and found.system == "star" and found[0].reason is not None
    said = starrec("recommend", "--run", run, "--history", "i1", "--think")
    refused(said, "nano")
    done("export", "--run", run, shop / "exported")
    assert "avg_hr" in (shop / "exported" / "README.md").read_text()


def test_done_is_done(ran):
    shop, run, _ = ran
    again = done("run", "--config", shop / "tiny.toml", *own(shop), "--run", run)
    assert "distill: done before" in again.output and "evaluate: done before" in again.output
