from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors
from zerocost.proxies.az_expressivity import entropy


@proxy(paper="Lee and Ham, AZ-NAS, CVPR 2024", group="features")
def az_progressivity(block_spectra: Tensors) -> Tensor:
    r"""Least gain in expressivity from one block to the next, :math:`\min_b (E_b - E_{b-1})`.

    :math:`E_b` is the entropy of the principal components of block :math:`b`, the term of `az_expressivity`.

    Args:
        block_spectra: for each block its eigenvalues, largest first.

    Returns:
        A scalar.

    Raises:
        Failure: the network has fewer than two blocks.

    >>> import torch
    >>> round(az_progressivity([torch.tensor([1.0, 0.0]), torch.tensor([2.0, 2.0])]).item(), 4)
    0.6931
    """
    if len(block_spectra) < 2:
        raise Failure("the network has fewer than two blocks")
    return torch.stack([entropy(spectrum) for spectrum in block_spectra]).diff().min()
