"""Where samples and batches hold their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
