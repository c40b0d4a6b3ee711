"""Shape pass: one sample on the meta device, where only shapes are computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakTensorKeyDictionary

from zerocost.base.errors import Failure
from zerocost.engine.calls import as_call
from zerocost.engine.functions import CHANNEL_AXIS, Function, is_in_place
from zerocost.engine.inputs import take_samples
from zerocost.engine.modes import ShapeMode
from zerocost.engine.network import COMPILED, Network
from zerocost.engine.on_meta import on_meta
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import LayerSize, Signal
from zerocost.engine.watch.base import NO_LAYER

_aten = torch.ops.aten
_UNKNOWN_TO_TORCH: dict[Any, Callable[..., int]] = {  # FLOPs by the arguments' shapes
    _aten._grouped_mm: lambda rows, matrices, *_, **__: 2 * prod(rows) * matrices[-1],
    _aten.mv: lambda matrix, *_, **__: 2 * prod(matrix),
    _aten.addmv: lambda _, matrix, *__, **___: 2 * prod(matrix),
    _aten.dot: lambda one, *_, **__: 2 * prod(one),
    _aten.addbmm: lambda _, one, other, *__, **___: 2 * prod(one) * other[-1],
    _aten._trilinear: lambda one, weight, other, *_, **__: 2 * one[0] * (prod(weight) + weight[0] * other[-1]),
    _aten.mkldnn_rnn_layer: lambda x, one, other, *_, **__: 2 * x[0] * x[1] * (prod(one) + prod(other)),
    _aten._cudnn_rnn: lambda x, weights, *_, **__: 2 * x[0] * x[1] * sum(prod(w) for w in weights if len(w) == 2),
}


def _shape(batch: PassInput) -> dict[str, Any]:
    """Multiply-adds and layers of one forward pass on the first sample, in eval mode."""
    sample = take_samples(batch.inputs, 0, 1)
    return on_meta(batch.network, sample, partial(_measure_shapes, batch.network, batch.seed))


def _measure_shapes(network: Network, seed: int, tensors: dict[str, Tensor], sample: Any) -> dict[str, Any]:
    """Half the FLOPs torch's counter sees, as it counts a multiply-add as two; and the layers in between."""
    counter = FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_TORCH)
    layers = _LayerMode(frozenset(id(tensors[name]) for name in network.weight_names))
    with network.fresh(seed, training=False), torch.no_grad(), counter, layers:
        outputs = network.run(tensors, sample)
    return {
        "multiply_adds": int(counter.get_total_flops()) // 2,
        "weight_depth": Failure(COMPILED) if network.compiled else layers.depth(outputs),
        "layer_sizes": Failure(COMPILED) if network.compiled else layers.sizes or Failure(NO_LAYER),
    }


class _LayerMode(ShapeMode):
    """Follows how many weight layers lie behind each tensor, and how large their outputs are."""

    def __init__(self, weights: frozenset[int]) -> None:
        super().__init__()
        self._weights = weights
        self.sizes: list[LayerSize] = []
        self._depths: Any = WeakTensorKeyDictionary()

    def depth(self, value: Any) -> int:
        """The weight layers on the longest path to a tensor, or to any in a nest of them."""
        return max((self._depths.get(t, 0) for t in tree_leaves(value) if isinstance(t, Tensor)), default=0)

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        behind = self.depth((args, kwargs))
        result = super().call(function, name, args, kwargs)
        call = as_call(function, name, args, kwargs, self._weights)
        if call.name in CHANNEL_AXIS:
            behind += 1
            channels = result.shape[call.channel_axis]
            if result.numel():  # not so for an expert that no token of the sample goes to
                self.sizes.append(LayerSize(result.numel() // channels, channels))
        if behind:
            written = args[:1] if result is None or is_in_place(function, kwargs) else ()
            bases = [t._base for t in written if isinstance(t, Tensor) and t._base is not None]
            for tensor in tree_leaves((result, written, bases)):
                if isinstance(tensor, Tensor):
                    self._depths[tensor] = max(behind, self._depths.get(tensor, 0))
        return result


add_pass(
    Pass(
        name="shape",
        run=_shape,
        order=0,
        description="one sample on the meta device: no arithmetic is done",
        settings=frozenset(),
        by_sample=True,
    ),
    Signal("multiply_adds", "products of one forward pass on one sample: int"),
    Signal("layer_sizes", "for each convolution and linear layer, positions and channels of its output: ints"),
    Signal("weight_depth", "convolutions and linear layers on the longest path from input to output: int"),
)
