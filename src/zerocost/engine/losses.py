"""The loss that a network is measured with, and what its labels must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zerocost.base.errors import Failure, InputError

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORED = -100  # the label that torch's cross-entropy leaves out


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
            f"labels are {targets.dtype}, cross-entropy needs integer classes; for other targets pass loss=, "
            "for example torch.nn.functional.mse_loss"
        )
    returned = tuple(outputs.shape)
    logits = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
    if not logits.ndim or not logits.shape[1]:
        raise Failure(f"cross-entropy needs outputs N×classes, the network returned shape {returned}")
    single = logits.shape[1] == 1
    if single:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    classes, expected = logits.shape[1], (len(logits), *logits.shape[2:])
    if _axes_longer_than_one(targets.shape) != _axes_longer_than_one(expected) or len(targets) != len(logits):
        raise InputError(
            f"labels of shape {tuple(targets.shape)} do not fit outputs of shape {returned}: "
            f"expected one class a sample, shape {expected}"
        )
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
        )
    return torch.nn.functional.cross_entropy(logits, targets.reshape(expected).long())


def _axes_longer_than_one(shape: Sequence[int]) -> list[int]:
    """The axes after the first that are not of length one."""
    return [length for length in shape[1:] if length != 1]


def all_ignored(loss: Loss, targets: Tensor | None) -> bool:
    """Whether the loss is cross-entropy and leaves out every label, so that there is none."""
    return loss is cross_entropy and targets is not None and bool((targets == IGNORED).all())
