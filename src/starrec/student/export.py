"""From a student's weights to the graph that serves its fast mode."""

from __future__ import annotations

import logging
import warnings

import torch
from torch import nn
from torch.export import Dim

from starrec.errors import StarrecError
from starrec.student.fast import INPUT, FastNetwork
from starrec.student.nano import CANDIDATES, Nano
from starrec.student.rows import N_NUMBERS


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
    sizes = ({0: Dim("n", min=1), 1: Dim("c", min=2, max=CANDIDATES)},)
    was_training = model.training
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # it tells of packages that have nothing to do with this network
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Fast(model.eval()),
                (torch.zeros(2, 3, N_NUMBERS),),
                dynamo=True,
                dynamic_shapes=sizes,
                input_names=[INPUT],
                verbose=False,
            )
    except ImportError as error:
        raise StarrecError(
            f"A student is saved with a graph of its fast mode, which needs {error.name or 'onnxscript'}: "
            "install `starrec[train]`."
        ) from error
    finally:
        log.setLevel(level)
        model.train(was_training)
    assert program is not None, "PyTorch gives the program where no file is asked for"
    return FastNetwork(program.model_proto.SerializeToString())
