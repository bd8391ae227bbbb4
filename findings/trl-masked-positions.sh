#!/usr/bin/env bash
# What one would guess: a position whose label is -100 costs SFTTrainer nothing in the output matrix; the fused head that
# computes the loss is described as projecting "only the positions whose next-token label is not -100".
#
# What it does (trl 1.16.0, CPU): that holds where there is Triton. Without, every position is projected, in tiles, with
# its entropy: 16 labels of 512 take as long as 511, and three times as long as the loss of transformers' own Trainer,
# which computes all logits at once. GRPOTrainer's log-probabilities go the same way. No warning.
#
# Why it matters: in trajectories with tools most tokens are the prompt and answers, and a vocabulary of 49,152 over a
# small model makes the head most of the work. src/starrec/student/lm/trajectory_sft.py computes the loss over the
# learned positions instead.
#
# Source: trl/trainer/utils.py, `add_fused_lm_head` (`compact = _use_triton(…)`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 trl==1.16.0

OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import os
import tempfile
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
import torch
import transformers
import trl
from datasets import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from tokenizers import Tokenizer, models
from trl import SFTConfig, SFTTrainer

torch.set_num_threads(1)
print("trl", trl.__version__, "transformers", transformers.__version__, "torch", torch.__version__)
VOCABULARY, LENGTH, STEPS = 32768, 512, 3
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>")),
    pad_token="<pad>",
    eos_token="<eos>",
)


def seconds(made, config, learned):
    """CPU seconds of a step, of which so many labels are no -100."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
    ids = torch.randint(2, VOCABULARY, (LENGTH,)).tolist()
    labels = [-100] * (LENGTH - learned) + ids[LENGTH - learned :]
    with tempfile.TemporaryDirectory() as folder:
        arguments = dict(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=1,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            **config,
        )
        trainer = made[0](
            model=model,
            args=made[1](**arguments),
            processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"input_ids": ids, "labels": labels}] * STEPS),
        )
        trainer.remove_callback(PrinterCallback)
        started = time.process_time()
        trainer.train()
        return (time.process_time() - started) / STEPS


own = {"max_length": None, "bf16": False, "gradient_checkpointing": False}
few, all_ = (seconds((SFTTrainer, SFTConfig), own, learned) for learned in (16, LENGTH - 1))
plain = seconds((Trainer, TrainingArguments), {}, 16)
print(
    f"a step of {LENGTH} tokens: TRL {few:.2f} s with 16 labels, {all_:.2f} s with all; transformers' Trainer {plain:.2f} s"
)
assert few > 0.7 * all_, "masked positions are free now"
assert few > 1.5 * plain, "no slower than the model's own loss any more"
PYTHON
