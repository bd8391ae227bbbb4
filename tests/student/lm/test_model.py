"""Scores are the labels' logits; students are saved, loaded and refused as they should be."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from starrec.errors import CannotThink, RunError, StarrecError
from starrec.student import FastMode, LanguageStar, Star, StudentConfig, load_student, load_thinker
from starrec.student.lm.bases import load_base
from starrec.student.lm.chat import VERSION, ChatSettings
from starrec.student.lm.model import LanguageModel


@pytest.fixture
def model(base, configured):
    """With adapters that change something."""
    model = LanguageModel.of(base, None, configured())
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in model.lm.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model


def test_scores_are_full_logits_of_the_labels(model, kept):
    prompts = model.rendering.prompts(kept[0])
    with torch.no_grad():
        full = model.lm(torch.from_numpy(prompts.ids)).logits[:, -1]
    ids = [model.tokenizer.encode(label, add_special_tokens=False)[0] for label in model.rendering.labels[:6]]
    np.testing.assert_allclose(model.scores(kept[0]), full[:, ids].numpy(), atol=1e-5)


def test_a_saved_adapter_ranks_as_before(model, kept, world, lessons, tmp_path):
    before = model.scores(kept[0])
    FastMode(model, world).save(tmp_path)
    star = load_student(tmp_path, world)
    assert not isinstance(star, Star)
    np.testing.assert_allclose(star.fast.scores(kept[0]), before, atol=1e-4)
    task = lessons[0][0]
    assert star.rank(task) == star.rank_many([task])[0]
    assert sorted(star.rank(task).items) == sorted(task.candidates.tolist())


def test_fresh_adapters_change_nothing(base, configured, kept):
    plain = LanguageModel.of(base, None, configured(rank=0)).scores(kept[0])
    np.testing.assert_array_equal(LanguageModel.of(base, None, configured()).scores(kept[0]), plain)


def test_an_adapter_over_another_base_is_refused(model, world, tmp_path):
    model.save(tmp_path)
    record = json.loads((tmp_path / "student.json").read_text())
    (tmp_path / "student.json").write_text(json.dumps({**record, "digest": "0" * 16}))
    with pytest.raises(RunError, match="over other weights"):
        load_student(tmp_path, world)


def test_another_rendering_is_refused(model, world, tmp_path):
    model.belongs = replace(model.belongs, signals=("ease",))
    model.save(tmp_path)
    with pytest.raises(RunError, match="other evidence"):
        load_student(tmp_path, world)


def test_without_traces_it_says_that_it_cannot_think(model, world, tmp_path):
    model.save(tmp_path)
    with pytest.raises(CannotThink, match="not trained on traces"):
        load_thinker(tmp_path, world)
    with pytest.raises(StarrecError, match="nano"):
        Star.load(tmp_path, world)


def test_the_dialogue_is_kept_with_the_weights(base, configured, world, tmp_path):
    traces = {"sft": {"epochs": 1}, "titles": False, "answer_tokens": 64, "fast_order": True}
    LanguageModel.of(base, None, configured(traces=traces)).save(tmp_path)
    star = load_student(tmp_path, world)
    assert isinstance(star, LanguageStar)
    assert star.model.belongs.chat == ChatSettings(VERSION, titles=False, answer_tokens=64, fast_order=True)
    assert star.chat.answer_tokens == 64 and "fast_order" in star.chat.tools and star.fast_order_tool
    record = json.loads((tmp_path / "student.json").read_text())
    record["chat"]["version"] += 1
    (tmp_path / "student.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="another dialogue"):
        load_student(tmp_path, world)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nano", "no pretrained base"),
        ("no/such/path.gguf", "no file"),
        ("/no/such/folder", "no base"),
        ("two words", "no base"),
    ],
)
def test_what_is_no_base_is_refused(name, said):
    with pytest.raises(StarrecError, match=said):
        load_base(StudentConfig(base=name))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(StarrecError, match=r"no config\.json"):
        load_base(StudentConfig(base=str(tmp_path)))
