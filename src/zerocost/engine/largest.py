"""The largest singular value of a matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_DIRECT = 256  # up to so many rows or columns, all eigenvalues cost no more than iterations for one


def largest_singular_value(matrix: Tensor) -> Tensor:
    """The spectral norm of a matrix, in float64; by Lanczos iterations to full precision where it is large.

    >>> round(largest_singular_value(torch.tensor([[3.0, 0.0], [0.0, -4.0]])).item(), 12)
    4.0
    """
    matrix = matrix.double()
    large = min(matrix.shape) > _DIRECT and bool(matrix.any()) and bool(matrix.isfinite().all())
    return _by_lanczos(matrix) if large else _by_gram(matrix)


def _by_gram(matrix: Tensor) -> Tensor:
    """The root of the largest eigenvalue of the smaller Gram matrix."""
    tall = len(matrix) > matrix.shape[1]
    values: Tensor = torch.linalg.eigvalsh(matrix.T @ matrix if tall else matrix @ matrix.T)
    return values[-1].clamp(min=0).sqrt()


def _by_lanczos(matrix: Tensor) -> Tensor:
    """The same of a large matrix, by products with vectors."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh  # takes half a second to import

    values = matrix.detach().cpu().numpy()
    values = values if len(values) > values.shape[1] else values.T
    gram = LinearOperator((values.shape[1],) * 2, matvec=lambda v: values.T @ (values @ v), dtype=values.dtype)
    start = np.random.default_rng(0).normal(size=values.shape[1])
    try:
        found = eigsh(gram, k=1, which="LA", v0=start, return_eigenvectors=False)[0]
    except ArpackNoConvergence:
        return _by_gram(matrix)
    return torch.tensor(found, dtype=matrix.dtype, device=matrix.device).sqrt()
