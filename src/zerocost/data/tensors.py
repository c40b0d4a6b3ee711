"""Data in memory: arrays become float images and integer labels; images are standardised."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from zerocost.base.errors import InputError

_Array = Tensor | np.ndarray[Any, np.dtype[Any]]

_MOST_LISTED = 5  # most values that a message lists


class TensorData(Dataset[Any]):
    """Item `i` is `(images[i], int(targets[i]))`, or `images[i]` alone when there are no targets.

    >>> TensorData(torch.zeros(2, 3, 8, 8), torch.tensor([4, 7]))[1][1]
    7
    """

    def __init__(self, images: Tensor, targets: Tensor | None = None) -> None:
        self.images = images
        self.targets = targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.images[index] if self.targets is None else (self.images[index], int(self.targets[index]))


def as_inputs(array: _Array) -> Tensor:
    """Network inputs from an array whose first axis counts the samples.

    uint8 means images, N×H×W×C, N×C×H×W or N×H×W with one or three channels: they become float32 N×C×H×W in
    [0, 1]. Floating values are kept, as float32. Signed integers (token indices) stay as they are.

    Raises:
        InputError: any other dtype or shape, empty data, and NaN or infinite values.

    >>> as_inputs(np.full((2, 8, 8, 3), 255, np.uint8)).shape
    torch.Size([2, 3, 8, 8])
    """
    inputs = _to_tensor(array, "inputs")
    shape = "×".join(map(str, inputs.shape)) or "a single number"
    if inputs.ndim < 2:
        raise InputError(f"inputs need a sample axis and at least one more (images: N×C×H×W), got shape {shape}")
    if inputs.numel() == 0:
        raise InputError(f"the inputs are empty: shape {shape}")
    if inputs.dtype == torch.uint8:
        return _channels_first(inputs, shape).contiguous().float().div_(255)
    if inputs.is_floating_point():
        inputs = inputs.float()
        check_finite(inputs)
        return inputs
    if inputs.dtype in (torch.int8, torch.int16, torch.int32, torch.int64):
        return inputs
    raise InputError(f"inputs must be uint8 images, floating point or signed integers, got {inputs.dtype}")


def as_labels(array: _Array, count: int) -> Tensor:
    """Class labels as an int64 vector, from whole numbers ≥ 0 of shape `count` or `count`×1; else `InputError`.

    >>> as_labels(np.array([[3], [1]], np.uint8), count=2)
    tensor([3, 1])
    """
    labels = _to_tensor(array, "labels")
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != count:
        raise InputError(
            f"expected one label for each of the {count} inputs, got labels of shape {tuple(labels.shape)}"
        )
    if not is_integer(labels):
        raise InputError(
            f"labels must be whole numbers that count classes from 0, got {labels.dtype}; "
            "give targets of another kind as a torch Dataset of (input, target)"
        )
    labels = labels.long()
    if bool((labels < 0).any()):
        raise InputError(f"labels count classes from 0, got {describe_values(labels[labels < 0])}")
    return labels


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of N×C×H×W images, both C×1×1. A constant channel has 1.

    >>> mean, std = channel_statistics(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1))
    >>> mean.item(), std.item()
    (0.5, 0.5)
    """
    axes = (0, 2, 3)
    std, mean = torch.std_mean(images, dim=axes, correction=0)
    constant = images.amax(dim=axes) == images.amin(dim=axes)
    return mean[:, None, None], torch.where(constant, 1.0, std)[:, None, None]


def standardise(images: Tensor, targets: Tensor | None) -> StandardImages:
    """Data whose images have mean 0 and standard deviation 1 in each channel. Overwrites `images`, to save memory.

    >>> data = standardise(torch.rand(50, 3, 8, 8), None)
    >>> round(data.images.std(correction=0).item(), 4)
    1.0
    """
    mean, std = channel_statistics(images)
    return StandardImages(images.sub_(mean).div_(std), targets, mean, std)


class StandardImages(TensorData):
    """Standardised images, with the mean and deviation that each channel had.

    >>> data = standardise(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), None)
    >>> data.mean.item(), data.std.item()
    (0.5, 0.5)
    """

    def __init__(self, images: Tensor, targets: Tensor | None, mean: Tensor, std: Tensor) -> None:
        super().__init__(images, targets)
        self.mean, self.std = mean, std


def check_finite(inputs: Tensor) -> None:
    """Raise `InputError` that says how many values are NaN or infinite, and in which sample the first one is."""
    finite = torch.isfinite(inputs)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise InputError(
            f"{len(bad)} of {inputs.numel()} input values are NaN or infinite, the first in sample "
            f"{int(bad[0, 0])}; remove or repair these samples"
        )


def is_integer(values: Tensor) -> bool:
    """Whether the dtype holds whole numbers; truth values do not count as such."""
    return not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


def describe_values(values: Tensor) -> str:
    """The distinct values in order for a message, shortened after a few."""
    distinct = torch.unique(values).tolist()
    return ", ".join(map(str, distinct[:_MOST_LISTED])) + (", …" if len(distinct) > _MOST_LISTED else "")


def _to_tensor(array: _Array, what: str) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach()
    try:
        return torch.from_numpy(np.array(array, order="C"))
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} of numpy dtype {array.dtype} cannot become a tensor; convert them first") from error


def _channels_first(images: Tensor, shape: str) -> Tensor:
    if images.ndim == 3:
        return images.unsqueeze(1)
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.permute(0, 3, 1, 2)
    raise InputError(
        f"uint8 images must be N×H×W×C, N×C×H×W or N×H×W with 1 or 3 channels, got {shape}; "
        "give anything else as floating point N×C×H×W"
    )
