"""Shape pass: one sample on the meta device, where only shapes are computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.module_tracker import ModuleTracker

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import Function
from zerocost.engine.failures import COMPILED
from zerocost.engine.follow.layer_counts import LayerCounts
from zerocost.engine.inputs import take_samples
from zerocost.engine.meta.shapes import quick_result, recurrent_result
from zerocost.engine.model.network import Network
from zerocost.engine.model.on_meta import on_meta
from zerocost.engine.modes.call_mode import ShapeMode
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal

_aten = torch.ops.aten
_UNKNOWN_TO_TORCH: dict[Any, Callable[..., int]] = {  # FLOPs by the arguments' shapes
    _aten._grouped_mm: lambda rows, matrices, *_, **__: 2 * prod(rows) * matrices[-1],
    _aten.mv: lambda matrix, *_, **__: 2 * prod(matrix),
    _aten.addmv: lambda _, matrix, *__, **___: 2 * prod(matrix),
    _aten.dot: lambda one, *_, **__: 2 * prod(one),
    _aten.addbmm: lambda _, one, other, *__, **___: 2 * prod(one) * other[-1],
    _aten._sparse_addmm: lambda _, one, other, *__, **___: 2 * prod(one) * other[-1],
    _aten._trilinear: lambda one, weight, other, *_, **__: 2 * one[0] * (prod(weight) + weight[0] * other[-1]),
    _aten.mkldnn_rnn_layer: lambda x, one, other, *_, **__: 2 * x[0] * x[1] * (prod(one) + prod(other)),
    _aten._cudnn_rnn: lambda x, weights, *_, **__: 2 * x[0] * x[1] * sum(prod(w) for w in weights if len(w) == 2),
}


def _shape(batch: PassInput) -> dict[str, Any]:
    """Multiply-adds and layers of one forward pass on the first sample, in eval mode."""
    sample = take_samples(batch.inputs, 0, 1)
    return on_meta(batch.network, sample, partial(_measure_shapes, batch.network, batch.seed))


def _measure_shapes(network: Network, seed: int, tensors: dict[str, Tensor], sample: Any) -> dict[str, Any]:
    """Multiply-adds by our own rules; where a function has none, half of the FLOPs that torch's counter sees, as it
    counts a multiply-add as two. And the layers in between."""
    counts, found = (None, {}) if network.hides_calls else _run_counted(network, seed, tensors, sample, quick=True)
    if counts is None or not counts.certain:
        counter = FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_TORCH)
        counter.mod_tracker = _NoModules()
        with counter:
            counts, found = _run_counted(network, seed, tensors, sample, quick=False)
        found["multiply_adds"] = int(counter.get_total_flops()) // 2 + counts.summed
    hidden = dict.fromkeys(("weight_depth", "layer_sizes"), Failure(COMPILED))
    return found | hidden if network.compiled else found


def _run_counted(
    network: Network, seed: int, tensors: dict[str, Tensor], sample: Any, quick: bool
) -> tuple[LayerCounts, dict[str, Any]]:
    """What was counted while a sample ran, and the signals."""
    weights = frozenset(id(tensors[name]) for name in network.weight_names)
    counts = LayerCounts(weights, tensors, sample)
    with network.fresh(seed, training=False), _CountMode(counts, quick):
        found = counts.signals(network.run(tensors, sample))
    return counts, found


class _NoModules(ModuleTracker):
    """In place of what tells torch's counter which module runs, which fails where the network computes gradients."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _CountMode(ShapeMode):
    """Has the calls of a network counted; `quick` where nothing else looks at what runs."""

    def __init__(self, counts: LayerCounts, quick: bool) -> None:
        super().__init__()
        self.counts, self.quick = counts, quick

    def run(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(function, name, args, kwargs)
        found: Any = recurrent_result(call) or (quick_result(call) if self.quick else None)
        return super().run(function, name, args, kwargs) if found is None else found

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().call(function, name, args, kwargs)
        self.counts.note(function, name, args, kwargs, result)
        return result


add_pass(
    Pass(
        name="shape",
        run=_shape,
        order=0,
        description="one sample on the meta device: no arithmetic is done",
        settings=frozenset(),
        by_sample=True,
        shapes_only=True,
    ),
    Signal("multiply_adds", "products of one forward pass on one sample: int"),
    Signal("layer_sizes", "for each convolution and linear layer, positions and channels of its output: ints"),
    Signal("weight_depth", "convolutions and linear layers on the longest path from input to output: int"),
)
