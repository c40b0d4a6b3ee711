"""Where samples and batches hold their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

IGNORED = -100
"""The label of what does not count; it is no class."""
MOST_CLASSES = 20
"""Whole numbers of more different values than this are numbers to predict where that is not certain."""
TARGET_KEYS = ("labels", "label", "targets", "target", "y")
"""Names that the targets of a sample or a batch have in a mapping."""


def as_pair(sample: Any) -> tuple[Any, Any] | None:
    """Input and target of a sample that is a pair of them, or a mapping that holds the target; None for any other.

    A mapping's only input is given by itself.

    >>> as_pair({"x": 1, "y": 2}), as_pair({"ids": 1, "mask": 3, "label": 2}), as_pair({"ids": 1, "mask": 3})
    ((1, 2), ({'ids': 1, 'mask': 3}, 2), None)
    """
    if isinstance(sample, tuple | list):
        return (sample[0], sample[1]) if len(sample) == 2 else None
    key = next((key for key in TARGET_KEYS if key in sample), None) if isinstance(sample, Mapping) else None
    if key is None or len(sample) == 1:
        return None
    inputs = {name: value for name, value in sample.items() if name != key}
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs, sample[key]


def class_numbers(targets: Tensor | None) -> Tensor | None:
    """Labels as cross-entropy takes them: a column as a vector; one-hot rows, a vector of truth values and floating
    whole numbers as integers.

    Other labels stay as they are.

    >>> class_numbers(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])), class_numbers(torch.tensor([2.0, 0.0]))
    (tensor([1, 0]), tensor([2, 0]))
    """
    if targets is None:
        return None
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    if targets.ndim == 2:
        hot = is_zero_or_one(targets) and bool(((targets == 1).sum(1) == 1).all())
        return targets.long().argmax(1) if hot else targets
    whole = targets.is_floating_point() and bool((targets == targets.long()).all())
    return targets.long() if whole or (targets.dtype == torch.bool and targets.ndim == 1) else targets


def is_zero_or_one(targets: Tensor) -> bool:
    """Whether each number is 0 or 1."""
    return bool(((targets == 0) | (targets == 1)).all())
