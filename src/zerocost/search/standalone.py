"""A network found by zerocost: `load()` gives it trained, `build()` untrained; `prepare(x)` makes its inputs, `read(y)`
says what its outputs mean."""

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
    Rows of texts become the numbers of their categories, 0 for one that is not known. In the place of rows of a table a
    DataFrame may be given, of which the columns are taken that the network was trained on: one for all inputs, or one
    for each. `ValueError` says which are missing, how many inputs or columns were expected, or that one image is not
    a batch.
    """
    return _prepare(inputs, settings()["inputs"])


def read(outputs: Any) -> Any:
    """What the network's outputs mean: predicted numbers in their own unit, or of each sample its class by name.

    Of other tasks it is the tensor, of class numbers N×… where each pixel or sample has one without a name. Tensors are
    detached from the network, so that numpy takes them.
    """
    known = settings()["outputs"]
    if "function" in known:
        raise ValueError(f"the function {known['function']} takes the tensor out of the outputs; call it instead")
    found, place = outputs, known.get("tensor")
    if place is not None and not isinstance(outputs, Tensor):
        named = isinstance(outputs, Mapping) or isinstance(place, int)
        found = outputs[place] if named else getattr(outputs, place)
    found = found.detach()
    if "target_scale" in known:
        mean, std = known["target_scale"]
        return found.double() * std + mean
    if known.get("task") not in ("classification", "segmentation"):
        return found
    best = found.argmax(1) if found.ndim > 1 and found.shape[1] > 1 else (found.flatten() > 0).long()
    return [known["classes"][number] for number in best.tolist()] if known.get("classes") and best.ndim == 1 else best


def _prepare(values: Any, kind: Any) -> Any:
    """Inputs as their entry in the settings says."""
    if isinstance(kind, list):
        given = [values] * len(kind) if hasattr(values, "columns") else list(values)
        if len(given) != len(kind):
            raise ValueError(f"the network takes {len(kind)} inputs, got {len(given)}; settings.json describes each")
        return tuple(_prepare(one, each) for one, each in zip(given, kind, strict=True))
    if "dtype" not in kind:
        return {name: _prepare(values[name], each) for name, each in kind.items()}
    columns = kind.get("columns", list(kind.get("categories", [])))
    if columns:
        values = _rows(values, columns, kind)
    if "categories" in kind and not isinstance(values, Tensor):
        values = _category_numbers(values, kind["categories"])
    raw = values.copy() if hasattr(values, "flags") else values  # arrays of pandas cannot be written to
    found, dtype = torch.as_tensor(raw), getattr(torch, kind["dtype"])
    if found.dtype == torch.uint8 and dtype.is_floating_point and not columns:
        found = _channels_first(found, kind["shape"][1:]) / 255
    found = found.to(torch.float64 if columns and dtype.is_floating_point else dtype)
    if "mean" not in kind:
        return found.to(dtype)
    along = [1] * len(kind["shape"])
    along[kind.get("axis", 1)] = -1
    mean, std = (torch.tensor(kind[name], dtype=found.dtype).reshape(along) for name in ("mean", "std"))
    return torch.where(found.isnan(), 0.0, (found - mean) / std).to(dtype)


def _rows(values: Any, columns: list[str], kind: Mapping[str, Any]) -> Any:
    """Rows of these columns: of a DataFrame, those of their names."""
    if hasattr(values, "columns"):
        missing = [name for name in columns if name not in values.columns]
        if missing:
            raise ValueError(f"the table has no column {missing[0]!r}; expected {', '.join(columns)}")
        table = values[columns]
        texts = "categories" in kind
        values = table.astype("string").to_numpy() if texts else table.to_numpy("float64", na_value=float("nan"))
    shape, expected = _shape_of(values), ["N", *kind["shape"][1:]]
    if len(shape) != len(expected) or shape[-1] != len(columns):
        raise ValueError(
            f"expected {'×'.join(map(str, expected))} with the columns {', '.join(columns)}, got shape "
            f"{'×'.join(map(str, shape))}"
        )
    return values


def _shape_of(values: Any) -> tuple[int, ...]:
    """The shape of an array, or of lists in lists."""
    if hasattr(values, "shape"):
        return tuple(values.shape)
    return (len(values), *_shape_of(values[0])) if isinstance(values, list | tuple) and values else ()


def _category_numbers(rows: Any, categories: Mapping[str, list[str]]) -> list[list[int]]:
    """The number of each category of rows of texts, a column each, from 1 on; numbers stay as they are.

    A truth value is its text, "True" or "False".
    """
    places = [{text: place for place, text in enumerate(texts, start=1)} for texts in categories.values()]
    return [
        [one if type(one) is int else known.get(str(one), 0) for one, known in zip(row, places, strict=True)]
        for row in (rows.tolist() if hasattr(rows, "tolist") else rows)
    ]


def _channels_first(images: Tensor, shape: list[int]) -> Tensor:
    """Images as N×C×H×W; `ValueError` for one image H×W×C."""
    if images.ndim == 3:
        if images.shape[2] == shape[0] != shape[2]:
            raise ValueError(f"expected a batch of images, got one of shape {tuple(images.shape)}; give image[None]")
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
