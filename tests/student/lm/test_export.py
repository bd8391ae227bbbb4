"""What is exported stands alone, and its card says what was measured."""

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from starrec.errors import RunError
from starrec.student import load_student
from starrec.student.lm.export import export_language_model
from starrec.student.lm.model import LanguageModel

RESULTS = {
    "commit": "0123456789abcdef",
    "data_sha256": "fedcba9876543210",
    "evaluations": [
        {
            "dataset": "small",
            "scenario": "classic",
            "split": "leave-one-out",
            "negatives": 19,
            "systems": {"star": {"avg_hr": 0.7204, "avg_hr_ci95": [0.7, 0.74], "n_users": 943}},
            "comparisons": [{"a": "star", "b": "teacher", "ratio": 1.021, "ci95": [1.003, 1.039]}],
        }
    ],
}


def test_a_merged_export_needs_no_base(base, configured, kept, world, tmp_path):
    model = LanguageModel.of(base, world, configured())
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", RESULTS)
    assert not (into / "adapter_config.json").exists()
    np.testing.assert_allclose(load_student(into, world).fast.scores(kept[0]), model.scores(kept[0]), atol=1e-4)
    assert AutoModelForCausalLM.from_pretrained(into).config.model_type == "llama"
    card = (into / "README.md").read_text()
    assert (
        "| star | 0.720 | 0.700 to 0.740 | 943 |" in card and "star over teacher: 1.021 [1.003, 1.039]." in card
    )
    with pytest.raises(RunError, match="exists already"):
        export_language_model(tmp_path / "student", into, None)


def test_an_adapter_is_exported_as_it_is(base, configured, world, kept, tmp_path):
    model = LanguageModel.of(base, world, configured())
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", None, adapter=True)
    assert "library_name: peft" in (into / "README.md").read_text()
    np.testing.assert_allclose(load_student(into, world).fast.scores(kept[0]), model.scores(kept[0]), atol=1e-4)


def test_whole_weights_have_no_adapter(base, configured, world, tmp_path):
    LanguageModel.of(base, world, configured(rank=0)).save(tmp_path / "student")
    with pytest.raises(RunError, match="has no adapter"):
        export_language_model(tmp_path / "student", tmp_path / "out", None, adapter=True)
