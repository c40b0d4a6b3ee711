"""Gaussian noise: inputs for proxies that need no data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_positive_int
from zerocost.data.room import check_sample

_COUNT = 10_000
_USAGE = "noise:CHANNELSxHEIGHTxWIDTH:CLASSES, such as noise:3x32x32:10"


class _Noise(Dataset[Any]):
    """`_COUNT` tensors of independent N(0, 1) values. Item `i` depends on `i` alone; so does its label, `i % classes`.

    >>> _Noise((3, 8, 8), classes=10)[13][1]
    3
    """

    def __init__(self, shape: tuple[int, ...], classes: int | None = None) -> None:
        self.shape = shape
        self.targets = None if classes is None else torch.arange(_COUNT) % classes

    def __len__(self) -> int:
        return _COUNT

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < _COUNT:
            raise IndexError(f"index {index} is outside 0..{_COUNT - 1}")
        values = torch.from_numpy(np.random.default_rng(index).standard_normal(self.shape, dtype=np.float32))
        return values if self.targets is None else (values, int(self.targets[index]))


def load_noise(argument: str = "") -> _Noise:
    """Gaussian noise.

    Args:
        argument: shape and number of classes, such as `3x32x32:10`; 3×32×32 without labels by default.

    Raises:
        InputError: the shape is not three whole numbers of at least 1, or too large.
    """
    shape, _, classes = (argument or "3x32x32").partition(":")
    sides = tuple(parse_positive_int(side, _USAGE) for side in shape.split("x"))
    if len(sides) != 3:
        raise InputError(f"expected a shape of three numbers, got {shape!r}; write {_USAGE}")
    check_sample(math.prod(sides), f"write {_USAGE}")
    return _Noise(sides, parse_positive_int(classes, _USAGE) if classes else None)
