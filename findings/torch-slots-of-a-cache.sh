#!/usr/bin/env bash
# What one would guess: cache[slots, :, :n] and cache[:, :, :n].index_select(0, slots) take alike: they copy the same
# slots of a key-value cache, the same bytes, into the same new tensor.
#
# What it does (torch 2.13.0, CPU, one thread): the first takes 4 to 5 times as long. Indexing with a tensor beside
# slices walks over single elements through TensorIterator; index_select copies one slot after the other.
#
# Why it matters: who writes texts side by side gathers the slots that go on before each pass of each layer.
# src/starrec/student/reading.py uses index_select.
#
# Source: aten/src/ATen/native/cpu/IndexKernel.cpp (`index_kernel`), TensorAdvancedIndexing.cpp (`index_select_out_cpu_`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy

OMP_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PYTHON'
import time
from statistics import median

import torch

torch.set_num_threads(1)
print("torch", torch.__version__)
SLOTS, HEADS, CELLS, SIZE, READ = 64, 4, 768, 24, 500
cache = torch.randn(SLOTS, HEADS, CELLS, SIZE)


def microseconds(gather):
    gather()
    found = []
    for _ in range(40):
        started = time.perf_counter()
        gather()
        found.append(time.perf_counter() - started)
    return median(found) * 1e6


ratios = []
with torch.inference_mode():
    for count in (12, 32, 64):
        slots = torch.randperm(SLOTS)[:count]
        indexed = lambda: cache[slots, :, :READ]
        selected = lambda: cache[:, :, :READ].index_select(0, slots)
        assert torch.equal(indexed(), selected())
        one, other = microseconds(indexed), microseconds(selected)
        ratios.append(one / other)
        print(f"{count} slots of {READ} cells: indexed {one:.0f} µs, index_select {other:.0f} µs, {one / other:.1f} times")
assert min(ratios) > 1.4, "indexing and index_select take alike now"
PYTHON
