"""Image folders: PATH/class_name/picture.png, read when a sample is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

from zerocost.base.errors import InputError
from zerocost.data.paths import parse_path, parse_positive_int
from zerocost.data.room import check_room
from zerocost.data.tensors import channel_statistics

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_SAMPLED = 256  # images that the channel statistics are computed from
_USAGE = "images:PATH:SIZE"


class _ImageFolder(Dataset[Any]):
    """Each image as a standardised float32 3×size×size tensor, with the number of its class in the sorted `classes`."""

    def __init__(self, root: Path, size: int) -> None:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not folders:
            raise InputError(f"{root} has no folders; expected one folder of images a class, {root}/CLASS/IMAGE.png")
        found = [_image_paths(folder) for folder in folders]
        self.size = size
        self.classes = [folder.name for folder in folders]
        self.paths = [path for paths in found for path in paths]
        self.targets = torch.arange(len(found)).repeat_interleave(torch.tensor([len(paths) for paths in found]))
        sample = torch.randperm(len(self.paths), generator=torch.Generator().manual_seed(0))[:_SAMPLED]
        check_room(4 * 3 * len(sample) * size**2, f"reading {len(sample)} images of {size} × {size} pixels")
        self.mean, self.std = channel_statistics(
            torch.stack([_read_image(self.paths[index], size) for index in sample.tolist()])
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (_read_image(self.paths[index], self.size) - self.mean) / self.std, int(self.targets[index])


def load_folder(argument: str) -> _ImageFolder:
    """Images in one folder a class: converted to RGB, cropped at their centre to a square and resized bilinearly.

    They are standardised by mean and deviation of the channels over up to 256 images drawn once.

    Args:
        argument: PATH or PATH:SIZE, the size in pixels a side, 32 by default.

    Raises:
        InputError: a folder without class folders, a class without images, or an image that cannot be read (when it is
            used).
    """
    path, colon, size = argument.rpartition(":")
    if not colon or not size.isdigit():
        path, size = argument, "32"
    root = parse_path(path, _USAGE)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; expected one folder of images a class, {_USAGE}")
    return _ImageFolder(root, parse_positive_int(size, _USAGE))


def _image_paths(folder: Path) -> list[Path]:
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InputError(
            f"class folder {folder} has no images; expected files ending in {', '.join(sorted(_SUFFIXES))}"
        )
    return paths


def _read_image(path: Path, size: int) -> Tensor:
    try:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image: {error}; repair or remove it") from error
    return torch.tensor(np.asarray(square)).permute(2, 0, 1).contiguous().float().div_(255)
