"""Images and masks at the resolution of a fidelity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zerocost.base.errors import InputError
from zerocost.base.fidelity import Fidelity


def check_no_larger(inputs: Any, fidelity: Fidelity) -> None:
    """`InputError` for a resolution above both sides of the images N×C×H×W; nothing for other inputs."""
    sides = tuple(inputs.shape[2:]) if isinstance(inputs, Tensor) and inputs.ndim == 4 else ()
    if sides and fidelity.resolution is not None and fidelity.resolution > max(sides):
        raise InputError(
            f"fidelity {fidelity} would enlarge the images, which have {sides[0]}×{sides[1]} pixels; leave the "
            f"resolution out: {replace(fidelity, resolution=None)}"
        )


def resize_classes(masks: Tensor, resolution: int | None) -> Tensor:
    """Class numbers N×H×W, or numbers N×C×H×W, of the nearest pixels of images that `resize` makes."""
    if resolution is None or masks.shape[-2:] == (resolution, resolution):
        return masks
    rows, columns = (torch.arange(resolution) * side // resolution for side in masks.shape[-2:])
    return masks[..., rows[:, None], columns]


def resize(images: Tensor, resolution: int | None) -> Tensor:
    """Images of N×C×H×W resampled to N × C × `resolution` × `resolution`, bilinear with antialiasing.

    None, or the size that they have, returns the same tensor.

    Raises:
        InputError: `images` are not floating-point or not four-dimensional.

    >>> resize(torch.ones(2, 3, 32, 32), 16).shape
    torch.Size([2, 3, 16, 16])
    """
    if resolution is None:
        return images
    if images.ndim != 4 or not images.is_floating_point():
        raise InputError(
            f"only floating-point images of shape N×C×H×W can be resized, but got {images.dtype} of shape "
            f"{tuple(images.shape)}; leave `resolution` out of the fidelity"
        )
    if images.shape[2:] == (resolution, resolution):
        return images
    return F.interpolate(images, size=(resolution, resolution), mode="bilinear", align_corners=False, antialias=True)
