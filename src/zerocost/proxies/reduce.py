"""The one reduction most proxies end in."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zerocost.base.errors import Failure


def total(terms: Iterable[Tensor]) -> Tensor:
    """Sum of all elements of all tensors, accumulated in float64.

    >>> total([torch.ones(2, 2), torch.ones(3)]).item()
    7.0
    """
    return torch.stack([term.sum(dtype=torch.float64) for term in terms]).sum()


def signal_to_noise(values: Tensor) -> Tensor:
    """Sum of a tensor over its standard deviation (n − 1); the sum alone where they are all equal, or one.

    >>> round(signal_to_noise(torch.tensor([1.0, 2.0, 3.0])).item(), 4)
    6.0
    """
    values = values.double()
    deviation = values.std() if values.numel() > 1 else values.new_zeros(())
    return values.sum() / deviation if deviation > 0 else values.sum()


def check_several(rows: Tensor) -> None:
    """`Failure` for a single row, which compares with no other.

    >>> check_several(torch.ones(2, 3))
    """
    if len(rows) < 2:
        raise Failure("needs a batch of two samples or more")
