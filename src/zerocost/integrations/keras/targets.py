"""A batch to score on from the data that a Keras tuner trains on, its targets read as the compiled loss does."""

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
from zerocost.data.targets import class_numbers
from zerocost.engine.losses import Loss, cross_entropy
from zerocost.integrations.keras.library import import_keras
from zerocost.scoring.candidates import Builder, initialise

_NUMBER_KINDS = "biuf"
"""The kinds of numpy's types that torch has too."""


def draw_batch(
    x: Any, y: Any, size: int, seed: int, read: Callable[[np.ndarray], Tensor | None], *, ids: bool = False
) -> Batch:
    """Draw a batch from arrays of inputs and targets.

    Args:
        x: inputs; or, if `y` is None, what yields batches of inputs and targets, of which the first samples are taken.
        y: targets.
        size: number of samples.
        seed: of the draw.
        read: turns an array of targets into a tensor, or into None.
        ids: whether whole numbers in `x` are token ids; other inputs become floats.

    Raises:
        InputError: data of another form.

    >>> draw_batch(np.zeros((9, 4)), np.arange(9), 4, 0, read_unchanged).targets.shape
    torch.Size([4])
    >>> draw_batch([(np.zeros((3, 4)), np.arange(3))] * 2, None, 5, 0, read_unchanged).inputs.shape
    torch.Size([5, 4])
    """
    if y is None and not hasattr(x, "shape"):
        x, y = _first_samples(x, size)
    if y is None or not hasattr(x, "shape"):
        raise InputError(
            f"a batch is drawn from arrays x and y or from batches of both, got {type(x).__name__} and "
            f"{type(y).__name__}; give batch=(inputs, labels) for other data"
        )
    try:
        x, y = np.asarray(x), np.asarray(y)
    except ValueError as error:
        raise InputError(f"x and y must be arrays: {error}; give batch=(inputs, labels) for other data") from error
    if x.dtype.kind not in _NUMBER_KINDS or x.shape[:1] != y.shape[:1]:
        raise InputError(
            f"x must be an array of numbers and y one of as many samples, got {x.dtype} {x.shape} and {y.dtype} "
            f"{y.shape}; give batch=(inputs, labels) for other data"
        )
    picked = np.random.default_rng(seed).permutation(len(x))[:size]
    kind = np.int64 if ids and x.dtype.kind in "iu" else np.float32
    return Batch(torch.from_numpy(x[picked].astype(kind)), read(y[picked]))


def embeds(builders: Iterable[Builder]) -> bool:
    """Whether the first model that can be built has an embedding, so that whole numbers are token ids."""
    embedding = import_keras().layers.Embedding
    for build in builders:
        with suppress(Failure, InputError):
            model: Any = initialise(build)
            return any(isinstance(layer, embedding) for layer in model._flatten_layers())
    return False


def target_reader(loss: Loss, builders: Iterable[Builder]) -> Callable[[np.ndarray], Tensor | None]:
    """How targets are read: unchanged for a loss of the user's, else as the loss that the models are compiled with."""
    if loss is not cross_entropy:
        return read_unchanged
    for build in builders:
        with suppress(Failure, InputError):
            return partial(read_classes, loss=_loss_name(getattr(initialise(build), "loss", None)))
    return partial(read_classes, loss="")


def read_unchanged(targets: np.ndarray) -> Tensor:
    """Targets unchanged, but with double precision made single.

    >>> read_unchanged(np.array([[0.5], [1.5]])).dtype
    torch.float32
    """
    if targets.dtype.kind not in _NUMBER_KINDS:
        raise InputError(f"a loss of your own takes targets that are numbers, got {targets.dtype}")
    return torch.from_numpy(targets.astype(np.float32) if targets.dtype == np.float64 else targets)


def read_classes(targets: np.ndarray, loss: str) -> Tensor | None:
    """Labels from whole numbers, as a vector or a column, or from one-hot rows; None for other targets.

    Only a crossentropy has classes, and a binary one with several columns has several labels a sample.

    Args:
        targets: of the samples.
        loss: the name of the loss that the model is compiled with.

    >>> read_classes(np.array([[2.0], [0.0]]), "sparse_categorical_crossentropy"), read_classes(np.array([2, 0]), "mse")
    (tensor([2, 0]), None)
    >>> [read_classes(np.eye(3), f"{kind}_crossentropy") for kind in ("categorical", "binary")]
    [tensor([0, 1, 2]), None]
    """
    if "crossentropy" not in loss or targets.dtype.kind not in _NUMBER_KINDS or targets.ndim > 2 or not targets.size:
        return None
    numbers = targets.astype(float)
    several = "binary" in loss and numbers.size > len(numbers)
    if several or not np.isfinite(numbers).all() or (numbers != numbers.round()).any():
        return None
    found = class_numbers(torch.from_numpy(numbers.astype(np.int64)))
    return found if found is not None and found.ndim == 1 else None


def _loss_name(loss: Any) -> str:
    """The name of a compiled loss, which is a name, a function or an object, or a collection of one of them.

    >>> _loss_name("BinaryCrossentropy"), _loss_name({"head": "mse"}), _loss_name(["mse", "mae"])
    ('binarycrossentropy', 'mse', '')
    """
    if isinstance(loss, dict | list | tuple):
        inner = list(loss.values()) if isinstance(loss, dict) else loss
        return _loss_name(inner[0]) if len(inner) == 1 else ""
    if isinstance(loss, str):
        return loss.lower()
    return " ".join(str(getattr(loss, word, "")) for word in ("name", "__name__", "__class__")).lower()


def check_loss(loss: Any) -> Loss:
    """The loss to score with; `InputError` for one that is not a torch function, such as a loss of Keras."""
    if not callable(loss) or isinstance(loss, import_keras().losses.Loss):
        raise InputError(
            f"loss must be a torch function of outputs and targets to score with, got {loss!r}; the loss to train with "
            "is what the model is compiled with"
        )
    return loss  # type: ignore[no-any-return]


def _first_samples(batches: Any, size: int) -> tuple[Any, Any]:
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
