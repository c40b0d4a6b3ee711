"""The losses that a network is measured with, each a mean over samples, and what their targets must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure, InputError

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100  # the label that torch's cross-entropy leaves out


def check_loss(loss: object) -> None:
    """`InputError` for what a loss function returned that is no tensor with one number."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(f"the loss must return a tensor with one number, the mean over the samples, but got {got}")


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of logits N×C×… and class labels N×…, with labels checked first. Axes of one do not matter.

    A single output z (N, or N×1×…) tells two classes apart: its logits are 0 and z, so that the loss is the binary
    cross-entropy of z.

    Raises `InputError` for labels that are not classes of the outputs.

    >>> z, labels = torch.tensor([[0.5], [-2.0]]), torch.tensor([1, 0])
    >>> torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], labels.float()).allclose(cross_entropy(z, labels))
    True
    """
    if targets.is_floating_point() or targets.is_complex():
        raise InputError(
            f"labels are {targets.dtype}, cross-entropy needs integer classes; for other targets name the "
            "task, such as task='regression' or task='multilabel', or pass loss="
        )
    returned = tuple(outputs.shape)
    if not outputs.ndim or 0 in outputs.shape[1:2]:
        raise Failure(f"cross-entropy needs outputs N×classes, the network returned shape {returned}")
    logits, single = as_logits(outputs), outputs.ndim == 1 or outputs.shape[1] == 1
    classes, expected = logits.shape[1], (len(logits), *logits.shape[2:])
    if _axes_longer_than_one(targets.shape) != _axes_longer_than_one(expected) or len(targets) != len(logits):
        raise InputError(
            f"labels of shape {tuple(targets.shape)} do not fit outputs of shape {returned}: "
            f"expected one class a sample, shape {expected}; for several labels a sample name the task, multilabel"
        )
    _check_classes(targets, classes, single)
    return torch.nn.functional.cross_entropy(logits, targets.reshape(expected).long())


def as_logits(outputs: Tensor) -> Tensor:
    """The logits N×C×… of outputs: those of a single output z are 0 and z."""
    logits = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits


def _check_classes(targets: Tensor, classes: int, single: bool = False) -> None:
    """Raise `InputError` for labels that are none of the classes, of which a `single` output tells two apart."""
    counted = targets[targets != IGNORED]
    if not len(counted):
        raise InputError(f"all labels are {IGNORED}, which cross-entropy leaves out")
    wrong = counted[(counted < 0) | (counted >= classes)]
    if len(wrong):
        raise InputError(
            f"labels out of range: found {int(wrong[0])}, but the network has "
            + (
                "1 output, so labels must be 0 or 1; for other targets pass loss="
                if single
                else f"{classes} outputs, so labels must be 0 to {classes - 1}"
            )
            + (f"; give {IGNORED} to what does not count" if targets.ndim > 1 else "")
        )


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits N×labels and targets of the same shape, 1 where a label applies and else 0.

    Raises `InputError` for targets of another shape, or that are neither 0 nor 1.

    >>> binary_cross_entropy(torch.zeros(1, 3), torch.tensor([[1, 0, 1]])).exp()
    tensor(2.)
    """
    targets = fit_targets(outputs, targets)
    if not ((targets == 0) | (targets == 1)).all():
        raise InputError("targets of several labels must be 0 or 1, one number for each label")
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of outputs and targets, numbers of the same shape. Axes of one do not matter.

    Raises `InputError` for targets of another shape.

    >>> squared_error(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return torch.nn.functional.mse_loss(outputs, fit_targets(outputs, targets))


def fit_targets(outputs: Tensor, targets: Tensor) -> Tensor:
    """The targets in shape and dtype of the outputs; `InputError` where they do not fit."""
    if len(targets) != len(outputs) or _axes_longer_than_one(targets.shape) != _axes_longer_than_one(outputs.shape):
        raise InputError(
            f"targets of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(outputs.shape)}; "
            "expected one target for each output"
        )
    return targets.reshape(outputs.shape).to(outputs.dtype)


def next_tokens(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and labels of a language model, side by side: those of position i predict the token at i + 1.

    Args:
        outputs: logits N×length×vocabulary.
        targets: the tokens N×length, as the network got them; `IGNORED` where a token does not count.

    Returns:
        Logits N(length − 1)×vocabulary and labels N(length − 1).

    Raises:
        Failure: outputs of another shape.
        InputError: targets of another shape, or of one token.

    >>> logits, labels = next_tokens(torch.rand(2, 5, 9), torch.tensor([[0, 1, 2, 3, 4], [5, 6, 7, 8, 0]]))
    >>> logits.shape, labels
    (torch.Size([8, 9]), tensor([1, 2, 3, 4, 6, 7, 8, 0]))
    """
    if outputs.ndim != 3:
        raise Failure(
            f"next-token needs outputs N×length×vocabulary, the network returned shape {tuple(outputs.shape)}"
        )
    if targets.shape != outputs.shape[:2] or targets.shape[1] < 2:
        raise InputError(
            f"tokens of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(outputs.shape)}: expected "
            f"shape {tuple(outputs.shape[:2])}, with two or more tokens a sample"
        )
    return outputs[:, :-1].flatten(0, 1), targets[:, 1:].flatten()


def next_token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of `next_tokens`.

    Raises `InputError` for targets that are no tokens of the vocabulary.

    >>> next_token_loss(torch.zeros(1, 3, 8), torch.tensor([[1, 2, 3]])).exp()
    tensor(8.)
    """
    if targets.is_floating_point():
        raise InputError(f"next-token needs token ids as targets, got {targets.dtype}")
    logits, labels = next_tokens(outputs, targets)
    _check_classes(labels, logits.shape[1])
    return torch.nn.functional.cross_entropy(logits, labels.long())


def _axes_longer_than_one(shape: Sequence[int]) -> list[int]:
    """The axes after the first that are not of length one."""
    return [length for length in shape[1:] if length != 1]


def all_ignored(loss: Loss, targets: Tensor | None) -> bool:
    """Whether the loss is cross-entropy and leaves out every label, so that there is none."""
    return loss in (cross_entropy, next_token_loss) and targets is not None and bool((targets == IGNORED).all())


MEANS = (cross_entropy, binary_cross_entropy, squared_error, next_token_loss)
"""Losses that are means over samples of equal weight, so that a batch may be measured in parts."""
