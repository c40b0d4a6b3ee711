from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.fidelity import Fidelity
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Lee and Ham, AZ-NAS, CVPR 2024", group="features", shrinks_badly=Fidelity(depth=0.2))
def az_expressivity(block_spectra: Tensors) -> Tensor:
    r"""Entropy of the principal components of each block's output, summed: :math:`-\sum_b \sum_i p_{bi} \log p_{bi}`.

    :math:`p_{bi}` are the eigenvalues of the covariance of the channels of block :math:`b`, over samples and positions,
    divided by their sum (:math:`10^{-8}` is added inside the logarithm). Blocks are found by walking the network's
    modules: the largest parts with weights that are neither lists nor single layers; a plain list of layers is taken
    apart after each activation, and after each layer of an nn.LSTM, GRU or RNN. Eigenvalues below 0, which are rounding
    errors, count as 0 (the authors' code gives −∞ for them).

    Args:
        block_spectra: for each block its eigenvalues, largest first.

    Returns:
        A non-negative scalar.

    >>> import torch
    >>> round(az_expressivity([torch.tensor([2.0, 2.0])]).item(), 4)
    0.6931
    """
    return torch.stack([entropy(spectrum) for spectrum in block_spectra]).sum()


def entropy(spectrum: Tensor) -> Tensor:
    """Entropy of eigenvalues in proportion to their sum; 0 where they all are 0."""
    shares = spectrum.double() / spectrum.double().sum().clamp(min=torch.finfo(torch.float64).tiny)
    return -(shares * (shares + 1e-8).log()).sum()
