from __future__ import annotations

from torch import Tensor

from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import total


@proxy(
    paper="Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021",
    group="gradients of the loss",
    shrinks_badly=Fidelity(depth=0.2),
)
def grad_norm(weight_gradients: Tensors) -> Tensor:
    r"""Gradient norm :math:`\sum_l \lVert\partial L/\partial W_l\rVert_2`, summed over weight matrices.

    Other code bases take one norm over all parameters, biases included; the values differ, and so may the ranking.

    Args:
        weight_gradients: gradient of the mean loss to each weight matrix.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> grad_norm([torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])]).item()
    6.0
    """
    return total(g.norm() for g in weight_gradients)
