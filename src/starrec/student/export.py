"""From a student's weights to the graph that serves its fast mode.

PyTorch traces the network once for a shape, which takes seconds; the weights of a student are then put in it.
"""

from __future__ import annotations

import json
import logging
import warnings
from functools import lru_cache
from typing import Final

import torch
from torch import nn
from torch.export import Dim
from transformers import LlamaConfig, LlamaForCausalLM

from starrec.errors import StarrecError
from starrec.student.fast import CANDIDATES, INPUT, FastNetwork
from starrec.student.nano import Nano
from starrec.student.rows import N_NUMBERS

_OWN: Final = "model."
"""Before the names of the weights in the graph."""


class _Fast(nn.Module):
    def __init__(self, model: Nano) -> None:
        super().__init__()
        self.model = model

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.model.candidate_scores(numbers)


def export(model: Nano) -> FastNetwork:
    """The network of fast mode as these weights are now, for any number of tasks and 2 to `CANDIDATES` of each.

    Raises:
        StarrecError: onnx or onnxscript, which PyTorch exports with, is not installed.
    """
    try:
        from onnx import ModelProto, numpy_helper

        # Fast mode has no tokens, so the size of the vocabulary does not matter.
        shape = model.lm.config.to_dict() | {"vocab_size": 1, "pad_token_id": None}
        graph = ModelProto.FromString(_graph(json.dumps(shape, sort_keys=True, default=str)))
    except ImportError as error:
        raise StarrecError(
            f"A student is saved with a graph of its fast mode, which needs {error.name or 'onnxscript'}: "
            "install `starrec[train]`."
        ) from error
    weights = model.state_dict()
    for tensor in graph.graph.initializer:
        weight = weights[tensor.name.removeprefix(_OWN)]
        tensor.CopyFrom(numpy_helper.from_array(weight.numpy(), tensor.name))
    return FastNetwork(graph.SerializeToString())


@lru_cache(maxsize=8)
def _graph(shape: str) -> bytes:
    """The graph of a network of this shape (a transformers configuration as JSON), with any weights."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that have nothing to do with this network
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Fast(Nano(LlamaForCausalLM(LlamaConfig.from_dict(json.loads(shape)))).eval()),
                (torch.zeros(2, 3, N_NUMBERS),),
                dynamo=True,
                # ONNX Runtime optimises when it loads; optimised here, weights lose their names.
                optimize=False,
                dynamic_shapes=({0: Dim("n", min=1), 1: Dim("c", min=2, max=CANDIDATES)},),
                input_names=[INPUT],
                verbose=False,
            )
    finally:
        log.setLevel(level)
    assert program is not None, "PyTorch gives the program where no file is asked for"
    proto = program.model_proto
    # Where on this machine each line of the network stands is nobody's business.
    for part in (
        *proto.graph.node,
        *proto.graph.value_info,
        *proto.graph.input,
        *proto.graph.output,
        proto.graph,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    text: bytes = proto.SerializeToString()
    return text
