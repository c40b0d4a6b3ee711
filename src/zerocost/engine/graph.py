"""Gradients through an autograd graph, and the custom functions in it that would falsify them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zerocost.base.errors import Failure

_ONCE = once_differentiable(lambda _: None).__code__


def gradients(of: Tensor, to: Sequence[Tensor], **options: Any) -> tuple[Tensor, ...]:
    """Gradient of a scalar to each tensor, zeros where there is none, sparse ones made dense.

    Raises `Failure` when parts of the network are checkpointed in a way that hides them from the graph.
    """
    if "CheckpointFunction" in (function.__name__ for function in custom_functions(of)):
        raise Failure(
            "the network uses activation checkpointing that hides gradients; call checkpoint(…, use_reentrant=False)"
        )
    found = torch.autograd.grad(of, to, allow_unused=True, materialize_grads=True, **options)
    return as_dense(found)


def as_dense(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The tensors, those dense that are sparse, as gradients of an embedding may be."""
    return tuple(t.to_dense() if t.is_sparse else t for t in tensors)


def differentiable_once(value: Tensor) -> str | None:
    """Name of a custom function behind `value` whose backward is marked `once_differentiable`; None without one.

    Torch does not raise when a second derivative meets one but leaves its share out.

    >>> differentiable_once(torch.ones(1, requires_grad=True).exp()) is None
    True
    """
    backward = ((function.__name__, getattr(function, "backward", None)) for function in custom_functions(value))
    return next((name for name, run in backward if getattr(run, "__code__", None) is _ONCE), None)


def custom_functions(value: Tensor) -> set[type]:
    """The `torch.autograd.Function` classes in the graph of `value`."""
    found: set[type] = set()
    seen: set[Any] = {None}
    queue: list[Any] = [value.grad_fn]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        queue += [parent for parent, _ in node.next_functions]
        if hasattr(node, "_forward_cls"):
            found.add(node._forward_cls)
    return found
