"""Flow pass: an input of ones through absolute weights, normalisation and dropout as identity, in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.engine.network import Network
from zerocost.engine.observe import Flow
from zerocost.errors import Failure


def flow(network: Network, inputs: Any) -> dict[str, Any]:
    """Backward of the summed outputs R to the absolute weights."""
    tensors = {
        name: t.detach().abs().double() if t.is_floating_point() else t.detach().clone()
        for name, t in {**network.parameters, **network.buffers}.items()
    }
    weights = network.differentiable(tensors)
    with Flow():
        outputs = network.run(tensors, tree_map(one_of, inputs))
    if not outputs.requires_grad:
        raise Failure("no path from input to output: the outputs do not depend on the weights")
    total = outputs.sum()
    gradients = torch.autograd.grad(total, weights, allow_unused=True, materialize_grads=True)
    if not all(bool(g.isfinite().all()) for g in gradients):
        raise Failure("the synaptic flow overflows float64 (1.8e308): the network is too deep for it")
    if not any(bool(g.any()) for g in gradients):
        raise Failure("no path from input to output: every synaptic flow is zero")
    return {"flow_weights": [w.detach() for w in weights], "flow_gradients": [g.detach() for g in gradients]}


def one_of(value: Any) -> Any:
    """One sample of ones in the shape of the batch's samples; floating-point ones in float64."""
    if not isinstance(value, Tensor):
        return value
    dtype = torch.float64 if value.is_floating_point() else value.dtype
    return torch.ones(1, *value.shape[1:], dtype=dtype, device=value.device)
