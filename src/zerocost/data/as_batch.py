"""A checked batch from whatever the user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.errors import InputError
from zerocost.data.batch import Batch, draw, usual_size, validate
from zerocost.data.tensors import as_inputs


def first_batch(data: Any, seed: int = 0) -> Batch:
    """A batch of the usual size, drawn from a seed, which shows what the targets are."""
    return draw(data, usual_size(data), seed=seed)


def as_batches(batch: Any) -> list[Batch]:
    """Checked batches from a list of `(inputs, labels)`, or from a single batch."""
    several = (
        isinstance(batch, list) and bool(batch) and all(isinstance(b, tuple | list) and len(b) == 2 for b in batch)
    )
    several = several and not any(isinstance(b[0], int | float) for b in batch)  # a list of labels
    return [as_batch(b) for b in (batch if several else [batch])]


def as_batch(batch: Any) -> Batch:
    """A checked `Batch` from `(inputs, labels)` or inputs alone; arrays become tensors, uint8 images floats."""
    pair = isinstance(batch, tuple | list) and len(batch) == 2
    inputs, targets = tuple(batch) if pair else (batch, None)
    if (hasattr(inputs, "__iter__") or hasattr(inputs, "__getitem__")) and not _holds_arrays(inputs):
        raise InputError(
            f"a batch must hold its samples as tensors, got {type(inputs).__name__}; take one batch out of it, "
            "batch = next(iter(loader)), or draw one with zerocost.data.draw"
        )
    inputs = tree_map(_tensor_of_array, dict(inputs) if isinstance(inputs, Mapping) else inputs)
    targets = _label_tensor(targets)
    if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8:
        inputs = as_inputs(inputs)
    checked = Batch(inputs, targets)
    validate(checked)
    return checked


def _holds_arrays(inputs: Any) -> bool:
    """Whether inputs are an array or a structure of arrays; what yields batches, such as a loader, is neither."""
    return isinstance(inputs, Tensor | Mapping | Sequence) or hasattr(inputs, "__array__")


def _label_tensor(targets: Any) -> Tensor | None:
    """A tensor of labels from a tensor, array or list of numbers."""
    if targets is None or isinstance(targets, Tensor):
        return targets
    try:
        return torch.from_numpy(np.array(np.asarray(targets)))
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be a tensor, array or list of numbers, got {targets!r:.60}") from error


def _tensor_of_array(value: Any) -> Any:
    """A contiguous tensor from an array of numpy, TensorFlow or JAX, copied; anything else stays as it is.

    All are contiguous because the order of axes in memory decides how sums are rounded.
    """
    if isinstance(value, Tensor):
        return value.contiguous() if value.layout == torch.strided else value
    if isinstance(value, np.generic) or not hasattr(value, "__array__"):
        return value
    try:
        return torch.from_numpy(np.array(np.asarray(value), order="C"))
    except TypeError as error:
        raise InputError(f"the inputs of a batch must be numbers, got {type(value).__name__}: {error}") from error


def tensor_shapes(inputs: Any) -> Any:
    """Shapes of the tensors in a nested structure."""
    return tree_map(lambda t: tuple(t.shape) if isinstance(t, Tensor) else t, inputs)
