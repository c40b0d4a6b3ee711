"""What a network's inputs and outputs mean, as plain values that JSON can hold."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import Dataset, Subset

from zerocost.base.format import name_of
from zerocost.base.seeding import seeded
from zerocost.data.collated import Collated
from zerocost.data.tensors import TensorData
from zerocost.engine.inputs import call, sample_test
from zerocost.engine.outputs import OutputPicker
from zerocost.tasks import Task


def describe_inputs(inputs: Any, data: Dataset[Any] | None = None) -> Any:
    """What a network takes: the shape, with "N" for the number of samples, and dtype of each input.

    Beside those of the floating-point input, if there is one alone, the mean and deviation of each channel or column
    that it was standardised by, where the data has them as `mean` and `std`, with the `columns` of numbers and the
    `axis` that they are along, 1 unless it says otherwise. Beside those of categories, the texts of each column.

    >>> describe_inputs(torch.zeros(5, 3, 8, 8))
    {'shape': ['N', 3, 8, 8], 'dtype': 'float32'}
    """
    sampled = sample_test(inputs)
    mean, std = (_attribute(data, name) for name in ("mean", "std"))
    known = isinstance(mean, Tensor) and isinstance(std, Tensor)
    columns, texts = (_attribute(data, name) for name in ("numbers", "category_texts"))
    floating = [value for value in tree_leaves(inputs) if isinstance(value, Tensor) and value.is_floating_point()]

    def describe(value: Any) -> Any:
        shape = ["N", *value.shape[1:]] if sampled(value) else list(value.shape)
        found = {"shape": shape, "dtype": str(value.dtype).removeprefix("torch.")}
        if known and len(floating) == 1 and value is floating[0]:
            found |= {"mean": plain(mean.flatten()), "std": plain(std.flatten())}
            found |= {"columns": list(columns)} if columns else {}
            return found | ({"axis": value.ndim - 1} if mean.ndim == 1 and value.ndim > 2 else {})
        if texts and value.dtype == torch.int64:
            return found | {"categories": plain(texts)}
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


def data_notes(data: Dataset[Any]) -> list[str]:
    """What a source says of the columns that it left out, or read otherwise than may have been meant."""
    return list(getattr(data, "notes", ())) if isinstance(data, TensorData) else []


def describe_tensor(model: nn.Module, inputs: Any, task: Task) -> dict[str, Any]:
    """The task, and where its tensor is in what a network returns: its key, attribute or place, or a function's name.

    >>> from zerocost.tasks import classification
    >>> describe_tensor(nn.LSTM(3, 4), torch.zeros(2, 5, 3), classification)
    {'task': 'classification', 'tensor': 0}
    """
    if callable(task.output):
        return {"task": task.name, "function": name_of(task.output)}
    pick = OutputPicker(task.output)
    with torch.no_grad(), seeded(0):
        pick(call(copy.deepcopy(model).cpu().eval(), inputs))
    place = pick.found.strip("[]")
    return {"task": task.name} | ({"tensor": int(place) if place.isdecimal() else place} if place else {})


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
    while isinstance(data, Subset | Collated):
        data = data.dataset
    return getattr(data, name, None)
