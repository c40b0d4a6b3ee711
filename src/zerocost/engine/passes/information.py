"""Information pass: the empirical Fisher information of one element of each parameter tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.inputs import clone_tensors, take_samples
from zerocost.engine.passes.base import BACKWARD_COUNT, Pass, PassInput, add_pass
from zerocost.engine.passes.shared_graph import check_finite
from zerocost.engine.signals import Signal

_ELEMENTS = 128
_SMOOTHING = 0.05


def _information(batch: PassInput) -> dict[str, Any]:
    """F = E[Jᵀ (diag(p) − p pᵀ) J]: J is the Jacobian of a sample's logits to the first element of each of the first
    128 parameter tensors, p their softmax, mixed with 5 % of the uniform distribution."""
    network = batch.network
    tensors = network.copies()
    wanted = [tensors[name].requires_grad_() for name in network.floating[:_ELEMENTS]]
    if not wanted:
        raise Failure("the network has no parameters")
    total = torch.zeros(len(wanted), len(wanted), dtype=torch.float64, device=network.device)
    backwards = 0
    with network.fresh(batch.seed, batch.training):
        for i in range(batch.samples):
            outputs = check_finite(network.run(tensors, clone_tensors(take_samples(batch.inputs, i, i + 1))))
            if outputs.ndim != 2 or outputs.shape[1] < 2:
                raise Failure(f"needs class logits N×C, the network returned shape {tuple(outputs.shape)} for a sample")
            logits = outputs[0]
            if not logits.requires_grad:
                raise Failure("no path from the weights to the outputs")
            backwards += len(logits)
            jacobian = _first_elements(logits, wanted).double()
            p = (1 - _SMOOTHING) * logits.detach().double().softmax(0) + _SMOOTHING / len(logits)
            mean = p @ jacobian
            total += jacobian.T @ (p[:, None] * jacobian) - mean[:, None] * mean
    return {"fisher_information": total / batch.samples, BACKWARD_COUNT: backwards}


def _first_elements(outputs: Tensor, wanted: list[Tensor]) -> Tensor:
    """Jacobian of the outputs to the first element of each tensor."""
    rows = []
    for output in outputs:
        found = torch.autograd.grad(output, wanted, retain_graph=True, allow_unused=True, materialize_grads=True)
        rows.append(torch.stack([g.reshape(-1)[0] for g in found]))
    return torch.stack(rows)


add_pass(
    Pass(
        name="information",
        run=_information,
        order=100,
        description="backward of every output to one element of each parameter",
        forwards=1,
        backward_each="output of each sample",
        by_sample=True,
    ),
    Signal("fisher_information", "Fisher information of one element of each parameter tensor: P×P"),
)
