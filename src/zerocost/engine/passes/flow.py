"""Flow pass: an input of ones through absolute weights, normalisation and dropout as identity, in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.engine.inputs import by_sample
from zerocost.engine.network import Network
from zerocost.engine.observe import Flow, widened
from zerocost.errors import Failure


def flow(network: Network, inputs: Any, seed: int) -> dict[str, Any]:
    """Backward of the summed outputs R to the absolute weights, in eval mode. Buffers keep their sign (masks do)."""
    parameters = {name: absolute(p.detach()) for name, p in network.parameters.items()}
    weights = [w.requires_grad_() for w in network.matrices(parameters)]
    buffers = {name: widened(b.detach().clone()) for name, b in network.buffers.items()}
    sampled = by_sample(inputs)

    def ones(value: Any) -> Any:
        one = value[:1] if sampled(value) else value
        return torch.ones_like(widened(one)) if isinstance(value, Tensor) else value

    with network.fresh(seed, training=False), Flow(network.originals):
        outputs = network.run(parameters | buffers, tree_map(ones, inputs))
        if not outputs.requires_grad:
            raise Failure("no path from input to output: the outputs do not depend on the weights")
        gradients = torch.autograd.grad(outputs.sum(), weights, allow_unused=True, materialize_grads=True)
    if not all(bool(g.isfinite().all()) for g in gradients):
        raise Failure("the synaptic flow is not finite: it overflows float64 (1.8e308), or the weights are not numbers")
    if not any(bool(g.any()) for g in gradients):
        raise Failure("no path from input to output: every synaptic flow is zero")
    return {"flow_weights": [w.detach() for w in weights], "flow_gradients": [g.detach() for g in gradients]}


def absolute(parameter: Tensor) -> Tensor:
    """Absolute values in float64; a copy of an integer parameter."""
    return widened(parameter.abs()) if parameter.is_floating_point() else parameter.clone()
