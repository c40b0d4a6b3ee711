"""A network found by zerocost: `load()` gives it trained, `build()` untrained, and `prepare(x)` makes its inputs."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_HERE = Path(__file__).resolve().parent
_SOURCE = _HERE / "source"


@cache
def settings() -> dict[str, Any]:
    """What `settings.json` says: the architecture, its source, scores, training, inputs, outputs and versions."""
    found: dict[str, Any] = json.loads((_HERE / "settings.json").read_text(encoding="utf-8"))
    return found


def load() -> nn.Module:
    """The trained network, on the CPU, in eval mode."""
    network = build()
    network.load_state_dict(torch.load(_HERE / "best.pt", map_location="cpu", weights_only=True))
    return network.eval()


def build() -> nn.Module:
    """The untrained network, with the initial weights that torch draws from the seed of the training."""
    source, architecture = settings()["source"], settings()["architecture"]
    made = getattr(_import(source["module"]), source["name"])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings()["seed"])
        if "sizes" in source:
            made = made(**source["sizes"])
        if architecture is None:
            network = made()
        elif hasattr(made, "parse"):
            network = made.build(made.parse(architecture))
        else:
            scaled = {"fidelity": _Full()} if "fidelity" in inspect.signature(made).parameters else {}
            network = made(_Answers(settings()["choices"]), **scaled)
    found: nn.Module = network
    return found


def prepare(inputs: Any) -> Any:
    """A batch of raw inputs as the network takes it; several inputs are a tuple or a mapping, as in training.

    uint8 images N×H×W×C, N×C×H×W or N×H×W become numbers from 0 to 1, N×C×H×W. Where `settings.json` has a mean and a
    deviation, those of the training data, inputs are standardised by them, and a missing number, NaN, becomes the mean.
    """
    return _prepare(inputs, settings()["inputs"])


def _prepare(values: Any, kind: Any) -> Any:
    """Inputs as their entry in the settings says."""
    if isinstance(kind, list):
        return tuple(_prepare(one, each) for one, each in zip(values, kind, strict=True))
    if "dtype" not in kind:
        return {name: _prepare(values[name], each) for name, each in kind.items()}
    found, dtype = torch.as_tensor(values), getattr(torch, kind["dtype"])
    if found.dtype == torch.uint8 and dtype.is_floating_point:
        found = _channels_first(found, kind["shape"][1:]) / 255
    found = found.to(dtype)
    if "mean" not in kind:
        return found
    place = (-1, 1, 1) if len(kind["shape"]) == 4 else (-1,)  # one for each channel of images, else for each column
    mean, std = (torch.tensor(kind[name]).reshape(place) for name in ("mean", "std"))
    return torch.where(found.isnan(), 0.0, (found - mean) / std)


def _channels_first(images: Tensor, shape: list[int]) -> Tensor:
    """Images as N×C×H×W."""
    if images.ndim == 3:
        return images.unsqueeze(1)
    return images if list(images.shape[1:]) == shape else images.permute(0, 3, 1, 2)


class _Answers:
    """Answers a space's function with the choices that were found."""

    def __init__(self, choices: Mapping[str, Any]) -> None:
        self.choices = choices

    def one_of(self, name: str, *_: Any, **__: Any) -> Any:
        return self.choices[name]

    int = bool = one_of


class _Full:
    """The full scale of a network: nothing is left out."""

    width = depth = 1.0
    resolution = batch = None

    def channels(self, full: int, *, multiple: int = 1) -> int:
        return full

    def layers(self, full: int) -> int:
        return full


@cache
def _import(module: str) -> Any:
    """A module of the folder `source`, whatever modules of the same names were imported before."""
    own = {path.stem for path in _SOURCE.iterdir()}
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in own}
    sys.path.insert(0, str(_SOURCE))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(_SOURCE))
        sys.modules.update(hidden)
