#!/usr/bin/env bash
# What one would guess: with beta above 0 GRPO holds a policy close to the model that the trainer was given, whose
# weights are those after SFT; and a stage leaves that model as it was, but for its weights.
#
# What it does (trl 1.16.0): given a model object, the reference is read anew from the path that the object was loaded
# from, so that it has the weights before SFT, and the divergence pulls training back to them. Given a PEFT model, the
# reference is a copy of its adapter, which stays in the caller's model as a second adapter "ref": `save_pretrained`
# writes it along, and a second trainer on the model raises ("Adapter with name 'ref' already exists").
#
# Why it matters: SFT and GRPO in one process, the usual way, train towards another goal than the equation says, without
# a message. src/starrec/student/lm/trajectory_grpo.py gives the reference the model's weights, and removes the adapter.
#
# Source: trl/trainer/grpo_trainer.py, "Reference model"; github.com/huggingface/trl/pull/5877.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 trl==1.16.0 \
    peft==0.21.2

"$folder/venv/bin/python" - "$folder" 2> "$folder/stderr" <<'PYTHON' || { cat "$folder/stderr" >&2; exit 1; }
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import peft
import torch
import transformers
import trl
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

print("trl", trl.__version__, "peft", peft.__version__, "transformers", transformers.__version__)
work = sys.argv[1]
words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "a": 2}, unk_token="<pad>"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")
shape = LlamaConfig(
    vocab_size=3,
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=64,
    pad_token_id=0,
    eos_token_id=1,
)
base = LlamaForCausalLM(shape)
for saved in (base, tokenizer):
    saved.save_pretrained(f"{work}/base")


def trainer(model):
    return GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **rest: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir=f"{work}/out",
            beta=0.1,
            per_device_train_batch_size=2,
            num_generations=2,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 2),
        processing_class=tokenizer,
    )


def apart(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one.parameters(), other.parameters(), strict=True))


tuned = LlamaForCausalLM.from_pretrained(f"{work}/base")
with torch.no_grad():
    for weight in tuned.parameters():
        weight.add_(0.5)
made = trainer(tuned)
reference = made.accelerator.unwrap_model(made.ref_model)
given, before = apart(reference, tuned), apart(reference, base)
print(f"the reference is {given:.2f} from the model that was given, and {before:.2f} from the base on disk")
assert given > 0.4 and before == 0, "the reference has the weights of the model that was given now"

adapted = get_peft_model(
    LlamaForCausalLM.from_pretrained(f"{work}/base"), LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
)
trainer(adapted)
adapted.save_pretrained(f"{work}/adapter")
print("adapters after a trainer was made:", list(adapted.peft_config), "saved:", sorted(os.listdir(f"{work}/adapter")))
assert "ref" in adapted.peft_config and os.path.isdir(f"{work}/adapter/ref"), "the copy is no longer left behind"
try:
    trainer(adapted)
except ValueError as error:
    print("a second trainer:", error)
else:
    raise AssertionError("a second trainer is made now")
PYTHON
