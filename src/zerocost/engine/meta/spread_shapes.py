"""What functions of each element of several tensors return on the meta device."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor

from zerocost.engine.meta.operators import empty


def spread(like: Tensor, *tensors: Tensor) -> Tensor | None:
    """What a function of each element of tensors that are spread to one shape returns, of the dtype of `like`; None
    where they do not fit. Its axes lie in memory as theirs do.

    >>> column, row = torch.empty(2, 1, device="meta"), torch.empty(3, device="meta")
    >>> spread(row, column, row).shape, spread(row, row, torch.empty(4, 2, device="meta"))
    (torch.Size([2, 3]), None)
    """
    along = list(zip_longest(*[reversed(one.shape) for one in tensors], fillvalue=1))
    sizes = [next((size for size in both if size != 1), 1) for both in along][::-1]
    if any(size not in (1, whole) for both, whole in zip(along, reversed(sizes), strict=True) for size in both):
        return None
    if all(one.is_contiguous() for one in tensors) and (len(tensors) == 1 or sizes == list(tensors[0].shape)):
        return empty(like, *sizes)
    strides, step = [0] * len(sizes), 1
    for axis in _from_innermost(sizes, [_steps(one, sizes) for one in tensors]):
        strides[axis] = step
        step *= sizes[axis]
    return torch.empty_strided(sizes, strides, dtype=like.dtype, device=like.device)


def _steps(one: Tensor, sizes: list[int]) -> list[int]:
    """The strides of a tensor that is spread to some sizes."""
    new = len(sizes) - one.ndim
    kept = zip(one.stride(), one.shape, sizes[new:], strict=True)
    return [0] * new + [0 if size == 1 != whole else step for step, size, whole in kept]


def _from_innermost(sizes: list[int], steps: list[list[int]]) -> list[int]:
    """The axes in the order of their strides, the least first, as torch sorts them: a stride of 0 tells nothing."""
    order = list(reversed(range(len(sizes))))
    for start in range(1, len(order)):
        place = start
        for before in reversed(range(start)):
            found = _compare(order[before], order[place], sizes, steps)
            if found > 0:
                order[before], order[place] = order[place], order[before]
                place = before
            elif found < 0:
                break
    return order


def _compare(one: int, other: int, sizes: list[int], steps: list[list[int]]) -> int:
    """Above 0 where the first axis lies outside the second, below 0 where it lies inside, 0 where no tensor tells."""
    for each in steps:
        if each[one] and each[other]:
            if each[one] != each[other]:
                return 1 if each[one] > each[other] else -1
            if sizes[one] > sizes[other]:
                return 1
    return 0
