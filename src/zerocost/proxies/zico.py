from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors

_PIECE = 2**16  # weights that are compared at a time


@proxy(paper="Li et al., ZiCo, ICLR 2023", group="gradients of the loss")
def zico(batch_gradients: Tensors) -> Tensor:
    r"""Gradients that agree between batches, :math:`\sum_l \log \sum_{k \in l} E_b|g_{bk}| / \sigma_b(g_{bk})`.

    :math:`g_{bk}` is the gradient of the mean loss on batch :math:`b` to weight :math:`k` of layer :math:`l`;
    :math:`\sigma` is the standard deviation over the batches (not n − 1). Weights of zero deviation are left out,
    layers of none but such too. A deviation of no more than half the precision :math:`\varepsilon` of the gradients,
    :math:`\sigma \le \varepsilon\,E|g| / 2`, is zero but for rounding, and taken as zero. Given one batch, its two
    halves are compared; give a list for the paper's two batches.

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
    """One layer's term, in float64; None where no weight's gradient varies."""
    total = torch.zeros((), dtype=torch.float64, device=gradients.device)
    for sizes, deviations in sizes_and_deviations(gradients):
        total += (sizes / deviations).sum()
    return total.log() if total > 0 else None


def sizes_and_deviations(gradients: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """E|g| and σ(g) of a layer's weights over its batches, in float64, a piece of the weights at a time; σ is infinite
    where it is zero but for rounding."""
    rounding = torch.finfo(gradients.dtype).eps / 2
    for piece in torch.split(gradients.flatten(1), _PIECE, dim=1):
        rows = piece.double()
        sizes = rows.abs().mean(0)
        apart = rows - rows[0]  # exact where the gradients are close
        deviations = (apart - apart.mean(0)).square_().mean(0).sqrt_()
        yield sizes, deviations.where(deviations > rounding * sizes, torch.inf)
