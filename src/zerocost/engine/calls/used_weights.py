"""Weights as a network uses them: views and copies of them, and products with them that it adds up by itself."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor

from zerocost.engine.calls.functions import CASTS, FAKE_QUANTISATION, PRODUCTS, SUMS

_COPIES = CASTS | PRODUCTS | SUMS | FAKE_QUANTISATION | {"contiguous", "clone", "to_sparse", "to_sparse_csr"}
"""Functions that make of a weight one to use in its place, where the shape stays."""


def used_weight(value: Any, weights: Container[int]) -> Tensor | None:
    """The weight of which a matrix is a view, as its transpose or a part is, or a copy; None for any other.

    It may be the same matrix many times, as for a product of batches, or a weight that holds a matrix for each.
    """
    if not isinstance(value, Tensor) or value.ndim < 2:
        return None
    if id(value) in weights:
        return value if value.ndim < 4 else None
    owner = _owner(value, weights)
    if value.layout is not torch.strided:
        return owner
    several = any(size > 1 and step for size, step in zip(value.shape[:-2], value.stride(), strict=False))
    if owner is None or (several and not value.ndim == owner.ndim == 3):
        return None
    size = value.numel() if several else value.shape[-2:].numel()
    return owner if owner.numel() == size else value


def heads_weight(value: Tensor, weights: Container[int]) -> Tensor | None:
    """The weight that a tensor of heads × width × size is, or is a view of as a whole; None for any other.

    >>> weight = torch.zeros(6, 4)
    >>> heads_weight(weight.view(2, 3, 4), {id(weight)}) is weight
    True
    """
    owner = _owner(value, weights)
    return owner if value.ndim == 3 and owner is not None and owner.numel() == value.numel() else None


def _owner(value: Tensor, weights: Container[int]) -> Tensor | None:
    """The weight of which a tensor is a view, whole or in part, or a view of a copy; None for any other."""
    whole = value if value._base is None else value._base
    return whole if id(whole) in weights else getattr(whole, "_copy_of", None)


def follow_weights(name: str, args: tuple[Any, ...], result: Any, weights: Container[int]) -> None:
    """Note on what a call returned that it is a copy of a weight, or that of each column times a number of a row.

    The second is a linear layer by hand, (x[:, None] * w).sum(-1), as soon as it is summed. A weight with another
    matrix added, as an adapter's, is a copy, too.
    """
    if name not in _COPIES or not isinstance(result, Tensor) or not args:
        return
    value, other = args[0], args[-1] if name in PRODUCTS or name in SUMS else None
    if name in SUMS and not (isinstance(other, Tensor) and result.ndim == 2 and other.shape == value.shape):
        return
    weight = value if id(value) in weights else getattr(value, "_copy_of", None)
    weight = used_weight(value, weights) if weight is None else weight
    if weight is None and other is not None:
        value, other = other, value
        weight = used_weight(value, weights)
    if weight is None:
        return
    if not isinstance(other, Tensor) or not other.ndim or name in SUMS:
        if result.shape == value.shape:
            result._copy_of = weight  # type: ignore[attr-defined]
    elif other.ndim == result.ndim > 2:
        made = [axis for axis in (-2, -1) if other.shape[axis] == 1 < value.shape[axis]]
        shared = -3 - made[0] if len(made) == 1 else 0
        if shared and other.shape[shared] == value.shape[shared] > 1:
            result._to_sum = (shared, other, weight)  # type: ignore[attr-defined]


def whole_weight(value: Tensor, weights: Container[int]) -> Tensor:
    """The weight of which a layer's is a view of all rows, or a copy; any other as it is."""
    if id(value) in weights:  # a tensor of a class of its own is a view of its numbers
        return value
    base = value if value._base is None else value._base
    whole: Tensor = getattr(base, "_copy_of", base)
    if whole is value or value.layout is not torch.strided or value.numel() != whole.numel():
        return value
    rows = value.shape[:1] == base.shape[:1] and value.stride()[:1] == base.stride()[:1]
    return whole if rows else value


def summed_product(product: Any, axis: Any) -> tuple[Tensor, Tensor] | None:
    """What a product with a weight was made of, the tensor and the weight, if it is summed along the axis they share.

    >>> import torch
    >>> x, w = torch.zeros(5, 2), torch.zeros(3, 2)
    >>> product = x[:, None] * w
    >>> follow_weights("mul", (x[:, None], w), product, {id(w)})
    >>> [tuple(tensor.shape) for tensor in summed_product(product, -1)]
    [(5, 1, 2), (3, 2)]
    """
    noted: tuple[int, Tensor, Tensor] | None = getattr(product, "_to_sum", None)
    given = axis[0] if isinstance(axis, tuple | list) and len(axis) == 1 else axis
    if noted is None or not isinstance(given, int) or given not in (noted[0], noted[0] + product.ndim):
        return None
    return noted[1:]
