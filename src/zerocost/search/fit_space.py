"""A space made to fit the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.data.balance import class_labels
from zerocost.data.dataset import length
from zerocost.spaces import SearchSpace, from_function, get

Space = SearchSpace | str | Callable[..., nn.Module]


def fit_space(space: Space, data: Dataset[Any]) -> tuple[SearchSpace, dict[str, Any]]:
    """The space itself, a function of choices made one, or the named one for the data's images and classes.

    Beside it the sizes that a shipped one was made with, such as `classes`. Raises `InputError`
    for data that no shipped space fits.
    """
    if isinstance(space, SearchSpace):
        return space, dict(space.built_for)
    if callable(space):
        return from_function(space), {}
    first = data[0]
    if not isinstance(first, tuple | list) or len(first) != 2:
        raise InputError(f"space {space!r} needs class labels, one output each, but the data has none")
    sample = first[0]
    if not isinstance(sample, Tensor) or sample.ndim != 3 or sample.shape[1] != sample.shape[2]:
        shape = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
        raise InputError(f"space {space!r} takes square images C×H×W, but the data's samples are {shape}")
    labels = class_labels(data)
    classes = 1 + int(max(data[i][1] for i in range(length(data))) if labels is None else labels.max())
    sizes = {"classes": classes, "in_channels": sample.shape[0], "resolution": sample.shape[1]}
    return get(space, **sizes), sizes
