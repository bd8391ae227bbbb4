"""A whole run with a language model as the student: distil, evaluate, recommend, export."""

import json
import shutil

import pytest
from tests.commands.conftest import TINY, done, own, refused, starrec, write_shop

from starrec import load
from starrec.errors import StarrecError
from starrec.student.lm import listwise
from starrec.trajectories import parse

pytestmark = pytest.mark.usefixtures("one_process")

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
[student.lm.traces]
titles = false
answer_tokens = 64
[student.lm.traces.sft]
epochs = 0.02
batch = 2
parts = 2
leave_out = true
[student.lm.traces.grpo]
steps = 1
tasks = 1
group = 2
trace_tokens = 700
turn_tokens = 40
"""


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory):
    """The folder of a shop; its run, stopped after SFT on traces and gone on with; what the command said."""
    shop = tmp_path_factory.mktemp("shop")
    write_shop(shop)
    base = shutil.copytree(folder, shop / "base")
    shape = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(shape | {"max_position_embeddings": 4096}))
    config = TINY.replace("[student]\n", f'[student]\nbase = "{base}"\n') + LANGUAGE_MODEL
    (shop / "tiny.toml").write_text(config.replace('["teacher_tuned"]', "[]"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listwise, "supervise_language_model", stopped)
        refused(starrec("run", "--config", shop / "tiny.toml", *own(shop), "--run", shop / "run"), "stopped")
    result = done("run", "--config", shop / "tiny.toml", *own(shop), "--run", shop / "run")
    return shop, shop / "run", result.output


def stopped(*_):
    """In the place of a stage: the run ends before it."""
    raise StarrecError("stopped")


def test_a_run_ranks_and_thinks_with_the_language_model(ran):
    _, run, said = ran
    results = json.loads((run / "results.json").read_text())
    assert {"star", "star_sft", "star_think", "teacher", "random"} <= set(results["systems"])
    assert "star_think" in results["latency_ms"]
    training, cited = results["training"], results["faithfulness"]["star_think"]
    assert training["grpo"]["tasks"] == 8
    assert (
        training["traces_sft"]["kept"] + training["traces_sft"]["too_long"] == training["traces_sft"]["tasks"]
    )
    assert training["traces_grpo"]["runs"] == 2 and training["traces_grpo"]["tasks"] == 1
    assert {"truncated", "ended_at_call", "tool_tokens"} <= set(training["traces_grpo"])
    assert len(training["curves"]["traces_grpo"]) == 1 and training["curves"]["traces_sft"]
    assert cited["traces"] == cited["parsed"] == 1 and cited["altered"] == 0
    said = " ".join(said.split())
    assert "SFT on traces done before" in said
    assert "whole catalogues are nano's" in said and "distill: GRPO of traces" in said
    assert (run / "report.html").exists() and not list(run.glob("distill/*/traces_*"))


def test_it_recommends_and_thinks(ran):
    shop, run, _ = ran
    model = load(run, system="star")
    found = model.recommend(history=["i1", "i2"], n=3)
    assert len(found) == 3 and found.system == "star" and found[0].reason is not None
    thought = model.recommend(history=["i1", "i2"], n=3, think=True).thought
    assert set(parse(thought.text, thought.labels).ranking) == set(thought.labels)
    said = done("recommend", "--run", run, "--history", "i1", "--think", "--raw").output
    assert "<plan>" in said and "</recommend>" in said
    steps = list(model.explain(["i3", "i4", "i5"], history=["i1", "i2"]))
    assert steps[0].tag == "plan" and steps[-1].tag == "recommend"
    done("export", "--run", run, shop / "exported")
    assert "avg_hr" in (shop / "exported" / "README.md").read_text()


def test_done_is_done(ran):
    shop, run, _ = ran
    again = done("run", "--config", shop / "tiny.toml", *own(shop), "--run", run)
    assert "distill: done before" in again.output and "evaluate: done before" in again.output
