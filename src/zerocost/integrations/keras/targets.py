"""A batch to score on out of the data that a Keras tuner trains on, its targets read by the compiled loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zerocost.base.errors import Failure, InputError
from zerocost.data import Batch
from zerocost.data.as_batch import class_numbers
from zerocost.engine.losses import Loss, cross_entropy
from zerocost.integrations.keras.library import library
from zerocost.scoring.candidates import Builder, initialise

NUMBERS = "biuf"
"""The kinds of numpy's types that torch has too."""


def sample(x: Any, y: Any, size: int, seed: int, read: Callable[[np.ndarray], Tensor | None]) -> Batch:
    """A batch drawn from arrays of inputs and of targets, the targets as `read` has them.

    Where `y` is None, `x` gives batches of both, and the first samples are taken.

    >>> sample(np.zeros((9, 4)), np.arange(9), 4, 0, as_given).targets.shape
    torch.Size([4])
    >>> sample([(np.zeros((3, 4)), np.arange(3))] * 2, None, 5, 0, as_given).inputs.shape
    torch.Size([5, 4])
    """
    if y is None and not hasattr(x, "shape"):
        x, y = gathered(x, size)
    if y is None or not hasattr(x, "shape"):
        raise InputError(
            f"a batch is drawn from arrays x and y or from batches of both, got {type(x).__name__} and "
            f"{type(y).__name__}; give batch=(inputs, labels) for other data"
        )
    try:
        x, y = np.asarray(x), np.asarray(y)
    except ValueError as error:
        raise InputError(f"x and y must be arrays: {error}; give batch=(inputs, labels) for other data") from error
    if x.dtype.kind not in NUMBERS or x.shape[:1] != y.shape[:1]:
        raise InputError(
            f"x must be an array of numbers and y one of as many samples, got {x.dtype} {x.shape} and {y.dtype} "
            f"{y.shape}; give batch=(inputs, labels) for other data"
        )
    picked = np.random.default_rng(seed).permutation(len(x))[:size]
    return Batch(torch.from_numpy(x[picked].astype(np.float32)), read(y[picked]))


def reader(loss: Loss, builders: Iterable[Builder]) -> Callable[[np.ndarray], Tensor | None]:
    """How targets are read: as they are for a loss of one's own, else by the loss that the models are compiled with."""
    if loss is not cross_entropy:
        return as_given
    for build in builders:
        with suppress(Failure, InputError):
            return partial(classes, loss=spoken(getattr(initialise(build), "loss", None)))
    return partial(classes, loss="")


def as_given(targets: np.ndarray) -> Tensor:
    """Targets as they are, double precision aside.

    >>> as_given(np.array([[0.5], [1.5]])).dtype
    torch.float32
    """
    if targets.dtype.kind not in NUMBERS:
        raise InputError(f"a loss of your own takes targets that are numbers, got {targets.dtype}")
    return torch.from_numpy(targets.astype(np.float32) if targets.dtype == np.float64 else targets)


def classes(targets: np.ndarray, loss: str) -> Tensor | None:
    """Labels out of whole numbers, a number or a column a sample, or out of one-hot rows; None where targets are else.

    `loss` is what the model is compiled with, in words: only a crossentropy has classes, and a binary one of several
    columns has several labels a sample.

    >>> classes(np.array([[2.0], [0.0]]), "sparse_categorical_crossentropy"), classes(np.array([2, 0]), "mse")
    (tensor([2, 0]), None)
    >>> [classes(np.eye(3), f"{kind}_crossentropy") for kind in ("categorical", "binary")]
    [tensor([0, 1, 2]), None]
    """
    if "crossentropy" not in loss or targets.dtype.kind not in NUMBERS or targets.ndim > 2 or not targets.size:
        return None
    numbers = targets.astype(float)
    several = "binary" in loss and numbers.size > len(numbers)
    if several or not np.isfinite(numbers).all() or (numbers != numbers.round()).any():
        return None
    found = class_numbers(torch.from_numpy(numbers.astype(np.int64)))
    return found if found is not None and found.ndim == 1 else None


def spoken(loss: Any) -> str:
    """What a compiled loss is called: a name, a function or an object, alone or as the only one of several.

    >>> spoken("BinaryCrossentropy"), spoken({"head": "mse"}), spoken(["mse", "mae"])
    ('binarycrossentropy', 'mse', '')
    """
    if isinstance(loss, dict | list | tuple):
        inner = list(loss.values()) if isinstance(loss, dict) else loss
        return spoken(inner[0]) if len(inner) == 1 else ""
    if isinstance(loss, str):
        return loss.lower()
    return " ".join(str(getattr(loss, word, "")) for word in ("name", "__name__", "__class__")).lower()


def usable(loss: Any) -> Loss:
    """The loss to score with; `InputError` where it is no torch function, such as one of Keras to compile with."""
    if not callable(loss) or isinstance(loss, library().losses.Loss):
        raise InputError(
            f"loss must be a torch function of outputs and targets to score with, got {loss!r}; the loss to train with "
            "is what the model is compiled with"
        )
    return loss  # type: ignore[no-any-return]


def gathered(batches: Any, size: int) -> tuple[Any, Any]:
    """Inputs and labels of the first samples of a `tf.data.Dataset`, a DataLoader, a `PyDataset` or the like."""
    indexed = not hasattr(batches, "__iter__") and hasattr(batches, "__len__")
    parts: list[tuple[Any, Any]] = []
    try:
        for part in (batches[place] for place in range(len(batches))) if indexed else batches:
            inputs, labels = part[:2]
            parts.append((np.asarray(inputs), np.asarray(labels)))
            if sum(len(labels) for _, labels in parts) >= size:
                break
        inputs, labels = (np.concatenate(found) for found in zip(*parts, strict=True))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{type(batches).__name__} does not give batches of (inputs, labels), each an array: {error}; "
            "give batch=(inputs, labels)"
        ) from error
    return inputs[:size], labels[:size]
