"""Runs a plan on one model and one batch, and gives every signal or the reason why it cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from zerocost.base.errors import Failure
from zerocost.base.seeding import stream
from zerocost.engine.failures import attempt, or_failure
from zerocost.engine.inputs import noise_like, sample_count, take_samples
from zerocost.engine.losses import Loss
from zerocost.engine.memory import failed_signals, measure_batch, wanted_from
from zerocost.engine.model.effective_weights import effective_weights
from zerocost.engine.model.initialise import with_initialisation
from zerocost.engine.model.network import Network
from zerocost.engine.modes.call_mode import WithoutPreparation
from zerocost.engine.outputs import Output
from zerocost.engine.passes.base import BACKWARD_COUNT, Pass, PassInput
from zerocost.engine.plan import Group, Plan, relevant_settings
from zerocost.engine.readings import BATCH, MODEL, READINGS
from zerocost.engine.settings import Settings
from zerocost.engine.signals import SIGNALS


@dataclass
class MeasuredSignals:
    """What a plan delivered: signals (a value, or the Failure that says why not), and how it was measured.

    `frozen` names the parameters that do not require a gradient, `unused` those that no pass read (None: none ran).
    """

    signals: dict[Settings, dict[str, Any]] = field(default_factory=dict)
    milliseconds: dict[tuple[str, Settings], float] = field(default_factory=dict)
    backwards: dict[tuple[str, Settings], int] = field(default_factory=dict)
    part_sizes: list[tuple[bool, int]] = field(default_factory=list)
    device: str = "cpu"
    dtype: str = ""
    frozen: list[str] = field(default_factory=list)
    unused: list[str] | None = None
    output: str = ""

    @property
    def part_size(self) -> int:
        """The size of the parts that batches were run in: the smallest where one was split, else that of the batch."""
        split = [size for is_part, size in self.part_sizes if is_part]
        return min(split) if split else max((size for _, size in self.part_sizes), default=0)

    def under(self, settings: Settings) -> dict[str, Any]:
        """Every signal that was measured, as it is under the given settings."""
        return {
            name: values[name]
            for key, values in self.signals.items()
            for name in values
            if relevant_settings(SIGNALS[name].source, settings) == key
        }


def measure(
    model: nn.Module,
    batches: Sequence[tuple[Any, Tensor | None]],
    plan: Plan,
    loss: Loss,
    seed: int,
    output: Output = None,
) -> MeasuredSignals:
    """Run each pass of a plan once, and return the signals that they deliver under each of its settings; inside
    `neutral_torch`.

    The model is left as it was. Each pass starts from `seed`, so that a signal does not depend on which others are
    asked for; repeat i starts from `seed + i`. Only proxies that compare batches see more than the first of `batches`.
    `output` names the tensor to score in what the model returns.
    Raises `InputError` for a batch that no model could be scored on; what cannot be had of this model is a `Failure`
    among the signals.
    """
    with ExitStack() as stack:
        opened = attempt(stack.enter_context, effective_weights(model))
        network = opened if isinstance(opened, Failure) else attempt(Network, model, output)
        if isinstance(network, Failure):
            return MeasuredSignals({group.settings: dict.fromkeys(group.signals, network) for group in plan.groups})
        result = _measure_groups(network, batches, plan, loss, seed)
        result.output = network.pick.found
        return result


def _measure_groups(
    network: Network, batches: Sequence[tuple[Any, Tensor | None]], plan: Plan, loss: Loss, seed: int
) -> MeasuredSignals:
    """`measure` of a network that is ours alone."""
    result = MeasuredSignals(device=str(network.device), dtype=str(network.dtype).removeprefix("torch."))
    if network.device.type == "cuda" and any(isinstance(module, nn.RNNBase) for module in network.model.modules()):
        # cuDNN's recurrent layers have no backward pass in eval mode, nor a second one
        torch.backends.cudnn.enabled = False
    with neutral_modes(network.device):
        placed = or_failure(network.prepare, list(batches))
        network.samples = sample_count(batches[0][0])
        for group in plan.groups:
            with WithoutPreparation() if group.settings.inputs == "noise" else nullcontext():
                found = or_failure(_measure_group, network, placed, group, loss, seed, result)
            result.signals[group.settings] = (
                dict.fromkeys(group.signals, found) if isinstance(found, Failure) else found
            )
    result.frozen, result.unused = network.frozen, network.unused
    return result


def _measure_group(
    network: Network, placed: Any, group: Group, loss: Loss, seed: int, result: MeasuredSignals
) -> dict[str, Any]:
    """The signals of passes under the same settings; adds their times to `result`."""
    settings, seed = group.settings, seed + group.settings.repeat
    network = with_initialisation(network, settings.initialisation, seed)
    signals = _read(MODEL.name, network, group)
    if isinstance(placed, Failure):
        return dict.fromkeys(group.signals, placed) | signals
    batches = [_choose_samples(inputs, targets, settings, seed) for inputs, targets in placed]
    inputs, targets = batches[0]
    signals |= _read(BATCH.name, targets, group)
    batch = PassInput(network, inputs, targets, loss, group.signals, seed, settings, batches[1:])
    for step in sorted(group.passes, key=lambda step: not step.also):
        if not step.on_graph and not signals.keys() >= set(wanted_from(batch, [step.name])):
            start = network.clock()
            found = _run_alone(step, batch)
            if isinstance(found, Failure):
                signals |= failed_signals(batch, [step.name], found)
            else:
                signals |= {name: found[name] for name in wanted_from(batch, [step.name, *step.also]) if name in found}
                result.backwards[step.name, settings] = step.backwards + found.get(BACKWARD_COUNT, 0)
            result.milliseconds[step.name, settings] = 1e3 * (network.clock() - start)
    on_graph = [step.name for step in group.passes if step.on_graph]
    if on_graph:
        milliseconds: dict[str, float] = {}
        found, size = measure_batch(batch, on_graph, milliseconds)
        result.part_sizes.append((size < batch.samples, size))
        result.milliseconds |= {(name, settings): spent for name, spent in milliseconds.items()}
        signals |= found
    return signals


def _read(source: str, value: Any, group: Group) -> dict[str, Any]:
    """The wanted signals that are read of the model or the batch, or the `Failure` that says why one is not."""
    return {name: attempt(READINGS[name], value) for name in group.signals if SIGNALS[name].source == source}


def _run_alone(step: Pass, batch: PassInput) -> Any:
    """What a pass with a graph of its own delivers, or the `Failure` that says why it does not."""
    try:
        return step.obstacle(batch.network) or attempt(step.run, batch)
    except torch.OutOfMemoryError:
        if batch.samples == 1 or "samples" not in step.settings:
            return Failure("out of memory")
        return Failure(
            f"out of memory at batch {batch.samples}; this cannot be measured in parts, try batch={batch.samples // 2}"
        )


def _choose_samples(inputs: Any, targets: Tensor | None, settings: Settings, seed: int) -> tuple[Any, Tensor | None]:
    """The samples that settings ask for: the first ones, or noise in their shape."""
    if settings.samples is not None:
        inputs = take_samples(inputs, 0, settings.samples)
        targets = None if targets is None else targets[: settings.samples]
    if settings.inputs == "noise":
        inputs = noise_like(inputs, settings.pixels, stream(seed, "inputs"))
    return inputs, targets


@contextmanager
def neutral_modes(device: torch.device) -> Iterator[None]:
    """The caller's inference mode, gradient mode, autocast and attention kernels do not apply; nothing is compiled."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
