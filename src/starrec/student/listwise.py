"""From a prefill to a ranking: the distribution over the candidates' labels right after `<recommend>`.

Listwise decoding from the first token: the label that a model would write first, second, … is read off one
distribution, so a ranking costs one forward pass over the prompt and not twenty decoding steps.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from starrec.student.prompts import FastBatch


def label_logits(model: PreTrainedModel, batch: FastBatch) -> torch.Tensor:
    """Logits of each candidate's label as the next token after the prompt, `(n, c) float32`."""
    hidden = model.base_model(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
    last = hidden[torch.arange(len(hidden)), torch.from_numpy(batch.last)]
    return logits_of(model, last, torch.from_numpy(batch.label_ids))


def logits_of(model: PreTrainedModel, hidden: torch.Tensor, label_ids: torch.Tensor) -> torch.Tensor:
    """Logits of these labels `(n, c)` from last hidden states `(n, width)`: only c rows of the output matrix
    are multiplied, not the whole vocabulary."""
    rows = model.get_output_embeddings().weight[label_ids]
    # Not in reduced precision: candidates that score alike would tie.
    with torch.autocast("cpu", enabled=False):
        return torch.einsum("nw,ncw->nc", hidden.float(), rows.float())
