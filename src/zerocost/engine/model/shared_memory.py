"""A model's tensors, those once that it has in several places: the same, or in the same memory with their axes in
another order, as a transposed weight."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from torch import Tensor, nn


def unique_tensors(modules: Mapping[str, nn.Module], kind: str) -> dict[str, Tensor]:
    """Parameters or buffers of all modules by name, shared ones once."""
    found: dict[int, tuple[str, Tensor]] = {}
    for prefix, module in modules.items():
        for name, tensor in getattr(module, kind).items():
            if tensor is not None:
                found.setdefault(id(tensor), (f"{prefix}.{name}" if prefix else name, tensor))
    return dict(found.values())


def without_transposes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by name, without those that are an earlier one with its axes in another order.

    >>> weight = torch.zeros(2, 3)
    >>> list(without_transposes({"encoder": weight, "decoder": nn.Parameter(weight.T), "bias": weight[0]}))
    ['encoder', 'bias']
    """
    first: dict[Hashable, Tensor] = {}
    found = {}
    for name, tensor in tensors.items():
        other = first.setdefault(memory(tensor), tensor)
        if other is tensor or order_of_axes(tensor, other) is None:
            found[name] = tensor
    return found


def memory(tensor: Tensor) -> Hashable:
    """Where a tensor begins, equal for two that begin at the same number."""
    if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout is not torch.strided:
        return id(tensor)
    return tensor.data_ptr() or (tensor.untyped_storage()._cdata, tensor.storage_offset())


def order_of_axes(view: Tensor, whole: Tensor) -> tuple[int, ...] | None:
    """The order of the axes of `whole` in which it is `view`, which begins at the same number; None without one.

    >>> weight = torch.zeros(2, 3)
    >>> order_of_axes(weight.T, weight), order_of_axes(weight[0], weight)
    ((1, 0), None)
    """
    axes = list(zip(whole.shape, whole.stride(), strict=True))
    order: list[int] = []
    for axis in zip(view.shape, view.stride(), strict=True):
        place = next((i for i, own in enumerate(axes) if own == axis and i not in order), None)
        if place is None:
            return None
        order.append(place)
    return tuple(order) if len(order) == len(axes) and view.dtype == whole.dtype else None
