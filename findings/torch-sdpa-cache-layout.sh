#!/usr/bin/env bash
# What one would guess: a key-value cache kept as (sequences, cells, heads, size), the shape in which projections come,
# and handed to scaled_dot_product_attention as a transposed view, costs the same as one kept as (sequences, heads,
# cells, size): the kernel takes strides, each head's vector is contiguous in both, and the same bytes are read.
#
# What it does (torch 2.13.0, CPU, one thread): for one sequence there is no difference. For a batch of 64 that decodes
# one token each over 300 cells, four heads of 24, the view takes more than one and a half times as long, with a result
# that is the same. No warning, and a profile shows one operator either way.
#
# Why it matters: batched decoding (rollouts for GRPO, evaluation) is where attention over the cache is most of a pass,
# and a benchmark of a single sequence, where most people look, shows nothing. starrec keeps heads before cells
# (src/starrec/student/reading.py).
#
# Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.scaled_dot_product_attention.html, which gives
# shapes and says nothing of layouts.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import statistics
import time

import torch
from torch.nn.functional import scaled_dot_product_attention

torch.set_num_threads(1)
print("torch", torch.__version__)
HEADS, SIZE, CELLS, ROOM = 4, 24, 300, 512


def ratio(sequences):
    """Time over the transposed view, over that with heads first: interleaved, medians of 5 x 40."""
    torch.manual_seed(0)
    query = torch.randn(sequences, HEADS, 1, SIZE)
    cells_first = torch.randn(2, sequences, ROOM, HEADS, SIZE)
    heads_first = cells_first.transpose(2, 3).contiguous()
    views = [cache[which][:, :, :CELLS] for cache in (cells_first.transpose(2, 3), heads_first) for which in (0, 1)]

    def attend(keys, values):
        return scaled_dot_product_attention(query, keys, values)

    assert torch.allclose(attend(*views[:2]), attend(*views[2:]), atol=1e-6)
    found = []
    for _ in range(5):
        medians = []
        for pair in (views[:2], views[2:]):
            times = []
            for _ in range(40):
                started = time.perf_counter()
                attend(*pair)
                times.append(time.perf_counter() - started)
            medians.append(statistics.median(times))
        found.append(medians[0] / medians[1])
    return statistics.median(found)


with torch.inference_mode():
    one, many = ratio(1), ratio(64)
print(f"cells first over heads first: {one:.2f} for 1 sequence, {many:.2f} for 64")
assert many > 1.5, "the layout makes no difference any more"
PYTHON
