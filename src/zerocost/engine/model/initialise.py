"""Weights drawn anew, as some papers prescribe, into copies: the network's own stay."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.calls.recurrent import parameter_kind
from zerocost.engine.failures import FIXED
from zerocost.engine.model.network import Network

_DEVIATION: dict[str, Callable[[int], float]] = {
    "gaussian": lambda fan_in: 1.0,
    "kaiming": lambda fan_in: math.sqrt(2 / fan_in),
}


def with_initialisation(network: Network, how: str, seed: int) -> Network:
    """The network with the weights it was "given", or with others drawn from a seed.

    Tensors of two or more axes are drawn from N(0, 1) ("gaussian") or N(0, 2 / fan-in) ("kaiming"), with fan-in the
    product of all axes but the first; scales of normalisation become 1, biases 0, and running statistics are reset.
    What else there is (slopes of activations, scales of branches) stays.
    """
    if how == "given":
        return network
    if any(p.is_complex() for p in network.parameters.values()):
        raise Failure("the network has complex parameters, which this initialisation does not know")
    if network.quantised:
        raise Failure(FIXED)
    generator = stream(seed, "weights")
    assert network.places is not None and network.views is not None  # known before the tensors change
    drawn = copy.copy(network)
    drawn.parameters = {
        name: _initial_parameter(name, p, network, how, generator) for name, p in network.parameters.items()
    }
    drawn.buffers = {name: _initial_buffer(name, b) for name, b in network.buffers.items()}
    return drawn


def _initial_parameter(name: str, parameter: Tensor, network: Network, how: str, generator: torch.Generator) -> Tensor:
    """A parameter of the same shape: drawn, set to where its kind starts, or as it is."""
    value = parameter.detach()
    if not value.is_floating_point():
        return value
    if name in network.weight_names:
        noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        return (noise * _DEVIATION[how](math.prod(value.shape[1:]))).to(value.device, value.dtype)
    if parameter_kind(name).endswith("bias"):
        return torch.zeros_like(value)
    return torch.ones_like(value) if id(parameter) in network.scales else value


def _initial_buffer(name: str, buffer: Tensor) -> Tensor:
    """Running statistics as they are before training; any other buffer as it is."""
    start = {"running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0}
    kind = name.rpartition(".")[2]
    return torch.full_like(buffer, start[kind]) if kind in start else buffer
