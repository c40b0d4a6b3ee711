"""Kept pass: two samples forward on the meta device in train mode, to see what autograd keeps of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.engine.inputs import clone_tensors, sample_test, take_samples
from zerocost.engine.network import Network
from zerocost.engine.passes.base import Pass, PassInput, add_pass
from zerocost.engine.signals import Signal
from zerocost.engine.tape import Size, as_meta, size_of, storage_key


def _kept(batch: PassInput) -> dict[str, Any]:
    """What is kept of one sample: half of that of two, as batch normalisation cannot be trained on one."""
    network, pair = batch.network, _twice(take_samples(batch.inputs, 0, 1))
    try:
        return {"kept_size": _kept_of_one(network, _trainable(network, "meta"), tree_map(as_meta, pair), batch.seed)}
    except Failure:
        return {"kept_size": _kept_of_one(network, _trainable(network), clone_tensors(pair), batch.seed)}


def _twice(sample: Any) -> Any:
    """A batch of the same sample two times."""
    sampled = sample_test(sample)
    return tree_map(lambda value: torch.cat([value] * 2) if sampled(value) else value, sample)


def _trainable(network: Network, device: str | None = None) -> dict[str, Tensor]:
    """Copies of the network's tensors, all parameters with gradients, frozen ones too; empty on another device."""
    made = {
        name: t.detach().clone() if device is None else torch.empty_like(t, device=device)
        for name, t in network.tensors.items()
    }
    for name in network.floating:
        made[name].requires_grad_()
    return made


def _kept_of_one(network: Network, tensors: dict[str, Tensor], pair: Any, seed: int) -> Size:
    """What autograd keeps for the backward pass beside the network's own tensors, halved."""
    kept: dict[StorageWeakRef, Size] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[storage_key(tensor)] = size_of(tensor)
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with network.fresh(seed, training=True), torch.enable_grad(), hooks:
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
    ),
    Signal("kept_size", "memory of what autograd keeps of one sample for the backward pass: Size"),
)
