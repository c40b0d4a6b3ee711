"""Loss pass: backward of the mean loss to the weight matrices."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.engine.failures import is_out_of_memory
from zerocost.engine.graph import gradients
from zerocost.engine.losses import check_loss
from zerocost.engine.merging import weighted_sum
from zerocost.engine.modes.twice import TwiceMode
from zerocost.engine.passes.base import Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.readings import labels
from zerocost.engine.signals import Signal

NO_GRADIENT = "no path from the weights to the loss: every gradient is zero"


def mean_loss(graph: SharedGraph) -> Tensor:
    """The mean loss of a graph's outputs, and its weights, noted on it."""
    targets = labels(graph.batch.targets)
    graph.weights = graph.batch.network.matrices(graph.tensors)
    if not (graph.outputs.is_floating_point() or graph.outputs.is_complex()):
        raise Failure(f"the network returned {graph.outputs.dtype}, which has no gradient; return logits, not classes")
    try:
        with TwiceMode() if graph.twice else nullcontext():
            graph.loss = graph.batch.loss(graph.outputs, targets)
    except Exception as error:
        if isinstance(error, InputError | Failure) or is_out_of_memory(error):
            raise
        raise Failure(f"the loss raised {describe_error(error)}") from error
    check_loss(graph.loss)
    if not graph.loss.requires_grad:
        raise Failure("no path from the weights to the loss")
    if not graph.loss.isfinite().all():
        raise Failure(f"the loss is {graph.loss.detach().item()}")
    return graph.loss


def _loss(graph: SharedGraph) -> dict[str, Any]:
    """Backward of the mean loss to the weight matrices; its graph is kept when other passes follow."""
    mean_loss(graph)
    names = graph.batch.network.floating if "parameter_gradients" in graph.batch.wanted else []
    others = [graph.tensors[name] for name in names]
    with graph.observer.watching_gradients():
        found = gradients(
            graph.loss,
            [*graph.weights, *others],
            create_graph=graph.twice,
            retain_graph=graph.continues_after("loss"),
        )
    graph.gradients = found[: len(graph.weights)]
    if not any(bool(g.any()) for g in graph.gradients):
        raise Failure(NO_GRADIENT)
    return {
        "loss": graph.loss.detach(),
        "weight_gradients": [g.detach() for g in graph.gradients],
        "parameter_gradients": [g.detach() for g in found[len(graph.weights) :]],
    } | graph.observer.signals("loss")


add_pass(
    Pass(
        name="loss",
        run=_loss,
        order=20,
        description="backward of the mean loss to the weight matrices",
        backwards=1,
        labels=True,
        continues=("data",),
        on_graph=True,
        to_weights=True,
    ),
    Signal("loss", "mean loss on the batch: scalar", merge=weighted_sum),
    Signal(
        "weight_gradients",
        "gradient of the loss, one tensor for each of `weights`, zero for an unused one",
        merge=weighted_sum,
    ),
    Signal(
        "parameter_gradients",
        "gradient of the loss, one tensor for each floating-point parameter",
        merge=weighted_sum,
    ),
)
