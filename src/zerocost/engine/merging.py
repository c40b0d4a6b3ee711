"""How the signal of a batch is made of those of its parts, for the kinds of signals that several measurements share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def concatenate(parts: Sequence[Tensor], _: Sequence[float]) -> Tensor:
    """Per-sample rows, one part after the other.

    >>> concatenate([torch.tensor([1]), torch.tensor([2, 3])], [1 / 3, 2 / 3])
    tensor([1, 2, 3])
    """
    return torch.cat(list(parts))


def weighted_sum(parts: Sequence[Any], shares: Sequence[float]) -> Any:
    """Sum of tensors, or of lists of tensors, each part weighted by its share of the batch.

    >>> weighted_sum([[torch.tensor(1.0)], [torch.tensor(3.0)]], [0.25, 0.75])
    [tensor(2.5000)]
    """
    if isinstance(parts[0], Tensor):
        return sum(share * part for share, part in zip(shares, parts, strict=True))
    return [weighted_sum(tensors, shares) for tensors in zip(*parts, strict=True)]
