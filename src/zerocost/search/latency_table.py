"""Latency by a table of layers: recorded once on a device, it predicts the latency of networks that were never run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zerocost.base.errors import Failure, InputError, describe_error
from zerocost.base.files import write_text
from zerocost.base.progress import StepProgress
from zerocost.engine.inputs import call
from zerocost.engine.model.lazy import materialised
from zerocost.search.latency import LatencyMeter
from zerocost.search.sizes import build_network, first_sample
from zerocost.spaces import SearchSpace
from zerocost.statistics.ranking import spearman

_Numbers = npt.NDArray[np.float64]
_FIELDS = ("conditions", "layers", "scale", "each", "offset")


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of each layer, and what makes the latency of a network of them.

    That is offset + scale · sum of the layers' milliseconds + each · number of layers, as a layer that is run alone
    takes longer than in its network, where runtimes also join layers.

    Attributes:
        conditions: what it was measured with: runtime, processor, threads.
        layers: milliseconds by layer: the text of a module and the shapes of its inputs.
        scale: by what the sum is multiplied.
        each: milliseconds that are added for each layer; usually below 0.
        offset: milliseconds that are added.
        error: how far it is off on networks that it was not fitted to: their number, the Spearman correlation of
            predicted and measured latencies, and the median and largest relative error.
    """

    conditions: str
    layers: Mapping[str, float]
    scale: float = 1.0
    each: float = 0.0
    offset: float = 0.0
    error: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What its predictions depend on."""
        return (
            f"a table of {len(self.layers)} layers; {self.conditions}; {self.scale!r}, {self.each!r}, {self.offset!r}"
        )

    def predict(self, model: nn.Module, sample: Any) -> float:
        """Milliseconds of a network; `Failure` for one with a layer that is not in the table."""
        names = list(_layers_of(model, sample))
        missing = sorted({name for name in names if name not in self.layers})
        if missing:
            raise Failure(f"the latency table lacks {len(missing)} layers, such as {missing[0]}; record more networks")
        layers = math.fsum(self.layers[name] for name in names)
        return max(0.0, self.offset + self.each * len(names) + self.scale * layers)

    def save(self, path: str | Path) -> None:
        """Write it as JSON; `InputError` where that cannot be."""
        write_text(Path(path), json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Read one that `save` wrote; `InputError` for a file that is none."""
        file = Path(path)
        if not file.is_file():
            raise InputError(f"no such latency table: {path}; write one with zerocost latency record --out {path}")
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            layers = {str(name): float(value) for name, value in values["layers"].items()}
            for name, value in layers.items():
                if not 0 <= value < math.inf:
                    raise ValueError(f"{value:g} ms of layer {name}")
            scale, each, offset = (float(values[name]) for name in _FIELDS[2:])
            return cls(str(values["conditions"]), layers, scale, each, offset, dict(values.get("error", {})))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            expected = f"expected an object with {', '.join(_FIELDS)}"
            raise InputError(
                f"{path} is no latency table: {expected}, but got {type(error).__name__}: {error}"
            ) from error


def _layers_of(model: nn.Module, sample: Any) -> Iterator[str]:
    """The layers that a sample passes, by name, each as often as it is run: modules without parts of their own.

    >>> list(_layers_of(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), torch.zeros(1, 4)))
    ['Linear(in_features=4, out_features=2, bias=True) 1x4', 'ReLU() 1x2']
    """
    return (_name(module, inputs) for module, inputs in _calls(model, sample))


def _calls(model: nn.Module, sample: Any) -> list[tuple[nn.Module, tuple[Any, ...]]]:
    """Each layer that is run with its inputs, on the device where the model is."""
    found: list[tuple[nn.Module, tuple[Any, ...]]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.append((module, inputs))

    hooks = [part.register_forward_pre_hook(note) for part in model.modules() if not list(part.children())]
    modes = {part: part.training for part in model.modules()}
    try:
        with torch.no_grad():
            call(model.eval(), sample)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Failure(f"the network raised {describe_error(error)}") from error
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes.items():
            part.training = training
    return found


def _name(module: nn.Module, inputs: tuple[Any, ...]) -> str:
    """The text of a layer and of the shapes of its inputs."""
    shapes = ", ".join("x".join(map(str, value.shape)) for value in inputs if isinstance(value, Tensor))
    return f"{' '.join(repr(module).split())} {shapes}"


def record_table(
    space: SearchSpace,
    inputs: Any,
    meter: LatencyMeter,
    *,
    networks: int = 30,
    held_out: int = 20,
    seed: int = 0,
    progress: StepProgress = lambda done, total: None,
) -> LatencyTable:
    """Measure every layer of random networks of a space, and the networks, and fit a table of layers to them.

    Args:
        space: the space.
        inputs: what its networks take; the first sample is used.
        meter: what measures.
        networks: random networks whose layers are measured, and that the table is fitted to.
        held_out: further networks that only its error is measured on.
        seed: draws the networks.
        progress: is told how many of all measurements are done.

    Returns:
        The table with its error.

    Raises:
        InputError: too few networks.
        Failure: a network that cannot be run.
    """
    if networks < 3 or held_out < 3:
        raise InputError(f"a table needs at least 3 networks and 3 held out, but got {networks} and {held_out}")
    sample, rng = first_sample(inputs), np.random.default_rng(seed)
    draws = (space.sample(rng) for _ in range(20 * (networks + held_out)))
    archs = list(islice(iter(dict.fromkeys(draws)), networks + held_out))
    if len(archs) < networks + held_out:
        raise InputError(
            f"only {len(archs)} random networks differ, but {networks} networks and {held_out} held out are asked for; "
            "lower networks= or held_out=, at the shell --networks or --held-out"
        )
    found: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {}
    for arch in archs:
        model = materialised(build_network(space, arch, "cpu"), sample)
        found |= {_name(module, given): (module, given) for module, given in _calls(model, sample)}
    total, layers = len(found) + len(archs), dict[str, float]()
    for name, (module, given) in found.items():
        layers[name] = meter.measure(module, given if len(given) > 1 else given[0]).median
        progress(len(layers), total)
    parts, times = [], []
    for arch in archs:
        model = materialised(build_network(space, arch, "cpu"), sample)
        names = list(_layers_of(model, sample))
        parts.append((math.fsum(layers[name] for name in names), float(len(names)), 1.0))
        times.append(meter.measure(model, sample).median)
        progress(len(layers) + len(times), total)
    factors = _fit(np.asarray(parts[:networks]), np.asarray(times[:networks]))
    error = _error(np.asarray(parts[networks:]) @ factors, np.asarray(times[networks:]))
    scale, each, offset = factors.tolist()
    return LatencyTable(meter.conditions, layers, scale, each, offset, error)


def _fit(parts: _Numbers, times: _Numbers) -> _Numbers:
    """The factors of the parts that give the times with the least squares of relative errors.

    The sum alone where it would count against a network.
    """
    factors = np.asarray(np.linalg.lstsq(parts / times[:, None], np.ones_like(times), rcond=None)[0], dtype=np.float64)
    return factors if factors[0] > 0 else np.array([np.median(times / parts[:, 0]), 0.0, 0.0])


def _error(predicted: _Numbers, measured: _Numbers) -> dict[str, float]:
    """How far predictions are off."""
    relative = np.abs(predicted / measured - 1)
    return {
        "networks": len(measured),
        "spearman": float(spearman(predicted, measured)),
        "median_relative_error": float(np.median(relative)),
        "largest_relative_error": float(relative.max()),
    }
