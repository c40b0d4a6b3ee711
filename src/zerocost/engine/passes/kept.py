"""Kept pass: two samples forward on the meta device in train mode, to see what autograd keeps of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map

from zerocost.engine.inputs import sample_test, take_samples
from zerocost.engine.meta.operators import QuickOperators
from zerocost.engine.model.network import Network
from zerocost.engine.model.on_meta import on_meta
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal
from zerocost.engine.tape.operations import Size, size_of, storage_key


def _kept(batch: PassInput) -> dict[str, Any]:
    """What is kept of one sample: half of that of two, as batch normalisation cannot be trained on one."""
    pair = _twice(take_samples(batch.inputs, 0, 1))
    return {"kept_size": on_meta(batch.network, pair, partial(_kept_of_one, batch.network, batch.seed))}


def _twice(sample: Any) -> Any:
    """A batch of the same sample two times."""
    sampled = sample_test(sample)
    return tree_map(lambda value: torch.cat([value] * 2) if sampled(value) else value, sample)


def _kept_of_one(network: Network, seed: int, tensors: dict[str, Tensor], pair: Any) -> Size:
    """What autograd keeps for the backward pass beside the network's own tensors, frozen ones trained too, halved."""
    for name in network.floating:
        tensors[name].requires_grad_()
    kept: dict[StorageWeakRef, Size] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[storage_key(tensor)] = size_of(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with network.fresh(seed, training=True), torch.enable_grad(), hooks, QuickOperators():
        network.run(tensors, pair)
    for tensor in tensors.values():
        kept.pop(storage_key(tensor), None)
    return Size(sum(size.floats for size in kept.values()) // 2, sum(size.other for size in kept.values()) // 2)


add_pass(
    Pass(
        name="kept",
        run=_kept,
        order=3,
        description="one sample, twice, in train mode on the meta device",
        settings=frozenset(),
        by_sample=True,
        shapes_only=True,
    ),
    Signal("kept_size", "memory of what autograd keeps of one sample for the backward pass: Size"),
)
