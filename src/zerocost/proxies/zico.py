from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Li et al., ZiCo, ICLR 2023", group="gradients of the loss")
def zico(batch_gradients: Tensors) -> Tensor:
    r"""Gradients that agree between batches, :math:`\sum_l \log \sum_{k \in l} E_b|g_{bk}| / \sigma_b(g_{bk})`.

    :math:`g_{bk}` is the gradient of the mean loss on batch :math:`b` to weight :math:`k` of layer :math:`l`;
    :math:`\sigma` is the standard deviation over the batches (not n − 1). Weights of zero
    deviation are left out, layers of none but such too. Given one batch, its two halves are compared; give a list for
    the paper's two batches.

    Args:
        batch_gradients: for each weight matrix the gradients on B batches, B×….

    Returns:
        A scalar.

    Raises:
        Failure: the gradients are the same on every batch.

    >>> import torch
    >>> round(zico([torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]]])]).item(), 4)
    0.6931
    """
    layers = [term for gradients in batch_gradients if (term := _layer_term(gradients)) is not None]
    if not layers:
        raise Failure("the gradients are the same on every batch: they have no variance")
    return torch.stack(layers).sum()


def _layer_term(gradients: Tensor) -> Tensor | None:
    """One layer's term; None where no weight's gradient varies."""
    gradients = gradients.double()
    deviations, means = gradients.std(0, correction=0), gradients.abs().mean(0)
    varying = deviations > 0
    return (means[varying] / deviations[varying]).sum().log() if bool(varying.any()) else None
