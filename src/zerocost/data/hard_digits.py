"""Hard digits: few to learn from, shifted and noisy, so that networks differ in accuracy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from zerocost.base.errors import InputError
from zerocost.data.digits import BRIGHTEST
from zerocost.data.tensors import StandardImages, TensorData, channel_statistics

TRAIN, VALIDATION = 150, 647  # and 1,000 to test on
_SHIFT, NOISE = 1, 0.15  # largest shift in pixels; standard deviation for pixels from 0 to 1


class DigitParts(NamedTuple):
    """The training, validation and test part."""

    train: TensorData
    validation: TensorData
    test: TensorData


def hard_digits() -> DigitParts:
    """scikit-learn's 1,797 digits in a fixed random order: 150 to train on, 647 to validate and 1,000 to test with.

    Each image, 8×8 and grey, is shifted by −1, 0 or 1 pixel along each axis, filled with zeros, and gets Gaussian noise
    of standard deviation 0.15, always the same. Images are 3×8×8, their three channels equal, standardised with
    mean and standard deviation of the training part.

    >>> [len(part) for part in hard_digits()]
    [150, 647, 1000]
    """
    from sklearn.datasets import load_digits as read

    data, rng = read(), np.random.default_rng(0)
    order = rng.permutation(len(data.target))
    grey = pad(torch.tensor(data.images[order], dtype=torch.float32) / BRIGHTEST, [_SHIFT] * 4)
    corners = rng.integers(0, 2 * _SHIFT + 1, (len(order), 2)).tolist()
    shifted = torch.stack([image[y : y + 8, x : x + 8] for image, (y, x) in zip(grey, corners, strict=True)])
    noisy = shifted + NOISE * torch.from_numpy(rng.standard_normal(shifted.shape, dtype=np.float32))
    images, targets = noisy.unsqueeze(1).repeat(1, 3, 1, 1), torch.tensor(data.target[order])
    mean, std = channel_statistics(images[:TRAIN])
    cuts = (TRAIN, TRAIN + VALIDATION)
    parts = zip(((images - mean) / std).tensor_split(cuts), targets.tensor_split(cuts), strict=True)
    return DigitParts(*(StandardImages(*part, mean, std) for part in parts))


def load_hard_digits(argument: str = "") -> TensorData:
    """The training part of `hard_digits`; `InputError` for an argument, as there is no other size."""
    if argument:
        raise InputError(f"digits-hard is always 3×8×8, but got {argument!r} after the colon; write digits-hard")
    return hard_digits().train
