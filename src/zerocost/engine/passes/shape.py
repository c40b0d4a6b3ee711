"""Shape pass: one sample on the meta device, where only shapes are computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

from zerocost.engine.inputs import copied, cut
from zerocost.engine.network import Network
from zerocost.engine.observe import Skeleton
from zerocost.errors import Failure


def shape(network: Network, inputs: Any, seed: int) -> dict[str, Any]:
    """Multiply-adds: the products of one forward pass on the first sample, in eval mode.

    A network that cannot run on the meta device, because its forward looks at values, runs on that sample for real.
    """
    sample = cut(inputs, 0, 1)
    try:
        on_meta = {name: torch.empty_like(t, device="meta") for name, t in network.tensors.items()}
        found = count(network, on_meta, tree_map(to_meta, sample), seed)
    except Failure:
        found = count(network, network.copies(), copied(sample), seed)
    return {"multiply_adds": found}


def count(network: Network, tensors: dict[str, Tensor], sample: Any, seed: int) -> int:
    """Half the FLOPs torch's counter sees: it counts a multiply-add as two."""
    with network.fresh(seed, training=False), torch.no_grad(), FlopCounterMode(display=False) as counter, Skeleton():
        network.run(tensors, sample)
    return int(counter.get_total_flops()) // 2


def to_meta(value: Any) -> Any:
    """A tensor's shape and dtype on the meta device; anything else as it is."""
    return value.to("meta") if isinstance(value, Tensor) else value
