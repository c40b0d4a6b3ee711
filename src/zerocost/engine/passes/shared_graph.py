"""The graph of one forward pass that several passes continue."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.failures import COMPILED
from zerocost.engine.observe.observer import Observer
from zerocost.engine.passes.base import PASSES, PassInput
from zerocost.engine.watch.base import Scene


class SharedGraph:
    """A batch or a part of it, and the graph that the passes on it share.

    Args:
        batch: what the passes run on.
        in_parts: whether this is a part of a batch.
        whole: signals of the whole batch that are known already, where it is run in parts.

    Attributes:
        inputs: the leaves of the graph on the side of the input.
        tensors: the parameters and buffers that the network runs with, by name; before that, those it is to run with.
        buffers: copies of the buffers as the data pass left them, which checkpointed parts change once more backward.
        outputs: what the network returned.
        weights: the weight matrices among the tensors.
        loss: the mean loss.
        gradients: those of the loss to the weights.
        draws_random: whether the network draws random numbers.
        twice: whether a pass differentiates gradients.
    """

    inputs: Any
    tensors: dict[str, Tensor]
    buffers: dict[str, Tensor]
    outputs: Tensor
    weights: list[Tensor]
    loss: Tensor
    gradients: tuple[Tensor, ...]

    def __init__(self, batch: PassInput, in_parts: bool = False, whole: dict[str, Any] | None = None) -> None:
        self.batch = batch
        self.whole = whole or {}
        self.passes = [step for step in batch.passes() if step.on_graph]
        network = batch.network
        hidden = Failure(COMPILED) if network.compiled else None
        self.scene = Scene(batch.samples, network.model, seed=batch.seed, in_parts=in_parts, hidden=hidden)
        self.twice = any(step.twice for step in self.passes)
        self.observer = Observer(self.scene, batch.watchers(PASSES["data"]), network.originals, self.twice)
        if self.observer.watchers:
            self.scene.normalisers = network.normalisers
        self.draws_random = False
        self.tensors = {}

    def runs(self, name: str) -> bool:
        """Whether a pass is among those that are wanted."""
        return any(step.name == name for step in self.passes)

    def continues_after(self, name: str) -> bool:
        """Whether gradients are sent through the graph after a pass, which then has to be kept."""
        return any(step.backwards and step.order > PASSES[name].order for step in self.passes)


def check_finite(outputs: Tensor) -> Tensor:
    """The outputs; `Failure` where one is not a number, or not finite."""
    if not outputs.isfinite().all():
        alone = (
            "; this pass runs one sample, which has no variance" if len(outputs) == 1 and outputs.isnan().any() else ""
        )
        raise Failure(
            f"the outputs are not finite: activations overflow {str(outputs.dtype).removeprefix('torch.')}, "
            f"or the weights are not numbers{alone}"
        )
    return outputs
