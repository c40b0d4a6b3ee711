"""Curvature pass: backward through the loss pass's backward."""

from __future__ import annotations

from typing import Any

import torch

from zerocost.base.errors import Failure
from zerocost.engine.graph import as_dense, differentiable_once
from zerocost.engine.merging import weighted_sum
from zerocost.engine.passes.base import Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal


def _curvature(graph: SharedGraph) -> dict[str, Any]:
    """Backward through the loss pass's graph: the Hessian times the gradient, which is held constant."""
    obstacle = differentiable_once(graph.loss)
    if obstacle:
        raise Failure(f"the loss has no second derivative: {obstacle} can be differentiated once only")
    direction = graph.whole.get("weight_gradients") or [g.detach() for g in graph.gradients]
    curved = [(g, d) for g, d in zip(graph.gradients, direction, strict=True) if g.requires_grad]
    if not curved:
        raise Failure("the loss has no second derivative with respect to the weights")
    products = torch.autograd.grad(
        [(g * d).sum() for g, d in curved],  # `grad_outputs` would import SymPy, which takes half a second
        graph.weights,
        retain_graph=graph.continues_after("curvature"),
        allow_unused=True,
        materialize_grads=True,
    )
    return {"hessian_gradients": [p.detach() for p in as_dense(products)]}


add_pass(
    Pass(
        name="curvature",
        run=_curvature,
        order=30,
        description="backward of gᵀ·stop(g) through the loss pass's graph: H·g",
        backwards=1,
        continues=("data", "loss"),
        on_graph=True,
        to_weights=True,
        twice=True,
        whole_first="weight_gradients",
    ),
    Signal(
        "hessian_gradients",
        "Hessian of the loss times its gradient, a tensor for each of `weights`",
        merge=weighted_sum,
    ),
)
