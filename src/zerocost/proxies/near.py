from __future__ import annotations

import torch
from torch import Tensor

from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Husistein et al., NEAR, ICLR 2025", group="features")
def near(neurons: Tensors) -> Tensor:
    r"""Effective rank of every layer's values, :math:`\sum_l \exp\bigl(-\sum_i p_{li} \log p_{li}\bigr)`.

    :math:`p_{li}` are the singular values of the matrix :math:`Z_l`, divided by their sum. Its rows are samples, or
    samples and positions, its columns the channels of the output of layer :math:`l` (weights, normalisation,
    activation); as many successive rows are taken as there are columns, from a random start. Of a batch too small for a
    square matrix all rows are taken, where the authors' code goes on to further batches. Works with any activation.

    Args:
        neurons: :math:`Z_l` for each layer, at most C×C.

    Returns:
        A positive scalar.

    >>> import torch
    >>> round(near([torch.eye(4)]).item(), 4)
    4.0
    """
    return torch.stack([_effective_rank(matrix) for matrix in neurons]).sum()


def _effective_rank(matrix: Tensor) -> Tensor:
    """exp of the entropy of singular values; 0 for a matrix of zeros."""
    values: Tensor = torch.linalg.svdvals(matrix.double())
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    entropy: Tensor = torch.special.entr(shares).sum()
    return entropy.exp() * bool(values[0] > 0)
