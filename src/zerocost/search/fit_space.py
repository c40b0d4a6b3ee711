"""A space made to fit the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.data.balance import class_labels
from zerocost.data.dataset import length
from zerocost.data.targets import as_pair
from zerocost.data.tensors import TensorData, is_integer
from zerocost.spaces import SearchSpace, from_function, get
from zerocost.tasks import Task, classification

Space = SearchSpace | str | Callable[..., nn.Module]


def fit_space(space: Space, data: Dataset[Any], task: Task = classification) -> tuple[SearchSpace, dict[str, Any]]:
    """The space itself, a function of choices made one, or the named one for the data's inputs and targets.

    Beside it the sizes that the named one was made with, as `spaces.get` takes them. Raises `InputError` for data that
    the space does not fit.
    """
    if isinstance(space, SearchSpace):
        return space, dict(space.built_for)
    if callable(space):
        return from_function(space), {}
    if not isinstance(space, str):
        raise InputError(
            f"space must be a SearchSpace, the name of one, such as 'cnn', or a function of choices, but got {space!r}"
        )
    first = as_pair(data[0])
    if first is None:
        raise InputError(f"space {space!r} needs labels, one output each, but the data has none")
    if (task.name == "next_token") != (space == "gpt") or task.name == "segmentation":
        form = "logits for each token" if space == "gpt" else "one row of outputs a sample"
        raise InputError(f"space {space!r} has {form}, so it is not for {task.name}")
    outputs = _count_outputs(data, first[1], task)
    sizes = _SIZES.get(space, _image_sizes)(space, data, first[0], outputs)
    return get(space, **sizes), sizes


def _count_outputs(data: Dataset[Any], target: Any, task: Task) -> int:
    """How many outputs a sample has: the classes, or the numbers of a target."""
    numbers = torch.as_tensor(target).numel()
    if task.form != "multiclass" or numbers > 1:  # rows with a single 1 have a place for each class
        return numbers
    labels = class_labels(data)
    return 1 + int(max(target for _, target in _pairs(data)) if labels is None else labels.max())


def _image_sizes(space: str, data: Dataset[Any], sample: Any, outputs: int) -> dict[str, Any]:
    """The sizes of a space for square images."""
    if not isinstance(sample, Tensor) or sample.ndim != 3 or sample.shape[1] != sample.shape[2]:
        raise InputError(f"space {space!r} takes square images C×H×W, but the data's samples are {_form(sample)}")
    return {"classes": outputs, "in_channels": sample.shape[0], "resolution": sample.shape[1]}


def _row_sizes(space: str, data: Dataset[Any], sample: Any, outputs: int) -> dict[str, Any]:
    """The sizes of a space for the rows of a table: numbers, codes of categories, or both."""
    columns = list(sample) if isinstance(sample, tuple | list) else [sample]
    tensors = [column for column in columns if isinstance(column, Tensor) and column.ndim == 1]
    numbers = [column for column in tensors if column.is_floating_point()]
    codes = [column for column in tensors if not column.is_floating_point()]
    if not len(tensors) == len(columns) == len(numbers) + len(codes) or max(len(numbers), len(codes)) > 1:
        raise InputError(
            f"space {space!r} takes rows of numbers or codes of categories, but the data's samples are {_form(sample)}"
        )
    sizes = {"features": sum(map(len, numbers)), "outputs": outputs}
    return sizes | {"categories": _count_codes(data, codes)} if codes else sizes


def _count_codes(data: Dataset[Any], codes: list[Tensor]) -> tuple[int, ...]:
    """How many codes each column of categories has: as the data says, or as it holds."""
    if isinstance(data, TensorData) and data.codes:
        return data.codes
    rows = [row for row, _ in _pairs(data)]
    held = torch.stack([row[1] if isinstance(row, tuple | list) else row for row in rows])
    return tuple((held.amax(0) + 1).tolist())


def _series_sizes(space: str, data: Dataset[Any], sample: Any, outputs: int) -> dict[str, Any]:
    """The sizes of a space for series."""
    if not isinstance(sample, Tensor) or sample.ndim != 2 or not sample.is_floating_point():
        raise InputError(f"space {space!r} takes series time×features, but the data's samples are {_form(sample)}")
    return {"features": sample.shape[1], "outputs": outputs}


def _token_sizes(space: str, data: Dataset[Any], sample: Any, outputs: int) -> dict[str, Any]:
    """The sizes of a space for token ids; a decoder's outputs are the vocabulary."""
    if not isinstance(sample, Tensor) or sample.ndim != 1 or not is_integer(sample):
        raise InputError(f"space {space!r} takes token ids, but the data's samples are {_form(sample)}")
    ranges = [ids.aminmax() for ids, _ in _pairs(data)]
    least, most = min(int(ids.min) for ids in ranges), max(int(ids.max) for ids in ranges)
    if least < 0:
        raise InputError(
            f"token ids count from 0, but the data's inputs hold {least}; give padding an id of its own, such as "
            f"{most + 1}"
        )
    sizes = {"vocabulary": getattr(data, "vocabulary", None) or most + 1}
    return sizes if space == "gpt" else sizes | {"classes": outputs}


def _pairs(data: Dataset[Any]) -> Iterator[tuple[Any, Any]]:
    """The samples, each an input and a target."""
    return filter(None, (as_pair(data[i]) for i in range(length(data))))


_SIZES = {"bert": _token_sizes, "gpt": _token_sizes, "mlp": _row_sizes, "tcn": _series_sizes}


def _form(sample: Any) -> str:
    """The shape of a sample, or what else it is."""
    return str(tuple(sample.shape)) if isinstance(sample, Tensor) else type(sample).__name__
