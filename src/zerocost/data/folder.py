"""Image folders: PATH/class_name/picture.png, read when a sample is asked for."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset, Subset

from zerocost.base.errors import InputError
from zerocost.data.alike import find_places
from zerocost.data.paths import parse_path, parse_positive_int
from zerocost.data.room import check_room
from zerocost.data.source_data import SourceData
from zerocost.data.tensors import channel_statistics

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
SAMPLED = 256  # images that the channel statistics are computed from
_USAGE = "images:PATH:SIZE"
_WHITE_OF_DEEP = {"I": 65535, "F": 1}
"""White in a grey image of more than 8 bits, by the first letter of Pillow's mode: whole numbers and fractions."""


class Pictures(SourceData):
    """Pictures in files, each a standardised float32 3×size×size tensor, with its target, which a subclass reads.

    They are standardised by mean and deviation of the channels over up to 256 of some rows, drawn once.

    Args:
        paths: the files.
        size: pixels a side.
    """

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths, self.size = list(paths), size
        self.fit(torch.arange(len(self.paths)))

    def fit(self, rows: Tensor) -> None:
        """Standardise by these rows."""
        sample = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:SAMPLED]]
        check_room(
            4 * 3 * len(sample) * self.size**2, f"reading {len(sample)} images of {self.size} × {self.size} pixels"
        )
        self.mean, self.std = channel_statistics(
            torch.stack([_read_image(self.paths[index], self.size) for index in sample.tolist()])
        )

    def parts(self, train: Tensor, validation: Tensor) -> tuple[Dataset[Any], Dataset[Any]]:
        """Two parts of the rows, standardised by the first."""
        fitted = copy.copy(self)
        fitted.fit(train)
        return Subset(fitted, train.tolist()), Subset(fitted, validation.tolist())

    def beside(self, other: Pictures) -> tuple[Dataset[Any], Dataset[Any]]:
        """These pictures and others, standardised by these, with targets that mean the same."""
        fitted = copy.copy(other)
        fitted.mean, fitted.std = self.mean, self.std
        self.align(fitted)
        return self, fitted

    def align(self, other: Any) -> None:
        """Make the targets of others mean what those of these pictures mean."""

    def target(self, index: int) -> Any:
        """The target of a picture."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return (_read_image(self.paths[index], self.size) - self.mean) / self.std, self.target(index)


class _ImageFolder(Pictures):
    """Pictures in one folder a class, with the number of their class in the sorted `classes`."""

    def __init__(self, root: Path, size: int) -> None:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not folders:
            raise InputError(f"{root} has no folders; expected one folder of images a class, {root}/CLASS/IMAGE.png")
        found = [image_paths(folder) for folder in folders]
        self.classes = [folder.name for folder in folders]
        self.targets = torch.arange(len(found)).repeat_interleave(torch.tensor([len(paths) for paths in found]))
        super().__init__([path for paths in found for path in paths], size)

    def target(self, index: int) -> int:
        return int(self.targets[index])

    def align(self, other: _ImageFolder) -> None:
        places = find_places(other.classes, self.classes, "class", ours=False)
        other.targets, other.classes = torch.tensor(places)[other.targets], self.classes


def load_folder(argument: str) -> _ImageFolder:
    """Images in one folder a class: converted to RGB, cropped at their centre to a square and resized bilinearly.

    Photographs are turned upright, as their EXIF data say. Grey images of 16 bits, or of fractions, keep their depth.

    They are standardised by mean and deviation of the channels over up to 256 images drawn once.

    Args:
        argument: PATH or PATH:SIZE, the size in pixels a side, 32 by default.

    Raises:
        InputError: a folder without class folders, a class without images, or an image that cannot be read (when it is
            used).
    """
    root, size = path_and_size(argument, _USAGE)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; expected one folder of images a class, {_USAGE}")
    return _ImageFolder(root, size)


def path_and_size(argument: str, usage: str) -> tuple[Path, int]:
    """The path and the pixels a side, 32 by default, of PATH or PATH:SIZE."""
    path, colon, size = argument.rpartition(":")
    if not colon or not size.isdigit():
        path, size = argument, "32"
    return parse_path(path, usage), parse_positive_int(size, usage)


def image_paths(folder: Path) -> list[Path]:
    """The images in a folder and those inside it, in order; `InputError` where there is none."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InputError(f"folder {folder} has no images; expected files ending in {', '.join(sorted(_SUFFIXES))}")
    return paths


def set_upright(image: Image.Image) -> None:
    """Turn an image as its EXIF data say, in place. Damaged EXIF data say nothing."""
    with suppress(KeyError, SyntaxError, TypeError, ValueError, ZeroDivisionError, struct.error):
        ImageOps.exif_transpose(image, in_place=True)


def _read_image(path: Path, size: int) -> Tensor:
    """An image, upright, in RGB, cropped at its centre to a square and resized, 3×size×size in [0, 1].

    Fractions stay as they are.
    """
    try:
        with Image.open(path) as image:
            set_upright(image)
            white = _WHITE_OF_DEEP.get(image.mode[0], 255)
            colours = image.convert("RGB" if white == 255 else "F")
            square = ImageOps.fit(colours, (size, size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image: {error}; repair or remove it") from error
    pixels = torch.tensor(np.atleast_3d(np.asarray(square, np.float32)))
    return pixels.permute(2, 0, 1).expand(3, -1, -1).contiguous().div_(white)
