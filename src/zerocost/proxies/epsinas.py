from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors

_ROUNDING = 1e-10


@proxy(paper="Gracheva, arXiv:2302.04406, 2023", group="activations")
def epsinas(constant_outputs: Tensors) -> Tensor:
    r"""How outputs differ between two constant initialisations, :math:`\mathrm{mean}|p - q| / \mathrm{mean}(p, q)`.

    :math:`p` and :math:`q` are the outputs with all weights at :math:`10^{-7}` and at 1 and biases at 0, each scaled to
    0 … 1 over samples and outputs; the lowest, zeros, are left out. Neither labels nor gradients are needed. The
    authors choose the two values for each space; these are the widest that they try. Outputs are in float64, and a
    difference below :math:`10^{-10}` is 0, as in networks without normalisation or skips, where the value only scales
    the outputs. Where inputs are token ids all embeddings are equal.

    Args:
        constant_outputs: the outputs for the two values.

    Returns:
        A scalar of at least 0.

    Raises:
        Failure: outputs that are all equal, but for :math:`10^{-10}` of the largest, or of 1 with all weights at 1:
            what a normalisation leaves of equal values is rounding.

    >>> import torch
    >>> epsinas([torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 4.0])]).item()
    0.18181818181818182
    """
    scaled = []
    for values, scale in zip(constant_outputs, (0.0, 1.0), strict=True):
        flat = values.double().flatten()
        low, high = flat.aminmax()
        if high - low <= _ROUNDING * max(scale, float(flat.abs().max())):
            raise Failure("all outputs are equal where all weights are")
        flat = (flat - low) / (high - low)
        scaled.append(flat.where(flat != 0, torch.nan))
    first, second = scaled
    difference = (first - second).abs().nanmean() / torch.stack(scaled).nanmean()
    return difference.where(difference > _ROUNDING, 0.0)
