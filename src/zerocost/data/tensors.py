"""Data in memory: arrays become float images and integer labels; images are standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from zerocost.base.errors import InputError
from zerocost.data.source_data import SourceData

_Array = Tensor | np.ndarray[Any, np.dtype[Any]]

_MOST_LISTED = 5  # most values that a message lists


class TensorData(SourceData):
    """Item `i` is `(images[i], targets[i])`, or `images[i]` alone when there are no targets. Labels come as `int`.

    Args:
        images: the inputs, a tensor with the samples along the first axis, or a tuple or mapping of such tensors.
        targets: one for each sample, if any.
        task: the name of the task that the targets are for, where that is certain.

    Attributes:
        codes: how many codes each column of categories has, where that is known.
        classes: what class numbers stand for, where that is known.
        mean, std: what the inputs were standardised by, if they were: for each channel, or column of numbers.
        target_scale: mean and standard deviation that targets were standardised by, if they were.
        numbers: the names of the columns of numbers, where the inputs have such.
        category_texts: for each column of categories, what its numbers stand for, from 1 on.

    >>> TensorData(torch.zeros(2, 3, 8, 8), torch.tensor([4, 7]))[1][1]
    7
    """

    codes: tuple[int, ...] = ()
    classes: Sequence[Any] = ()
    mean: Tensor | None = None
    std: Tensor | None = None
    target_scale: tuple[float, float] | None = None
    numbers: Sequence[str] = ()
    category_texts: Mapping[str, Sequence[Any]] = MappingProxyType({})

    def __init__(self, images: Any, targets: Tensor | None = None, task: str | None = None) -> None:
        self.images = images
        self.targets = targets
        self.task = task

    def __len__(self) -> int:
        return len(tree_leaves(self.images)[0])

    def __getitem__(self, index: int) -> Any:
        inputs = tree_map(lambda values: values[index], self.images)
        if self.targets is None:
            return inputs
        target = self.targets[index]
        return inputs, int(target) if target.ndim == 0 and is_integer(target) else target

    def rows(self, rows: Tensor) -> TensorData:
        """Some of the samples."""
        targets = None if self.targets is None else self.targets[rows]
        some = TensorData(tree_map(lambda values: values[rows], self.images), targets, self.task)
        some.codes, some.classes, some.target_scale = self.codes, self.classes, self.target_scale
        some.mean, some.std = self.mean, self.std
        some.numbers, some.category_texts = self.numbers, self.category_texts
        return some


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
    """Class labels as an int64 vector, from whole numbers ≥ 0 of shape `count` or `count` × 1; else `InputError`.

    >>> as_labels(np.array([[3], [1]], np.uint8), count=2)
    tensor([3, 1])
    """
    labels = _as_whole_numbers(array, count)
    check_classes(labels)
    return labels


def check_classes(labels: Tensor | None) -> None:
    """`InputError` for a vector of whole numbers in which one is negative, and so the number of no class."""
    if labels is not None and labels.ndim == 1 and is_integer(labels) and bool((labels < 0).any()):
        raise InputError(
            f"labels count classes from 0, got {describe_values(labels[labels < 0])}; for numbers to predict name the "
            "task, regression, or give them in floating point"
        )


def _as_whole_numbers(array: _Array, count: int) -> Tensor:
    """An int64 vector, from whole numbers of shape `count` or `count` × 1; else `InputError`."""
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
    return labels.long()


def as_targets(array: _Array, count: int) -> Tensor:
    """Targets of any task: whole numbers as int64, a vector where a sample has one, truth values as they are, and
    other numbers as float32; `InputError` for others, and for another number of samples.

    >>> as_targets(np.array([0.5, 1.5]), count=2), as_targets(np.eye(2, dtype=bool), count=2).dtype
    (tensor([0.5000, 1.5000]), torch.bool)
    """
    targets = _to_tensor(array, "targets")
    if targets.dtype == torch.bool and targets[:1].numel() == 1:
        targets = targets.long()
    if is_integer(targets) and targets[:1].numel() == 1 and targets.ndim <= 2:
        return _as_whole_numbers(targets, count)
    if targets.ndim == 0 or len(targets) != count:
        raise InputError(f"expected one target for each of the {count} inputs, got shape {tuple(targets.shape)}")
    if targets.is_complex():
        raise InputError(f"targets must be real numbers, got {targets.dtype}")
    if targets.is_floating_point():
        check_finite(targets, "target")
        return targets.float()
    return targets.long() if is_integer(targets) else targets


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


def power_of_two(columns: Tensor) -> Tensor:
    """For each column one of about the size of its largest number, NaN aside: division by it is exact.

    >>> power_of_two(torch.tensor([[3.0, float("nan")], [-5.0, 0.3]], dtype=torch.float64))
    tensor([4.0000, 0.2500], dtype=torch.float64)
    """
    exponent = torch.frexp(columns.abs().nan_to_num().amax(0)).exponent - 1
    return torch.exp2(exponent.to(columns.dtype))


def standardise(images: Tensor, targets: Tensor | None) -> StandardImages:
    """Data whose images have mean 0 and standard deviation 1 in each channel. Overwrites `images`, to save memory.

    >>> data = standardise(torch.rand(50, 3, 8, 8), None)
    >>> round(data.images.std(correction=0).item(), 4)
    1.0
    """
    mean, std = channel_statistics(images)
    return StandardImages(images.sub_(mean).div_(std), targets, mean, std)


class StandardImages(TensorData):
    """Images standardised by all of them, or after a split by the training part; they had this mean and deviation.

    >>> data = standardise(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), None)
    >>> data.mean.item(), data.std.item()
    (0.5, 0.5)
    """

    mean: Tensor
    std: Tensor

    def __init__(self, images: Tensor, targets: Tensor | None, mean: Tensor, std: Tensor) -> None:
        super().__init__(images, targets)
        self.mean, self.std = mean, std

    def parts(self, train: Tensor, validation: Tensor) -> tuple[StandardImages, StandardImages]:
        """Two parts, standardised by the first."""
        fitting, held_out = self.rows(train), self.rows(validation)
        mean, std = channel_statistics(fitting.images)
        fitted = self.mean + self.std * mean, self.std * std
        first, second = (
            StandardImages(part.images.sub_(mean).div_(std), part.targets, *fitted) for part in (fitting, held_out)
        )
        return first, second

    def beside(self, other: StandardImages) -> tuple[StandardImages, StandardImages]:
        """These images and others, standardised by these."""
        if torch.equal(self.mean, other.mean) and torch.equal(self.std, other.std):
            return self, other
        raw = other.images * other.std + other.mean
        return self, StandardImages((raw - self.mean) / self.std, other.targets, self.mean, self.std)


def check_finite(inputs: Tensor, what: str = "input") -> None:
    """Raise `InputError` that says how many values are NaN or infinite, and in which sample the first one is."""
    finite = torch.isfinite(inputs)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise InputError(
            f"{len(bad)} of {inputs.numel()} {what} values are NaN or infinite, the first in sample "
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
