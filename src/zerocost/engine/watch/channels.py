"""Channel saliency: how much each channel of a layer's output moves the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import CHANNEL_AXIS, is_in_place
from zerocost.engine.calls.used_weights import whole_weight
from zerocost.engine.failures import NO_LAYER
from zerocost.engine.rows import sum_positions
from zerocost.engine.signals import ChannelSaliency
from zerocost.engine.watch.base import Scene, check_visible
from zerocost.engine.watch.gradients import GradientWatcher

_UNSEEN = (
    "a layer runs inside the forward of a torch.autograd.Function, where there is no gradient to its output; call the "
    "layer, or torch.nn.functional, outside of it"
)


def merge_channels(parts: Sequence[Sequence[ChannelSaliency]], shares: Sequence[float]) -> list[ChannelSaliency]:
    """Saliency by the mean loss over a whole batch: each part's rows, scaled by its share."""
    scaled = [[layer.values * share for layer in part] for part, share in zip(parts, shares, strict=True)]
    return [
        ChannelSaliency(torch.cat(values), layer.fan_in)
        for layer, values in zip(parts[0], zip(*scaled, strict=True), strict=True)
    ]


class ChannelSaliencies(GradientWatcher):
    """For each convolution and linear layer, by the identity of its weight, the sum over positions of a·∂L/∂a.

    A weight that is used both ways, as W and as its transpose, is two layers: of its rows and of its columns.
    """

    signal = "channel_saliency"
    sees_activations = False
    meaning = "for each convolution and linear layer a ChannelSaliency: N×C"
    merge = staticmethod(merge_channels)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.layers: dict[tuple[int, bool, int], ChannelSaliency] = {}
        self._outputs: dict[int, list[dict[str, Tensor]]] = {}
        self._weights: list[Tensor] = []
        self._unseen: set[int] = set()

    def before(self, call: Call) -> None:
        if self._outputs and call.args and isinstance(call.args[0], Tensor) and is_in_place(call.function, call.kwargs):
            for held in self._outputs.pop(call.args[0].untyped_storage().data_ptr(), []):
                held["value"] = held["kept"] = held["value"].clone()

    def after(self, call: Call, result: Tensor) -> Undo | None:
        if call.name not in CHANNEL_AXIS:
            return None
        check_visible(result)
        weight, axis = call.argument(1, "weight"), call.channel_axis
        if not result.requires_grad:
            used = id(weight) in self.scene.weights and weight.requires_grad
            return self.when_known(weight, lambda _: self._unseen.add(id(weight))) if used else None
        if call.heads or (
            call.name == "linear" and weight.ndim == 3 and len(weight) > 1 and call.function != F.bilinear
        ):
            raise Failure("a weight holds several matrices, as of experts or heads, whose channels are not told apart")
        held = {"value": result.detach()}
        version, place, read = result._version, self.scene.sample_axis.place(result), self.scene.sample_axis.read_map
        made = result.shape[axis]  # of all samples where they share a grouped convolution
        weight = whole_weight(weight, self.scene.weights)
        self._weights.append(weight)  # its id stays its own as long as it lives
        self._outputs.setdefault(result.untyped_storage().data_ptr(), []).append(held)

        def record(gradient: Tensor) -> None:
            value = held["value"]
            if value._version != version and "kept" not in held:
                raise Failure("a layer's output was overwritten in place by an operation that cannot be observed")
            found = read(place, axis, value * gradient)
            if found is None:
                return
            values = sum_positions(found.movedim(1, -1))
            layer = id(weight), call.by_rows, values.shape[1]
            known = self.layers.get(layer)
            total = values if known is None else known.values + values
            self.layers[layer] = ChannelSaliency(total, weight.numel() / made)

        undo = self.when_known(result, record)
        return lambda: (undo(), self._outputs.pop(result.untyped_storage().data_ptr(), None))

    def result(self) -> Any:
        if self._unseen - {weight for weight, *_ in self.layers}:
            raise Failure(_UNSEEN)
        if not self.layers:
            raise Failure(NO_LAYER)
        return list(self.layers.values())
