"""What is exported as a GGUF file, read by llama.cpp itself (`make test-llm`)."""

import numpy as np
import pytest

from starrec.student import StudentConfig
from starrec.student.lm.bases import load_base
from starrec.student.lm.export import GGUF, export_language_model
from starrec.student.lm.model import LanguageModel

pytestmark = pytest.mark.local_llm


def test_llama_cpp_scores_labels_as_the_student_does(kept, moved, world, tmp_path):
    from llama_cpp import Llama

    config = StudentConfig.model_validate({"base": "smollm2", "lm": {"lora": {"rank": 4}}})
    model = LanguageModel.of(load_base(config), world, config)
    moved(model, 0.05)
    model.save(tmp_path / "student")
    into = export_language_model(tmp_path / "student", tmp_path / "out", None, gguf=True)
    llama = Llama(str(into / GGUF), n_ctx=512, logits_all=True, verbose=False)
    base = LanguageModel.of(load_base(config), world, config)
    tasks = kept[0][np.arange(4)]
    prompts, size = model.rendering.prompts(tasks), tasks.order.shape[1]
    labels = model.rendering.label_ids[:size]
    for at in range(len(tasks)):
        ids = prompts.ids[at, : prompts.last[at] + 1].tolist()
        assert llama.tokenize(model.rendering.text(tasks, at).encode(), add_bos=False, special=True) == ids
        llama.reset()
        llama.eval(ids)
        scores = llama.scores[len(ids) - 1][labels]
        np.testing.assert_allclose(scores, model.scores(tasks)[at], atol=0.15)
        assert np.abs(scores - base.scores(tasks)[at]).max() > 0.5
