"""Data pass: forward on the batch, with watchers, and with a graph for the passes that continue it."""

from __future__ import annotations

from typing import Any

from zerocost.base.errors import Failure
from zerocost.base.format import plural
from zerocost.engine.inputs import as_leaves, clone_tensors
from zerocost.engine.merging import concatenate
from zerocost.engine.passes.base import Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph, check_finite
from zerocost.engine.signals import Signal


def data(graph: SharedGraph) -> dict[str, Any]:
    """Forward on the batch, with a graph where other passes follow."""
    batch, network = graph.batch, graph.batch.network
    follow = graph.continues_after("data")
    graph.inputs = as_leaves(batch.inputs) if follow else batch.inputs
    graph.tensors = network.copies(graph.tensors)
    if any(step.to_weights for step in graph.passes):
        for name in network.weight_names:
            graph.tensors[name].requires_grad_()
        for name in network.floating if "parameter_gradients" in batch.wanted else ():
            graph.tensors[name].requires_grad_()
    graph.scene.weights = {id(graph.tensors[name]): place for place, name in enumerate(network.weight_names)}
    inputs = clone_tensors(graph.inputs)
    graph.scene.start(inputs, graph.tensors.values())
    with graph.observer.watching():
        outputs = network.run(graph.tensors, inputs)
    if graph.runs("perturbed"):
        graph.buffers = {name: graph.tensors[name].detach().clone() for name in network.buffers}
    if outputs.ndim == 0 or len(outputs) != batch.samples:
        raise Failure(
            f"the network returned shape {tuple(outputs.shape)} for {plural(batch.samples, 'sample')}; "
            "the first axis must be the samples"
        )
    graph.outputs = check_finite(outputs)
    return {"outputs": graph.outputs.detach()} | graph.observer.signals("data")


add_pass(
    Pass(name="data", run=data, order=10, description="the batch, activations observed", forwards=1, on_graph=True),
    Signal("outputs", "the network's outputs, one row a sample: N×C", merge=concatenate),
)
