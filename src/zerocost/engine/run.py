"""Runs a plan on one model and one batch, and gives every signal or the reason why it cannot be had."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zerocost.engine.guard import guard
from zerocost.engine.memory import attempt, measure_batch, signals_of
from zerocost.engine.network import Network
from zerocost.engine.passes import batch
from zerocost.engine.passes.flow import flow
from zerocost.engine.passes.shape import shape
from zerocost.engine.plan import Plan
from zerocost.errors import Failure
from zerocost.seeding import seeded

READ_OFF: dict[str, Callable[[Network], Any]] = {
    "parameter_count": lambda network: sum(p.numel() for p in network.parameters.values()),
    "weights": Network.weights,
}
WITHOUT_THE_BATCH: dict[str, Callable[[Network, Any], dict[str, Any]]] = {"shape": shape, "flow": flow}


@dataclass
class Measurement:
    """What a plan delivered: signals (a value, or the Failure that says why not), and how it was measured."""

    signals: dict[str, Any] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    part_size: int = 0
    device: str = ""
    dtype: str = ""


def measure(
    model: nn.Module, inputs: Any, targets: Tensor | None, plan: Plan, loss: batch.Loss, seed: int
) -> Measurement:
    """Run the passes of `plan`, each once, and return the signals they deliver.

    The model is left as it was. Each pass starts from `seed`, so that a signal does not depend on which others are
    asked for. Raises `InputError` for a batch that no model could be scored on; what cannot be had of this model is a
    `Failure` among the signals.
    """
    result = Measurement()
    names = [step.name for step in plan.passes]
    with guard(model), torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        network = attempt(Network, model)
        if isinstance(network, Failure):
            result.signals = dict.fromkeys(plan.signals, network)
            return result
        result.device, result.dtype = str(network.device), str(network.dtype).removeprefix("torch.")
        inputs, targets = network.prepare((inputs, targets))
        model.train()
        with torch.autocast(network.device.type, enabled=False):
            result.signals = {name: attempt(read, network) for name, read in READ_OFF.items()}
            for name, run in WITHOUT_THE_BATCH.items():
                if name in names:
                    start = time.perf_counter()
                    with seeded(seed, network.device):
                        found = alone(run, network, inputs)
                    failed = isinstance(found, Failure)
                    result.signals |= dict.fromkeys(signals_of([name]), found) if failed else found
                    result.milliseconds[name] = 1e3 * (time.perf_counter() - start)
            on_batch = [name for name in names if name in batch.PASSES]
            if on_batch:
                whole = batch.Batch(network, inputs, targets, loss, plan.signals, seed)
                signals, result.part_size = measure_batch(whole, on_batch, result.milliseconds)
                result.signals |= signals
    return result


def alone(run: Callable[..., Any], network: Network, inputs: Any) -> Any:
    """A pass on one sample, which no splitting could make smaller."""
    try:
        return attempt(run, network, inputs)
    except torch.OutOfMemoryError:
        return Failure("out of memory on a single sample")
