"""What a network's inputs and outputs mean, as plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import Dataset, Subset

from zerocost.engine.inputs import sample_test


def describe_inputs(inputs: Any, data: Dataset[Any] | None = None) -> Any:
    """What a network takes: the shape, with "N" for the number of samples, and dtype of each input.

    Beside those of the floating-point input, if there is one alone, the mean and deviation of each channel or column
    that it was standardised by, where the data has them as `mean` and `std`.

    >>> import torch
    >>> describe_inputs(torch.zeros(5, 3, 8, 8))
    {'shape': ['N', 3, 8, 8], 'dtype': 'float32'}
    """
    sampled = sample_test(inputs)
    mean, std = (_attribute(data, name) for name in ("mean", "std"))
    known = isinstance(mean, Tensor) and isinstance(std, Tensor)
    floating = [value for value in tree_leaves(inputs) if isinstance(value, Tensor) and value.is_floating_point()]

    def describe(value: Any) -> Any:
        shape = ["N", *value.shape[1:]] if sampled(value) else list(value.shape)
        found = {"shape": shape, "dtype": str(value.dtype).removeprefix("torch.")}
        if known and len(floating) == 1 and value is floating[0]:
            return found | {"mean": plain(mean.flatten()), "std": plain(std.flatten())}
        return found

    return tree_map(describe, inputs)


def describe_outputs(data: Dataset[Any]) -> dict[str, Any]:
    """What data knows of its targets: names of `classes`; mean and deviation, `target_scale`, of a number to predict.

    >>> from torch.utils.data import TensorDataset
    >>> data = TensorDataset()
    >>> data.classes = ["cat", "dog"]
    >>> describe_outputs(Subset(data, [0]))
    {'classes': ['cat', 'dog']}
    """
    found = {name: plain(_attribute(data, name)) for name in ("classes", "target_scale")}
    return {name: value for name, value in found.items() if value}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: arrays as lists, keys as texts, and what is no number, text or truth value as text.

    >>> plain({1: np.arange(2), "size": (1, None)})
    {'1': [0, 1], 'size': [1, None]}
    """
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _attribute(data: Dataset[Any] | None, name: str) -> Any:
    """An attribute of a dataset, or of that which it is a part of; None where there is none."""
    while isinstance(data, Subset):
        data = data.dataset
    return getattr(data, name, None)
