"""The models of timm as candidates, untrained and with the inputs and outputs of the data."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import partial
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from zerocost.base.errors import InputError, MissingExtraError, describe_nearest
from zerocost.data import load
from zerocost.data.balance import class_labels
from zerocost.scoring.candidates import Builder


def candidates(pattern: str | Iterable[str], data: Any) -> dict[str, Builder]:
    """The models of timm whose names match, with random weights, and inputs and outputs as the data has them.

    Nothing is downloaded. All are scored at the data's resolution; a model made for one image size is built for it, and
    one that cannot take it fails in the ranking with its reason.

    Args:
        pattern: names with wildcards, several as a sequence or separated by commas, as in "resnet1*,vit_tiny_*"; a
            name that begins with "-" excludes.
        data: anything `zerocost.data.load` takes: images C×H×W, labelled by class.

    Returns:
        Model name to builder, for `zerocost.rank`.

    Raises:
        InputError: a name that no model has, no model left, or data that are not labelled images.
        MissingExtraError: timm is not installed, or cannot be imported.
    """
    timm = import_timm()
    names = _matching_models(timm, pattern if isinstance(pattern, str) else ",".join(pattern))
    channels, size, classes = _image_form(load(data))
    return {name: partial(_build, timm, name, channels, size, classes) for name in names}


def _matching_models(timm: ModuleType, pattern: str) -> list[str]:
    """The names of models that match; `InputError` for a part that matches none, and if none is left."""
    parts = [part.strip() for part in pattern.split(",") if part.strip()]
    if not parts:
        raise InputError(
            'no name of a model is given; write one or several, as in "resnet1*,vit_tiny_*", or "*" for all'
        )
    wanted = [part for part in parts if not part.startswith("-")]
    for part in wanted:
        if not timm.list_models(part):
            raise InputError(f"timm has no model {part!r}; {_describe_alternative(timm, part)}")
    names: list[str] = timm.list_models(wanted or "*", exclude_filters=[p[1:] for p in parts if p.startswith("-")])
    if not names:
        raise InputError(f"no model of timm is left of {pattern!r}: the names after - exclude all")
    return names


def _describe_alternative(timm: ModuleType, part: str) -> str:
    """A hint about a name that no model has."""
    name, _, tag = part.partition(".")
    if tag and timm.list_models(name):
        return f"{tag!r} is a set of trained weights, and models here are untrained; write {name}"
    return describe_nearest(name.strip("*"), timm.list_models(), "timm.list_models()")


def _image_form(dataset: Dataset[Any]) -> tuple[int, tuple[int, int], int]:
    """Channels, height and width, and number of classes of labelled images."""
    labels = class_labels(dataset)
    if labels is None:
        raise InputError("the data has no class labels, which say how many outputs timm's models need")
    image = dataset[0][0]
    if not isinstance(image, Tensor) or image.ndim != 3:
        got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise InputError(f"timm's models take images C×H×W, the data holds {got}")
    return image.shape[0], (image.shape[1], image.shape[2]), int(labels.max()) + 1


def _build(timm: ModuleType, name: str, channels: int, size: tuple[int, int], classes: int) -> nn.Module:
    """One untrained model."""
    fixed = {"img_size": size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    model: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=classes, **fixed)
    return model


def import_timm() -> ModuleType:
    """The package timm; `MissingExtraError` if it cannot be imported."""
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"timm's models need the extra timm: pip install 'zerocost[timm]' ({error})") from error
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(
            f"timm cannot be imported: {error}; it needs the torchvision that was built for this torch"
        ) from error
