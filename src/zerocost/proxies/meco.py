from __future__ import annotations

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.proxy import proxy
from zerocost.engine.signals import Tensors


@proxy(paper="Jiang et al., MeCo, NeurIPS 2023", group="features")
def meco(sample_maps: Tensors) -> Tensor:
    r"""Least correlated channels of each layer's map, :math:`\sum_l \lambda_{\min}(P_l)`.

    :math:`P_l` is the correlation matrix of the channels of the output of layer :math:`l` (convolution or linear layer,
    normalisation, activation, pooling) over the positions of the first sample; a constant channel correlates with none,
    not even itself. Where there are fewer positions than channels :math:`P_l` is singular and adds 0. The authors' code
    counts the output of every module, so that nesting changes the score: `meco_modules`.

    Args:
        sample_maps: for each layer C×positions.

    Returns:
        A non-negative scalar.

    Raises:
        Failure: no layer has more positions than channels.

    >>> import torch
    >>> meco([torch.tensor([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])]).item()
    1.0
    """
    if all(found.shape[1] <= found.shape[0] for found in sample_maps):
        raise Failure("every layer has at least as many channels as positions: all correlations are singular")
    return torch.stack([least_eigenvalue(found) for found in sample_maps]).sum()


def least_eigenvalue(channels: Tensor) -> Tensor:
    """Smallest eigenvalue of the correlation matrix of rows, in float64; entries of constant rows are 0.

    Of a stack of matrices, one for each. What rounding makes of an eigenvalue of 0 is 0.
    """
    *stacked, count, positions = channels.shape
    if positions <= count:  # centred rows span at most positions - 1 dimensions
        return channels.new_zeros(stacked, dtype=torch.float64)
    rows = channels.double()
    rows = rows - rows.mean(-1, keepdim=True)
    lengths = rows.norm(dim=-1, keepdim=True)
    rows = torch.where(lengths > 0, rows / lengths, 0.0)
    values: Tensor = torch.linalg.eigvalsh(rows @ rows.mT)[..., 0]
    rounding = count * max(torch.finfo(channels.dtype).eps ** 2, torch.finfo(rows.dtype).eps)
    return torch.where(values > rounding, values, 0.0)
