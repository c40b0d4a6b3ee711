"""Gradients through an autograd graph, and the custom functions in it that would falsify them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from zerocost.base.errors import Failure

_REARRANGES = {
    *("ViewBackward", "UnsafeViewBackward", "ReshapeAliasBackward", "SqueezeBackward", "UnsqueezeBackward"),
    *("TransposeBackward", "PermuteBackward", "TBackward", "CloneBackward", "AliasBackward", "ToCopyBackward"),
}
"""Nodes of functions after which the elements are the same, in another form."""
_ONCE = once_differentiable(lambda _: None).__code__


def gradients(of: Tensor, to: Sequence[Tensor], **options: Any) -> tuple[Tensor, ...]:
    """Gradient of a scalar to each tensor, zeros where there is none, sparse ones made dense."""
    check_whole(of)
    found = torch.autograd.grad(of, to, allow_unused=True, materialize_grads=True, **options)
    return as_dense(found)


def check_whole(of: Tensor) -> None:
    """`Failure` when parts of the network are checkpointed in a way that hides them from the graph."""
    if "CheckpointFunction" in (function.__name__ for function in custom_functions(of)):
        raise Failure(
            "the network uses activation checkpointing that hides gradients; call checkpoint(…, use_reentrant=False)"
        )


def check_sum(outputs: Tensor) -> None:
    """`Failure` for the outputs of a softmax, whose sum is constant, so that its gradients are but rounding.

    >>> check_sum(torch.ones(1, 2, requires_grad=True).log_softmax(1))
    """
    node = outputs.grad_fn
    while node is not None and node.name().rstrip("0123456789") in _REARRANGES:
        node = node.next_functions[0][0]
    if node is not None and node.name() == "SoftmaxBackward0":
        raise Failure(
            "the network ends in a softmax, whose outputs sum to 1 whatever the weights, so that their sum has no "
            "gradient; leave the softmax out, as losses expect logits"
        )


def as_dense(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The tensors, those dense that are sparse, as gradients of an embedding may be."""
    return tuple(t.to_dense() if t.is_sparse else t for t in tensors)


def differentiable_once(value: Tensor) -> str | None:
    """Name of a custom function behind `value` whose backward has no derivative of its own; None without one.

    That is one marked `once_differentiable`, or one that detaches what it is given or has saved. Torch does not raise
    when a second derivative meets one but leaves its share out.

    >>> differentiable_once(torch.ones(1, requires_grad=True).exp()) is None
    True
    """
    for function, node in custom_functions(value).items():
        if getattr(function.backward, "__code__", None) is _ONCE:
            return function.__name__
        if not function.__module__.startswith("zerocost.") and _detaches(node):
            return function.__name__
    return None


class _Moved:
    """The context of a custom function's backward, with other tensors in place of those that it saved."""

    def __init__(self, node: Any, saved: Sequence[Tensor]) -> None:
        self._node, self.saved_tensors = node, tuple(saved)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


def _detaches(node: Any) -> bool:
    """Whether the backward of a custom function depends on a gradient that it is given, or on a tensor that it saved,
    in a way that autograd does not see; one that cannot be run by itself is taken for what it seems."""
    try:
        return _depends_unseen(node)
    except Exception:  # noqa: BLE001  whatever the network's own code raises
        return False


def _depends_unseen(node: Any) -> bool:
    """`_detaches` of a backward that can be run."""
    backward, saved = node._forward_cls.backward, node.saved_tensors
    given = [
        torch.linspace(0.5, 1.5, prod(m.shape), dtype=m.dtype, device=m.device).reshape(m.shape).requires_grad_()
        for m in node._input_metadata
    ]
    sources = [s for s in saved if s is not None and s.requires_grad]
    with torch.enable_grad():
        found = _floating(backward(node, *given))
        seen = [f for f in found if f.requires_grad]
        slopes: Sequence[Tensor | None] = torch.autograd.grad(
            seen, [*given, *sources], [f.detach() for f in seen], allow_unused=True
        )
    if any(bool(f.any()) for f in found) and all(slope is None for slope in slopes[: len(given)]):
        return True
    for source, slope in zip(sources, slopes[len(given) :], strict=True):
        if slope is None:
            moved = [s if s is not source else s + 1e-3 * s.abs().mean() for s in saved]
            with torch.no_grad():
                pairs = zip(found, _floating(backward(_Moved(node, moved), *given)), strict=True)
                changed = [(one - other).abs() > 1e-6 * one.abs().max() for one, other in pairs]
            if any(float(c.float().mean()) > 0.1 for c in changed):  # a step, as of ReLU, changes at few places only
                return True
    return False


def _floating(returned: Any) -> list[Tensor]:
    """The gradients among what a backward returned."""
    listed = returned if isinstance(returned, tuple) else (returned,)
    return [value for value in listed if isinstance(value, Tensor) and value.is_floating_point()]


def custom_functions(value: Tensor) -> dict[type[torch.autograd.Function], Any]:
    """The `torch.autograd.Function` classes in the graph of `value`, each with one of its nodes."""
    found: dict[type[torch.autograd.Function], Any] = {}
    seen: set[Any] = {None}
    queue: list[Any] = [value.grad_fn]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        queue += [parent for parent, _ in node.next_functions]
        if hasattr(node, "_forward_cls"):
            found.setdefault(node._forward_cls, node)
    return found
