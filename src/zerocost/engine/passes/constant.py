"""Constant pass: forward on the batch with all weights equal, twice, in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.engine.calls.recurrent import parameter_kind
from zerocost.engine.failures import FIXED
from zerocost.engine.inputs import clone_tensors
from zerocost.engine.modes.call_mode import Float64Mode
from zerocost.engine.modes.float64 import as_float64
from zerocost.engine.passes.base import OF_BATCH, Pass, PassInput, add_pass
from zerocost.engine.signals import Signal

_VALUES = (1e-7, 1.0)


def _constant(batch: PassInput) -> dict[str, Any]:
    """The outputs in float64 with every parameter called weight at a value and every bias at 0; others stay.

    In float32 what distinguishes samples is lost beside what they have in common.
    """
    network = batch.network
    network.check_real()
    if network.quantised:
        raise Failure(FIXED)
    inputs = tree_map(as_float64, batch.inputs)
    outputs = []
    for value in _VALUES:
        parameters = {name: _filled(name, p.detach(), value) for name, p in network.parameters.items()}
        buffers = {name: as_float64(b.detach().clone()) for name, b in network.buffers.items()}
        with network.fresh(batch.seed, batch.training), Float64Mode(network.originals):
            found = network.run(parameters | buffers, clone_tensors(inputs))
        if found.is_complex():
            raise Failure("the outputs are complex numbers, but are compared as real ones")
        if not bool(found.isfinite().all()):
            raise Failure("the outputs are not finite where all weights are equal")
        outputs.append(found)
    return {"constant_outputs": outputs}


def _filled(name: str, parameter: Tensor, value: float) -> Tensor:
    """A weight of this value, a bias of zeros, or a copy of any other parameter; in float64."""
    kind = parameter_kind(name)
    if not parameter.is_floating_point() or kind not in ("weight", "bias"):
        copied: Tensor = as_float64(parameter.clone())
        return copied
    filled: Tensor = torch.full_like(parameter, value if kind == "weight" else 0.0, dtype=torch.float64)
    return filled


add_pass(
    Pass(
        name="constant",
        run=_constant,
        order=115,
        description="the batch twice, all weights at 1e-7 and at 1, float64",
        settings=OF_BATCH - {"initialisation"},
        forwards=2,
    ),
    Signal("constant_outputs", "outputs with all weights at 1e-7, and at 1, biases at 0: two tensors N×…"),
)
