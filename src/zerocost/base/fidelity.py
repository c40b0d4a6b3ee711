"""Fidelity: at what scale a network is built and scored."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from zerocost.base.errors import InputError, unknown


@dataclass(frozen=True)
class Fidelity:
    """A scaled-down sibling of a network and its batch; the default is full size.

    Args:
        width: multiplies channels, in (0, 1]; applied by `SearchSpace.build`.
        depth: multiplies layers, in (0, 1]; applied by `SearchSpace.build`.
        resolution: pixels a side of the images that are scored on; None leaves them as they are. `SearchSpace.build`
            also uses it, for networks made for one image size.
        batch: number of images scored on; None leaves it as it is.
        repeats: initialisations that a score is the mean over; None leaves it as it is.

    Raises:
        InputError: a value outside these ranges.

    >>> small = Fidelity(width=0.5, resolution=16)
    >>> str(small)
    'width=0.5,resolution=16'
    >>> small.channels(64), small.layers(3)
    (32, 3)
    """

    width: float = 1.0
    depth: float = 1.0
    resolution: int | None = None
    batch: int | None = None
    repeats: int | None = None

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            factor = getattr(self, name)
            if not isinstance(factor, int | float) or not 0 < factor <= 1:
                raise InputError(f"fidelity {name} must be a number above 0 and at most 1, but got {factor!r}")
            object.__setattr__(self, name, float(factor))
        for name in ("resolution", "batch", "repeats"):
            count = getattr(self, name)
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
                raise InputError(f"fidelity {name} must be a positive whole number or None, but got {count!r}")

    def channels(self, full: int, *, multiple: int = 1) -> int:
        """`full` channels scaled by `width`: a multiple of `multiple`, at least 4 and never above `full`.

        >>> Fidelity(width=0.25).channels(20), Fidelity(width=0.25).channels(20, multiple=4)
        (5, 4)
        >>> Fidelity(width=0.01).channels(20)
        4
        """
        scaled = math.floor(full * self.width / multiple + 0.5) * multiple
        least = math.ceil(4 / multiple) * multiple
        return min(full, max(least, scaled))

    def layers(self, full: int) -> int:
        """`full` layers scaled by `depth`, rounded, at least 1 and never above `full`.

        >>> Fidelity(depth=0.5).layers(5), Fidelity(depth=0.01).layers(5)
        (3, 1)
        """
        return min(full, max(1, math.floor(full * self.depth + 0.5)))

    def __str__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return ",".join(f"{name}={value}" for name, value in given) or "full"

    @classmethod
    def parse(cls, text: str) -> Fidelity:
        """The fidelity that `text` names, in the form `str` gives, or that a .json file of `fidelity.calibrate` holds.

        Raises:
            InputError: any other text or file.

        >>> Fidelity.parse("width=0.5,batch=32")
        Fidelity(width=0.5, depth=1.0, resolution=None, batch=32, repeats=None)
        >>> Fidelity.parse("full") == FULL
        True
        """
        if text.endswith(".json"):
            return cls.parse(_calibrated(Path(text)))
        settings: dict[str, float | int] = {}
        kinds = {"width": float, "depth": float, "resolution": int, "batch": int, "repeats": int}
        for item in text.split(",") if text.strip() != "full" else []:
            name, equals, number = (part.strip() for part in item.partition("="))
            if not equals:
                raise InputError(
                    f"a fidelity reads 'full' or like 'width=0.5,resolution=16', but got {item!r} in {text!r}"
                )
            if name not in kinds:
                raise unknown("fidelity setting", name, kinds)
            if name in settings:
                raise InputError(f"fidelity {name} is given twice in {text!r}; give it once")
            try:
                settings[name] = kinds[name](number)
            except ValueError as error:
                kind = "whole number" if kinds[name] is int else "number"
                raise InputError(f"fidelity {name} must be a {kind}, but got {number!r}") from error
        return cls(**settings)  # type: ignore[arg-type]


FULL = Fidelity()


def _calibrated(path: Path) -> str:
    """The fidelity in a file that a calibration wrote; `InputError` for any other file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["fidelity"]
    except OSError as error:
        raise InputError(f"cannot read the fidelity in {path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str) or found.endswith(".json"):
        raise InputError(f"{path} holds no fidelity; expected a file that `zerocost calibrate --save` wrote")
    return found


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

    >>> import torch
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
