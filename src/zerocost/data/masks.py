"""Images with masks: PATH/images/NAME.jpg and PATH/masks/NAME.png, a class for each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from zerocost.base.errors import InputError
from zerocost.data.folder import SAMPLED, Pictures, image_paths, path_and_size, set_upright
from zerocost.data.targets import IGNORED
from zerocost.data.tensors import describe_values

_USAGE = "masks:PATH:SIZE"
_WHITE = 255
_WHITE_OF_DEEP = 65535
_DEEP = ("I", "I;16", "I;16B", "I;16L")
"""Pillow's modes of more than 8 bits a pixel."""


class _MaskedPictures(Pictures):
    """Pictures with masks of class numbers, int64 size×size.

    Where the masks are black and white, white is class 1. Otherwise a white pixel, 255 or in 16 bits 65535, does not
    count: its class is −100.
    """

    task = "segmentation"

    def __init__(self, paths: list[Path], masks: list[Path], size: int) -> None:
        super().__init__(paths, size)
        self.masks = masks
        step = -(-len(masks) // SAMPLED)
        values = {value for path in masks[::step] for value in set(_read_mask(path, size).flatten().tolist())}
        self.white = 1 if values <= {0, _WHITE} else IGNORED

    def target(self, index: int) -> Tensor:
        mask = _read_mask(self.masks[index], self.size)
        return torch.where(mask == _WHITE, self.white, mask)

    def align(self, other: _MaskedPictures) -> None:
        other.white = self.white


def load_masks(argument: str) -> _MaskedPictures:
    """Images and masks of the same names, both cropped at their centre to a square and resized, masks to the nearest
    pixel.

    Args:
        argument: PATH or PATH:SIZE, the size in pixels a side, 32 by default.

    Raises:
        InputError: no folders `images` and `masks`, an image without a mask, or one that cannot be read or holds other
            numbers (when it is used).
    """
    root, size = path_and_size(argument, _USAGE)
    folders = [root / name for name in ("images", "masks")]
    if not all(folder.is_dir() for folder in folders):
        raise InputError(f"{root} needs the folders images and masks; write {_USAGE}")
    images = image_paths(folders[0])
    masks = {path.relative_to(folders[1]).with_suffix(""): path for path in image_paths(folders[1])}
    names = [path.relative_to(folders[0]).with_suffix("") for path in images]
    for name in names:
        if name not in masks:
            raise InputError(f"image {name} has no mask; expected {folders[1] / name}.png")
    return _MaskedPictures(images, [masks[name] for name in names], size)


def _read_mask(path: Path, size: int) -> Tensor:
    """The numbers of a mask, as its pixels or its palette give them; 255 where it is white."""
    try:
        with Image.open(path) as image:
            set_upright(image)
            if image.mode not in ("1", "L", "P", *_DEEP):
                raise InputError(f"mask {path} is of mode {image.mode}; expected one number a pixel (grey or palette)")
            grey = image if image.mode in ("L", "P") else image.convert("L" if image.mode == "1" else "I")
            square = ImageOps.fit(grey, (size, size), Image.Resampling.NEAREST)
            numbers = torch.from_numpy(np.array(square).astype(np.int64))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable image: {error}; repair or remove it") from error
    numbers[numbers == _WHITE_OF_DEEP] = _WHITE
    outside = numbers[(numbers < 0) | (numbers > _WHITE)]
    if len(outside):
        raise InputError(
            f"mask {path} holds {describe_values(outside)}; expected class numbers from 0 to {_WHITE - 1}, "
            f"{_WHITE} or {_WHITE_OF_DEEP} where a pixel does not count. If they number instances, write the class of "
            "each pixel in their place"
        )
    return numbers
