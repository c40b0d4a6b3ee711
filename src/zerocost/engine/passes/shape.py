"""Shape pass: one sample on the meta device, where only shapes are computed."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from zerocost.engine.inputs import cloned, cut
from zerocost.engine.network import Network
from zerocost.engine.observe import Skeleton
from zerocost.errors import Failure

aten = torch.ops.aten
UNKNOWN_TO_TORCH: dict[Any, Callable[..., int]] = {  # FLOPs by the arguments' shapes
    aten.mv: lambda matrix, *_, **__: 2 * prod(matrix),
    aten.addmv: lambda _, matrix, *__, **___: 2 * prod(matrix),
    aten.dot: lambda one, *_, **__: 2 * prod(one),
    aten.addbmm: lambda _, one, other, *__, **___: 2 * prod(one) * other[-1],
    aten._trilinear: lambda one, weight, other, *_, **__: 2 * one[0] * (prod(weight) + weight[0] * other[-1]),
    aten.mkldnn_rnn_layer: lambda x, one, other, *_, **__: 2 * x[0] * x[1] * (prod(one) + prod(other)),
    aten._cudnn_rnn: lambda x, weights, *_, **__: 2 * x[0] * x[1] * sum(prod(w) for w in weights if len(w) == 2),
}


def shape(network: Network, inputs: Any, seed: int) -> dict[str, Any]:
    """Multiply-adds: the products of one forward pass on the first sample, in eval mode.

    A network that cannot run on the meta device, because its forward looks at values, runs on that sample for real.
    """
    sample = cut(inputs, 0, 1)
    try:
        on_meta = {name: torch.empty_like(t, device="meta") for name, t in network.tensors.items()}
        found = count(network, on_meta, tree_map(to_meta, sample), seed)
    except Failure:
        found = count(network, network.copies(), cloned(sample), seed)
    return {"multiply_adds": found}


def count(network: Network, tensors: dict[str, Tensor], sample: Any, seed: int) -> int:
    """Half the FLOPs torch's counter sees: it counts a multiply-add as two."""
    counter = FlopCounterMode(display=False, custom_mapping=UNKNOWN_TO_TORCH)
    with network.fresh(seed, training=False), torch.no_grad(), counter, Skeleton():
        network.run(tensors, sample)
    return int(counter.get_total_flops()) // 2


def to_meta(value: Any) -> Any:
    """A tensor's shape and dtype on the meta device; anything else as it is."""
    return value.to("meta") if isinstance(value, Tensor) else value
