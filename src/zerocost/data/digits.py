"""scikit-learn's handwritten digits: real images that need no file and no network."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from zerocost.data.paths import parse_positive_int
from zerocost.data.room import check_room
from zerocost.data.tensors import TensorData, standardise

BRIGHTEST = 16  # pixels are whole numbers 0..16


def load_digits(argument: str = "") -> TensorData:
    """The 1,797 digits, 8×8 and grey, resized bilinearly, in three equal channels, standardised.

    Args:
        argument: pixels a side; 32 by default.

    Raises:
        InputError: `argument` is not a whole number of at least 1, or too large.
    """
    size = parse_positive_int(argument or "32", "digits:SIZE")
    from sklearn.datasets import load_digits as read

    data = read()
    check_room(4 * 3 * len(data.images) * size**2, f"digits:{size}")
    grey = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / BRIGHTEST
    images = interpolate(grey, size=(size, size), mode="bilinear", align_corners=False).repeat(1, 3, 1, 1)
    return standardise(images, torch.tensor(data.target))
