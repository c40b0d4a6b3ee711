"""Activation kernels of convolutions and linear layers, on the signs of their outputs."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import CHANNEL_AXIS
from zerocost.engine.calls.used_weights import whole_weight
from zerocost.engine.failures import NO_LAYER
from zerocost.engine.rows import sign_agreement
from zerocost.engine.signals import LayerKernel
from zerocost.engine.watch.base import Scene, Watcher, check_visible


class LayerKernels(Watcher):
    """For each convolution and linear layer, the pairs of samples by how many of its outputs agree in sign."""

    signal = "layer_kernels"
    sees_activations = False
    meaning = "for each convolution and linear layer the activation kernel of its outputs: N×N, float64"

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.layers: dict[int, Layer] = {}

    def after(self, call: Call, result: Tensor) -> Undo | None:
        if call.name not in CHANNEL_AXIS:
            return None
        check_visible(result)
        signs = self.scene.rows(result, result > 0)
        if signs is None:
            return None
        weight, kernel = whole_weight(call.argument(1, "weight"), self.scene.weights), sign_agreement(signs.flatten(1))
        known = self.layers.get(id(weight))
        self.layers[id(weight)] = Layer(weight, kernel if known is None else known.kernel + kernel)
        return partial(self.forget, id(weight), known)

    def forget(self, key: int, before: Layer | None) -> None:
        """Go back to what was known of a weight before."""
        if before is None:
            del self.layers[key]
        else:
            self.layers[key] = before

    def result(self) -> Any:
        if not self.layers:
            raise Failure(NO_LAYER)
        return [LayerKernel(self.scene.weights.get(key), layer.kernel) for key, layer in self.layers.items()]


class Layer(NamedTuple):
    """A weight, kept so that its id stays its own, and the kernel of what it computes."""

    weight: Tensor
    kernel: Tensor
