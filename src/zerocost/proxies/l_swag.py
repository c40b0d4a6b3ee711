from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.engine.watch.activations import count_columns
from zerocost.proxies.zico import sizes_and_deviations


@proxy(paper="Casarin et al., L-SWAG, CVPR 2025", group="activations")
def l_swag(batch_gradients: Tensors, unit_patterns: Tensors, *, first: int = 0, last: int = 10) -> Tensor:
    r"""Steady gradients times activation patterns, :math:`\Psi \sum_l \log \sum_{k \in l} 1 / \sigma_b(|g_{bk}|)`.

    :math:`g_{bk}` is the gradient of the loss on batch :math:`b` to weight :math:`k` of layer :math:`l`, as in `zico`:
    weights of zero deviation are left out. :math:`\Psi` is the number of different patterns of signs that the units of
    activations show over the samples, as in `swap`. Layer :math:`l` of :math:`D` is in bin :math:`\lfloor 10\,l/D
    \rfloor` of depth, and so are activations among themselves; gradients count from bin `first` to `last`, patterns up
    to `last`. The paper reads the two off a plot of the deviations of 1,000 networks of a space; here all layers count
    unless you say otherwise, as in ``l_swag(first=3, last=6)``.

    Args:
        batch_gradients: for each weight matrix the gradients on B batches, B×….
        unit_patterns: for each activation the patterns of its units, as words of 64 samples.
        first: the first bin of depth.
        last: the last.

    Returns:
        A scalar.

    Raises:
        Failure: the gradients are the same on every batch, or no layer or activation is in these bins.

    >>> import torch
    >>> gradients, patterns = torch.tensor([[[1.0, 2.0]], [[2.0, 2.0]]]), torch.tensor([[1, 2, 1]])
    >>> round(l_swag([gradients], [patterns]).item(), 4)
    1.3863
    """
    layers = [g for bin_, g in _by_depth(batch_gradients) if first <= bin_ <= last]
    patterns = [p for bin_, p in _by_depth(unit_patterns) if bin_ <= last]
    if not layers or not patterns:
        raise Failure(f"no {'activation' if layers else 'layer'} is in bins {first} to {last} of depth, of 0 to 10")
    sums = [term for gradients in layers if (term := _steadiness(gradients)) > 0]
    if not sums:
        raise Failure("the gradients are the same on every batch: they have no variance")
    return torch.stack(sums).log().sum() * count_columns(torch.cat(patterns, dim=1))


def _by_depth(values: Tensors) -> list[tuple[int, Tensor]]:
    """Each with its bin of depth."""
    return [(10 * place // len(values), value) for place, value in enumerate(values, start=1)]


def _steadiness(gradients: Tensor) -> Tensor:
    """The sum of a layer's 1/σ(|g|), in float64."""
    return torch.stack([(1 / deviations).sum() for _, deviations in sizes_and_deviations(gradients.abs())]).sum()
