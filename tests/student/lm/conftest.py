"""Language models of two layers with SmolLM2's tokenizer, one of which knows a run of the teacher by heart."""

import asyncio
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from starrec.data import leave_one_out, training_positions, training_tasks
from starrec.signals import Graph
from starrec.student import Labelled, StudentConfig, gather_tasks
from starrec.student.lm.bases import load_base, load_tokenizer
from starrec.student.lm.chat import Chat
from starrec.student.lm.clock import LanguageStage
from starrec.teacher import EmbeddedPolicy, run
from starrec.tools import World


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """On every processor, so that figures can be compared: elsewhere it is bfloat16 where that is fast."""
    monkeypatch.setattr("starrec.student.lm.model.computes_in_bfloat16", lambda config: False)


@pytest.fixture(scope="session")
def smollm2():
    """SmolLM2's tokenizer."""
    return load_tokenizer("smollm2")


def llama(tokenizer, seed=0, **shape):
    """A random Llama of two layers."""
    torch.manual_seed(seed)
    defaults = {"num_hidden_layers": 2, "tie_word_embeddings": True, "pad_token_id": tokenizer.pad_token_id}
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **defaults, **shape))


@pytest.fixture(scope="session")
def folder(smollm2, tmp_path_factory):
    """The folder of a random model."""
    folder = tmp_path_factory.mktemp("tiny")
    llama(
        smollm2,
        hidden_size=32,
        intermediate_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
    ).save_pretrained(folder)
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


@pytest.fixture(scope="session")
def moved():
    """Moves the adapters of a student at random, which new ones change nothing with, by so much."""

    def moved(model, deviation):
        torch.manual_seed(0)
        with torch.no_grad():
            for name, weight in model.lm.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=deviation)

    return moved


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


@pytest.fixture(scope="session")
def chat(smollm2):
    return Chat(smollm2, titles=False)


@pytest.fixture(scope="session")
def short_world(titled):
    dataset = titled(lambda item: f"Title {item}")
    split = leave_one_out(dataset.sequences(0))
    return World.of(dataset.catalogue, Graph.build(split.train, dataset.n_items))


@pytest.fixture(scope="session")
def short(titled, short_world):
    """Tasks of three candidates, their targets, and a greedy run of the teacher over each: few tokens."""
    dataset = titled(lambda item: f"Title {item}")
    split = leave_one_out(dataset.sequences(0))
    positions = training_positions(dataset, split, per_user=1, min_history=2, seed=0)
    tasks, targets = training_tasks(dataset, split, positions, seed=0, epoch=0, negatives=2)
    runs = [asyncio.run(run(EmbeddedPolicy(), short_world.toolbox(task))).trajectory for task in tasks[:12]]
    order = sorted(range(12), key=lambda at: sum(len(message.content) for message in runs[at].messages))
    return [tasks[at] for at in order], targets, [runs[at] for at in order]


@pytest.fixture(scope="session")
def newborn_lm(smollm2):
    """A model that has learned nothing, by seed."""
    return partial(
        llama,
        smollm2,
        hidden_size=64,
        intermediate_size=128,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
    )


@pytest.fixture(scope="session")
def by_heart(newborn_lm, chat, short):
    """A model that writes the teacher's first run, whatever chance says. Only the rows of that run's tokens are
    trained; those of the 49,000 others are zero, and so are their logits."""
    encoded = chat.encode(chat.conversation(short[2][0]).messages)
    learn = torch.from_numpy(encoded.learn)[1:]
    known, ids = torch.from_numpy(encoded.ids).unique(return_inverse=True)
    model = newborn_lm()
    rows = (0.1 * torch.randn(len(known), model.config.hidden_size)).requires_grad_()
    others = torch.full((int(learn.sum()), 1), math.log(model.config.vocab_size - len(known)))
    layers = [weight for name, weight in model.named_parameters() if "embed_tokens" not in name]
    optimizer = torch.optim.Adam([*layers, rows], lr=5e-3)
    for _ in range(400):
        states = model.model(inputs_embeds=rows[ids][None]).last_hidden_state[0, :-1][learn]
        loss = functional.cross_entropy(torch.cat([states @ rows.T, others], dim=1), ids[1:][learn])
        if loss.item() < 0.004:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02, loss.item()
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()[known] = rows
    return model.eval()
