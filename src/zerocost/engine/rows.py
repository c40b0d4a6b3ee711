"""How the rows of a matrix, one a sample, agree and correlate."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 2**22  # elements of an activation that are compared at a time


def sign_agreement(code: Tensor) -> Tensor:
    """For each pair of rows the number of columns in which two boolean matrices' rows agree, N×N in float64.

    >>> sign_agreement(torch.tensor([[True, False, True], [True, True, True]]))
    tensor([[3., 2.],
            [2., 3.]], dtype=torch.float64)
    """
    width = max(1, BLOCK // len(code))
    if code.shape[1] > width:
        return torch.stack([sign_agreement(block) for block in torch.split(code, width, dim=1)]).sum(0)
    signs = code.to(torch.float32).mul_(2).sub_(1)
    return (signs @ signs.T).double().add_(code.shape[1]).div_(2)


def sum_positions(values: Tensor) -> Tensor:
    """N×…×C summed over everything between samples and channels, in float32 or wider: N×C.

    >>> sum_positions(torch.ones(2, 4, 3))
    tensor([[4., 4., 4.],
            [4., 4., 4.]])
    """
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    return values.flatten(1, -2).sum(1) if values.ndim > 2 else values


def row_correlation(values: Tensor) -> Tensor | None:
    """Pearson correlations of the rows of a matrix, N×N in float64; None when a row is constant.

    >>> row_correlation(torch.tensor([[1.0, 2.0], [4.0, 2.0]])).round()
    tensor([[ 1., -1.],
            [-1.,  1.]], dtype=torch.float64)
    """
    total = torch.zeros(len(values), len(values), dtype=torch.float64, device=values.device)
    centred = values - values.mean(1, keepdim=True)
    for block in torch.split(centred, max(1, BLOCK // len(values)), dim=1):
        wide = block.to(torch.promote_types(block.dtype, torch.float32))
        total += (wide @ wide.T).double()
    deviations = total.diagonal().sqrt()
    if not bool((deviations > 0).all()):
        return None
    return (total / deviations / deviations[:, None]).clamp(-1, 1)
