"""Runs a plan on one model and one batch, and gives every signal or the reason why it cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zerocost.engine.memory import alone, attempt, measure_batch, signals_of
from zerocost.engine.network import Network
from zerocost.engine.passes import batch
from zerocost.engine.passes.flow import flow
from zerocost.engine.passes.shape import shape
from zerocost.engine.plan import Plan
from zerocost.errors import Failure

READ_OFF: dict[str, Callable[[Network], Any]] = {
    "parameter_count": lambda network: sum(p.numel() for p in network.parameters.values()),
    "weights": Network.weights,
}
WITHOUT_THE_BATCH: dict[str, Callable[[Network, Any, int], dict[str, Any]]] = {"shape": shape, "flow": flow}


@dataclass
class Measurement:
    """What a plan delivered: signals (a value, or the Failure that says why not), and how it was measured."""

    signals: dict[str, Any] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    part_size: int = 0
    device: str = "cpu"
    dtype: str = ""


def measure(
    model: nn.Module, inputs: Any, targets: Tensor | None, plan: Plan, loss: batch.Loss, seed: int
) -> Measurement:
    """Run the passes of `plan`, each once, and return the signals they deliver.

    The model is left as it was. Each pass starts from `seed`, so that a signal does not depend on which others are
    asked for. Raises `InputError` for a batch that no model could be scored on; what cannot be had of this model is a
    `Failure` among the signals.
    """
    network = attempt(Network, model)
    if isinstance(network, Failure):
        return Measurement(dict.fromkeys(plan.signals, network))
    result = Measurement(device=str(network.device), dtype=str(network.dtype).removeprefix("torch."))
    names = [step.name for step in plan.passes]
    with neutral(network.device):
        result.signals = {name: attempt(read, network) for name, read in READ_OFF.items() if name in plan.signals}
        placed = alone(network.prepare, (inputs, targets))
        if isinstance(placed, Failure):
            result.signals |= dict.fromkeys(signals_of(names), placed)
            return result
        inputs, targets = placed
        for name, run in WITHOUT_THE_BATCH.items():
            if name in names:
                start = network.clock()
                found = alone(run, network, inputs, seed)
                result.signals |= dict.fromkeys(signals_of([name]), found) if isinstance(found, Failure) else found
                result.milliseconds[name] = 1e3 * (network.clock() - start)
        on_batch = [name for name in names if name in batch.PASSES]
        if on_batch:
            whole = batch.Batch(network, inputs, targets, loss, plan.signals, seed)
            signals, result.part_size = measure_batch(whole, on_batch, result.milliseconds)
            result.signals |= signals
    return result


@contextmanager
def neutral(device: torch.device) -> Iterator[None]:
    """The caller's inference mode, gradient mode, autocast and attention kernels do not apply; nothing is compiled."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
