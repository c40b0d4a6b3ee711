"""BatchNorm on one sample, with the statistics that it has on the whole batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import Function
from zerocost.engine.inputs import clone_tensors
from zerocost.engine.passes.base import PassInput


class _Statistics(NamedTuple):
    """What one call of BatchNorm in train mode normalised with, and the shape of its input."""

    shape: torch.Size
    mean: Tensor
    variance: Tensor


class _BatchNormMode(TorchFunctionMode):
    """Base of the modes that see each BatchNorm which normalises with the statistics of its input."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        call = Call(function, "batch_norm", args, kwargs or {})
        if function is F.batch_norm and call.argument(5, "training", False):
            return self.normalise(call)
        return function(*args, **(kwargs or {}))

    def normalise(self, call: Call) -> Any:
        raise NotImplementedError


class _Recording(_BatchNormMode):
    """Notes the statistics of each call, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Statistics] = []

    def normalise(self, call: Call) -> Any:
        x = call.input.detach().double()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        self.found.append(_Statistics(x.shape, x.mean(axes), x.var(axes, correction=0)))
        return call.function(*call.args, **call.kwargs)


class FixedBatchNorm(_BatchNormMode):
    """Runs each BatchNorm with recorded statistics, as constants; one that no sample reaches runs as it is.

    Args:
        recorded: the statistics, in the order of the calls.
    """

    def __init__(self, recorded: Iterable[_Statistics]) -> None:
        super().__init__()
        self.left = iter(recorded)

    def normalise(self, call: Call) -> Any:
        x, known = call.input, next(self.left, None)
        if known is None or known.mean.shape != x.shape[1:2]:
            raise Failure("BatchNorm runs otherwise on one sample than on the batch, whose statistics it needs")
        if known.shape == x.shape:
            return call.function(*call.args, **call.kwargs)
        weight, bias = call.argument(3, "weight"), call.argument(4, "bias")
        mean, variance = (value.to((x if weight is None else weight).dtype) for value in (known.mean, known.variance))
        return F.batch_norm(x, mean, variance, weight, bias, eps=call.argument(7, "eps", 1e-5))


def batch_statistics(batch: PassInput) -> list[_Statistics]:
    """The statistics of each BatchNorm on the whole batch, out of a forward pass."""
    network, recording = batch.network, _Recording()
    with network.fresh(batch.seed, batch.training), recording:
        network.run(network.copies(), clone_tensors(batch.inputs))
    return recording.found
