"""Objectives of the gradient strategy: proxies of a mixture of architectures, as differentiable functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from zerocost.base.errors import InputError
from zerocost.data import Batch
from zerocost.engine.losses import cross_entropy
from zerocost.engine.modes.call_mode import FlowMode
from zerocost.engine.passes.flow import absolute_values
from zerocost.proxies.grad_norm import grad_norm
from zerocost.proxies.log_synflow import log_synflow
from zerocost.spaces.mixture import Mixed, Mixture, Weights

_Objective = Callable[[Mixture, Batch, Weights], Tensor]


def _log_synflow(mixture: Mixture, batch: Batch, weights: Weights) -> Tensor:
    """Logarithm of proxy `log_synflow`: absolute weights, normalisation as identity, one input of ones."""
    tensors = {name: absolute_values(p.detach()).requires_grad_() for name, p in mixture.named_parameters()}
    matrices = [p for p in tensors.values() if p.ndim >= 2]
    ones = torch.ones_like(batch.inputs[:1], dtype=torch.float64)
    with FlowMode(frozenset(), lambda call: None):
        outputs = functional_call(mixture.eval(), tensors, (ones, weights))
    return log_synflow(matrices, _gradients(outputs.sum(), matrices)).log()


def _gradient_norm(mixture: Mixture, batch: Batch, weights: Weights) -> Tensor:
    """Logarithm of proxy `grad_norm` over the weights of the operations."""
    return grad_norm(_loss_gradients(mixture, batch, weights)).log()


def _ntk_trace(mixture: Mixture, batch: Batch, weights: Weights) -> Tensor:
    r"""Logarithm of :math:`\lVert\nabla_\theta L\rVert_2^2`, which approximates the trace of the neural tangent kernel.

    As in NASI (Shu et al., ICLR 2022), over the weights of the operations.
    """
    return torch.stack([g.square().sum() for g in _loss_gradients(mixture, batch, weights)]).sum().log()


OBJECTIVES: dict[str, _Objective] = {
    "gradient_norm": _gradient_norm,
    "log_synflow": _log_synflow,
    "ntk_trace": _ntk_trace,
}
"""Functions of a mixture, a batch and the weights of all choices; the scalar they return is maximised."""
EXPLODING = ("gradient_norm", "ntk_trace")
"""Objectives that are largest for architectures whose gradients explode, those without shortcuts or with few paths."""


def _loss_gradients(mixture: Mixture, batch: Batch, weights: Weights) -> list[Tensor]:
    """Gradients of the mean loss to the weight matrices of the operations, in train mode.

    Stem and head, which all architectures share, are left out: their gradients would dominate the sum.
    """
    if batch.targets is None:
        raise InputError(
            "this objective needs labels; give the batch as (inputs, labels), or use objective log_synflow"
        )
    operations = [module for module in mixture.modules() if isinstance(module, Mixed)]
    matrices = [p for module in operations for p in module.parameters() if p.ndim >= 2]
    return _gradients(cross_entropy(mixture.train()(batch.inputs, weights), batch.targets), matrices)


def _gradients(value: Tensor, matrices: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(value, matrices, create_graph=True))
