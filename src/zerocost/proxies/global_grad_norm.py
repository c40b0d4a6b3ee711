from __future__ import annotations

import torch
from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.reduce import in_pieces


@proxy(paper="Lin et al., Zen-NAS, ICCV 2021 (their code)", group="gradients of the loss")
def global_grad_norm(parameter_gradients: Tensors) -> Tensor:
    r"""One norm of the gradient to all parameters, :math:`\sqrt{\sum_k (\partial L/\partial \theta_k)^2}`.

    Biases and normalisation layers take part. `grad_norm` sums a norm for each weight matrix instead; code bases call
    both by the same name.

    Args:
        parameter_gradients: gradient of the mean loss to each parameter.

    Returns:
        A positive scalar.

    >>> import torch
    >>> global_grad_norm([torch.tensor([[3.0]]), torch.tensor([4.0])]).item()
    5.0
    """
    return torch.stack([g.double().square().sum() for (g,) in in_pieces(parameter_gradients)]).sum().sqrt()
