"""What the formulas of several proxies share: sums in float64, ratios to noise, and checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.signals import Tensors

_ROUNDING = 1e-12
"""A layer's flow over that of the next larger one, where it is no more than the rounding errors of float64."""
_PIECE = 2**16  # numbers that the cache holds


def total(terms: Iterable[Tensor]) -> Tensor:
    """Sum of all elements of all tensors, accumulated in float64.

    >>> total([torch.ones(2, 2), torch.ones(3)]).item()
    7.0
    """
    return torch.stack([term.sum(dtype=torch.float64) for term in terms]).sum()


def in_pieces(*layers: Tensors) -> Iterator[tuple[Tensor, ...]]:
    """The tensors of each layer side by side, flat and a piece at a time.

    What is computed of a piece stays in the cache, where that of a large layer would be written to memory and read
    back.

    >>> [(w * g).tolist() for w, g in in_pieces([torch.ones(1, 2), torch.ones(1)], [torch.ones(1, 2), torch.zeros(1)])]
    [[1.0, 1.0], [0.0]]
    """
    for tensors in zip(*layers, strict=True):
        yield from zip(*(torch.split(t.to_dense().flatten(), _PIECE) for t in tensors), strict=True)


def signal_to_noise(values: Tensor) -> Tensor:
    """Sum of a tensor over its standard deviation (n − 1); the sum alone where they are all equal, or one.

    >>> round(signal_to_noise(torch.tensor([1.0, 2.0, 3.0])).item(), 4)
    6.0
    """
    return _sum_and_ratio(values)[1]


def flows_to_noise(layers: Iterable[Tensor]) -> list[Tensor]:
    """`signal_to_noise` of the sizes of each layer's flows; zero for a layer whose flows are rounding errors.

    Such a layer is apart from all larger ones by their rounding, as queries and keys are where all tokens are equal,
    and has flows of both signs: where weights and inputs are positive, a flow that is only small has one sign.

    >>> layers = [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1e-15, -1e-15]), torch.tensor([1e-15, 3e-15])]
    >>> [round(ratio.item(), 4) for ratio in flows_to_noise(layers)]
    [6.0, 0.0, 2.8284]
    """
    found = [(*_sum_and_ratio(flows.abs()), _has_both_signs(flows)) for flows in layers]
    falling = sorted((float(size) for size, *_ in found), reverse=True)
    floor = next((larger for larger, smaller in pairwise(falling) if smaller < _ROUNDING * larger), 0.0)
    return [torch.zeros_like(ratio) if mixed and size < floor else ratio for size, ratio, mixed in found]


def _has_both_signs(flows: Tensor) -> bool:
    flows = flows.to_dense()
    return bool((flows < 0).any() and (flows > 0).any())


def _sum_and_ratio(values: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of a tensor, and `signal_to_noise`; scaled by a power of two, as squares would overflow or vanish."""
    values = values.to_dense().double()
    exponent = max(math.frexp(float(values.abs().max()))[1], -1000) if values.numel() else 0
    scaled = values * 2.0**-exponent
    deviation = scaled.std() if values.numel() > 1 else values.new_zeros(())
    size = values.sum()
    return size, scaled.sum() / deviation if deviation > 0 else size


def is_singular(eigenvalues: Tensor) -> bool:
    """Whether a positive semi-definite matrix of these eigenvalues is singular, but for rounding.

    >>> is_singular(torch.tensor([1.0, 2.0])), is_singular(torch.tensor([1e-9, 2.0]))
    (False, True)
    """
    rounding = eigenvalues.max() * len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps
    return bool(eigenvalues.min() <= rounding)


def check_several(rows: Tensor) -> None:
    """`Failure` for a single row, which compares with no other.

    >>> check_several(torch.ones(2, 3))
    """
    if len(rows) < 2:
        raise Failure("needs a batch of two samples or more")
