"""The running variances of BatchNorm layers."""

from __future__ import annotations

from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.watch.base import Collector


class BatchNormVariances(Collector):
    """The mean over channels of each BatchNorm's running variance after the pass; of the batch where none is kept."""

    signal = "batch_norm_variances"
    meaning = "mean running variance of each BatchNorm after both passes: scalars"
    source = "perturbed"
    sees_steps = False
    sees_activations = False

    def after(self, call: Call, result: Tensor) -> None:
        if call.name == "batch_norm" and self.scene.sample_axis.reaches(result):
            self.values.append(mean_variance(call))


def mean_variance(call: Call) -> Tensor:
    """The mean over channels of a BatchNorm's running variance after a call; of the batch where none is kept."""
    running = call.argument(2, "running_var")
    variance = call.input.movedim(1, -1).flatten(0, -2).var(0) if running is None else running
    mean: Tensor = variance.detach().double().mean()
    return mean
