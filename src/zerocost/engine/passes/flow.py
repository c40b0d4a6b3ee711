"""Flow pass: an input of ones through absolute weights, normalisation and dropout as identity, in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.engine.graph import gradients
from zerocost.engine.inputs import as_leaves, clone_tensors, take_samples
from zerocost.engine.modes import FlowMode, as_float64
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal
from zerocost.engine.watch.roles import WeightRoles


def _flow(batch: PassInput) -> dict[str, Any]:
    """Backward of the summed outputs R to the absolute weights, in eval mode. Buffers keep their sign (masks do).

    With normalisation "kept", normalisation layers run in train mode on the statistics of the one input of ones.
    """
    network, kept = batch.network, batch.settings.normalisation == "kept"
    network.check_seen()
    parameters = {name: absolute_values(p.detach()) for name, p in network.parameters.items()}
    weights = [w.requires_grad_() for w in network.matrices(parameters)]
    buffers = {name: as_float64(b.detach().clone()) for name, b in network.buffers.items()}

    def ones(value: Any) -> Any:
        return torch.ones_like(as_float64(value)) if isinstance(value, Tensor) else value

    with network.fresh(batch.seed, training=kept):
        roles = WeightRoles(network.model, weights)
        with FlowMode(network.originals, roles.see, keep_normalisation=kept):
            outputs = network.run(
                parameters | buffers, clone_tensors(as_leaves(tree_map(ones, take_samples(batch.inputs, 0, 1))))
            )
        if not outputs.requires_grad:
            raise Failure("no path from input to output: the outputs do not depend on the weights")
        flows = gradients(outputs.sum(), weights)
    if not all(bool(g.isfinite().all()) for g in flows):
        raise Failure("the synaptic flow is not finite: it overflows float64 (1.8e308), or the weights are not numbers")
    if not any(bool(g.any()) for g in flows):
        raise Failure("no path from input to output: every synaptic flow is zero")
    return {
        "flow_weights": [w.detach() for w in weights],
        "flow_gradients": [g.detach() for g in flows],
        "weight_roles": roles.result(),
    }


def absolute_values(parameter: Tensor) -> Tensor:
    """Absolute values in float64; a copy of an integer parameter."""
    return as_float64(parameter.abs()) if parameter.is_floating_point() else parameter.clone()


add_pass(
    Pass(
        name="flow",
        run=_flow,
        order=110,
        description="an input of ones, |θ|, normalisation as identity, float64",
        settings=frozenset({"initialisation", "normalisation"}),
        forwards=1,
        backwards=1,
        by_sample=True,
    ),
    Signal("flow_weights", "absolute values of `weights`, float64"),
    Signal("weight_roles", "what each weight matrix is: attention, linear or other"),
    Signal("flow_gradients", "gradient of the flow R (input of ones, |θ|, no normalisation), float64"),
)
