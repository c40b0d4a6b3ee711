"""Jacobian pass: backward of the summed outputs to the input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure
from zerocost.engine.graph import check_sum, gradients
from zerocost.engine.merging import concatenate
from zerocost.engine.passes.base import Pass, add_pass
from zerocost.engine.passes.shared_graph import SharedGraph
from zerocost.engine.signals import Signal


def _jacobian(graph: SharedGraph) -> dict[str, Any]:
    """Backward of the summed outputs to the input, one row a sample."""
    inputs = [t for t in tree_leaves(graph.inputs) if isinstance(t, Tensor) and t.requires_grad]
    if not inputs:
        raise Failure("the input is not floating-point: there is no derivative to it")
    if not graph.outputs.requires_grad:
        raise Failure("no path from input to output: the outputs do not depend on the input")
    check_sum(graph.outputs)
    rows = gradients(graph.outputs.sum(), inputs, retain_graph=graph.continues_after("jacobian"))
    return {"input_jacobian": torch.cat([r.reshape(len(r), -1) for r in rows], dim=1)}


add_pass(
    Pass(
        name="jacobian",
        run=_jacobian,
        order=40,
        description="backward of the summed outputs to the input",
        backwards=1,
        continues=("data",),
        on_graph=True,
    ),
    Signal("input_jacobian", "gradient of the summed outputs to each sample's input: N×D", merge=concatenate),
)
