"""How long a network takes on the device at hand, measured."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import tree_map

from zerocost.base.device import check_device
from zerocost.base.errors import Failure, InputError
from zerocost.engine.failures import or_failure
from zerocost.engine.inputs import call
from zerocost.engine.model.lazy import materialised
from zerocost.engine.model.network import Network
from zerocost.engine.outputs import no_output
from zerocost.search.sizes import first_sample, repeat_sample

_WARM_UP, _LEAST, PRECISION = 3, 10, 0.01
"""Passes that warm up, passes that are timed at least, and the share of it to which the median is to be known."""


class Timing(NamedTuple):
    """The median of several passes and their spread (the distance between the quartiles), both in milliseconds."""

    median: float
    spread: float
    runs: int


@dataclass(frozen=True)
class LatencyMeter:
    """Measures or predicts the latency of a network.

    Attributes:
        measure: the timing of a network on a sample; raises `Failure` with the reason where there is none.
        conditions: what it depends on besides the network, as a key.
    """

    measure: Callable[[nn.Module, Any], Timing]
    conditions: str


def latency(
    model: nn.Module,
    inputs: Any,
    *,
    batch: int = 1,
    device: str | torch.device = "cpu",
    seconds: float = 2.0,
) -> Timing:
    """Measure one forward pass in eval mode, without gradients; the model comes back as it was.

    Three passes warm up. Then passes are timed one by one, on an accelerator until it has finished: at least ten, and
    until the median is known to one per cent (spread / √passes) or the time is over. Inputs lie on the device before,
    and torch uses as many threads as it is set to: `latency_conditions` says how many.

    Args:
        model: any network.
        inputs: what it takes; the first sample, repeated.
        batch: samples in each pass.
        device: where to run; the model's parameters are copied there.
        seconds: when to stop measuring, warming up included; there may be fewer than ten passes then, but at least one.

    Raises:
        InputError: a device that cannot be used, or a batch or time out of range.
        Failure: the network cannot be run.

    >>> timing = latency(nn.Linear(4, 2), torch.zeros(1, 4), seconds=0.01)
    >>> 0 < timing.median < 1000, timing.runs > 0
    (True, True)
    """
    if batch < 1 or not seconds > 0:
        raise InputError(f"batch must be at least 1 and seconds above 0, but got batch={batch!r}, seconds={seconds!r}")
    check_device(device)
    found = or_failure(_time_passes, model, repeat_sample(first_sample(inputs), batch), torch.device(device), seconds)
    if isinstance(found, Failure):
        raise found
    timing: Timing = found
    return timing


def _time_passes(model: nn.Module, inputs: Any, device: torch.device, seconds: float) -> Timing:
    """The timing of a model on inputs: both moved to the device first."""
    network = Network(materialised(model, inputs), no_output)
    arguments = tree_map(lambda t: t.to(device) if isinstance(t, torch.Tensor) else t, network.prepare(inputs))
    tensors = {name: tensor.detach().to(device) for name, tensor in network.tensors.items()}
    with network.fresh(0, training=False), torch.inference_mode(), torch.autocast(device.type, enabled=False):
        start = _now(device)
        network.run(tensors, arguments)  # leaves `tensors` in the model's places
        left = seconds - (_now(device) - start)
        return time_passes(partial(call, network.model, arguments), partial(_now, device), left, _WARM_UP - 1)


def time_passes(run: Callable[[], Any], now: Callable[[], float], seconds: float, warm_up: int = _WARM_UP) -> Timing:
    """The timing of something that is run again and again: at least once, until it is precise or the time is over.

    Args:
        run: what is timed.
        now: the time in seconds.
        seconds: when to stop, warming up included.
        warm_up: how often it is run before.
    """
    times: list[float] = []
    start = now()
    for _ in range(warm_up):
        if now() - start >= seconds:
            break
        run()
    while not times or (not _is_precise(times) and now() - start < seconds):
        begin = now()
        run()
        times.append(1e3 * (now() - begin))
    return Timing(statistics.median(times), _spread(times), len(times))


def _now(device: torch.device) -> float:
    """Seconds, once the device has finished what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def _spread(times: list[float]) -> float:
    """The distance between the quartiles; 0 for a single time."""
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return high - low


def _is_precise(times: list[float]) -> bool:
    """Whether the median is known to one per cent."""
    return len(times) >= _LEAST and _spread(times) <= PRECISION * statistics.median(times) * len(times) ** 0.5


def latency_conditions(*, batch: int = 1, device: str | torch.device = "cpu") -> str:
    """What a latency depends on besides the network, as a key: processor, device, threads, batch, torch.

    Raises `InputError` for a device that cannot be used.

    >>> latency_conditions(batch=8)
    'latency; processor=...; device=cpu; threads=...; batch=8; torch=...'
    """
    check_device(device)
    place = torch.device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
    return (
        f"latency; processor={processor()}; device={name}; threads={torch.get_num_threads()}; batch={batch}; "
        f"torch={torch.__version__}"
    )


@cache
def processor() -> str:
    """The name of the host's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
