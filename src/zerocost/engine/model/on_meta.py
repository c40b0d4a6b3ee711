"""A network on the meta device, where tensors have shapes and nothing is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure
from zerocost.engine.inputs import clone_tensors
from zerocost.engine.model.network import Network

_Found = TypeVar("_Found")


def on_meta(network: Network, sample: Any, run: Callable[[dict[str, Tensor], Any], _Found]) -> _Found:
    """What `run` gives for the network's tensors and a sample on the meta device.

    A network that cannot run there, because its forward looks at values, runs for real, on copies. Raises the `Failure`
    of `run` when that does not go either.
    """
    try:
        tensors = {name: torch.empty_like(t, device="meta") for name, t in network.tensors.items()}
        return run(tensors, tree_map(_as_meta, sample))
    except Failure:
        return run(network.copies(), clone_tensors(sample))


def _as_meta(value: Any) -> Any:
    """A tensor's shape and dtype on the meta device; anything else as it is."""
    return value.to("meta") if isinstance(value, Tensor) else value
