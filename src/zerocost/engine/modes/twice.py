"""Second derivatives of functions whose backward torch cannot differentiate.

Values and first derivatives stay torch's own, to the last bit; only the second derivative is that of an equal function
in elementary steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from zerocost.engine.calls.functions import ATTENTION, RECURRENT, Function, function_name, is_in_place


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return F.relu6(input + 3) / 6


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    distances: Tensor = torch.linalg.vector_norm(x1[..., :, None, :] - x2[..., None, :, :], ord=p, dim=-1)
    return distances


def _pdist(input: Tensor, p: float = 2.0) -> Tensor:
    first, second = torch.triu_indices(len(input), len(input), 1, device=input.device)
    distances: Tensor = torch.linalg.vector_norm(input[first] - input[second], ord=p, dim=-1)
    return distances


def _embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    if input.ndim == 2:
        offsets = torch.arange(0, input.numel(), input.shape[1], device=input.device)
    assert offsets is not None
    starts = offsets[:-1] if include_last_offset and input.ndim == 1 else offsets
    words, bags = input.flatten(), len(starts)
    bag = torch.searchsorted(starts, torch.arange(len(words), device=words.device), right=True) - 1
    if padding_idx is not None:
        there = words != padding_idx % len(weight)
        words, bag = words[there], bag[there]
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.flatten()[there]
    rows = F.embedding(words, weight)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.flatten()[:, None]
    empty = rows.new_zeros(bags, rows.shape[1])
    if mode == "max":
        return empty.scatter_reduce(0, bag[:, None].expand_as(rows), rows, "amax", include_self=False)
    total = empty.index_add(0, bag, rows)
    counts = torch.bincount(bag, minlength=bags).clamp(min=1)
    return total / counts[:, None] if mode == "mean" else total


def _multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    rows, labels = input.reshape(-1, input.shape[-1]), target.reshape(-1)
    short = (margin - rows.gather(1, labels[:, None]) + rows).clamp(min=0) ** p
    short = short if weight is None else short * weight[labels, None]
    loss = short.scatter(1, labels[:, None], 0.0).sum(1) / rows.shape[1]
    reduced: dict[str, Tensor] = {"mean": loss.mean(), "sum": loss.sum(), "none": loss.reshape(target.shape)}
    return reduced[reduction]


_IN_STEPS: dict[str, Callable[..., Tensor]] = {
    "hardsigmoid": _hardsigmoid,
    "cdist": _cdist,
    "pdist": _pdist,
    "embedding_bag": _embedding_bag,
    "multi_margin_loss": _multi_margin_loss,
}


class TwiceMode(TorchFunctionMode):
    """Lets everything a network calls be differentiated twice, where an equal function that can be is known."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return call_twice(function, function_name(function), args, kwargs or {})


def call_twice(function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function returns, such that it can be differentiated twice where an equal function that can be is known.

    >>> x = torch.zeros(1, requires_grad=True)
    >>> y = call_twice(F.hardsigmoid, "hardsigmoid", (x,), {})
    >>> y, torch.equal(y, F.hardsigmoid(x))
    (tensor([0.5000], grad_fn=<_TwiceBackward>), True)
    """
    if name == ATTENTION:
        with sdpa_kernel(SDPBackend.MATH):
            return function(*args, **kwargs)
    if name in RECURRENT:
        with torch.backends.cudnn.flags(enabled=False):
            return function(*args, **kwargs)
    if name not in _IN_STEPS or not torch.is_grad_enabled():
        return function(*args, **kwargs)
    if is_in_place(function, kwargs):
        return args[0].copy_(_apply(F.hardsigmoid, _hardsigmoid, (args[0].clone(),), {}))
    return _apply(function, _IN_STEPS[name], args, kwargs)


def _apply(function: Function, in_steps: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of a function, with the second derivative of another one."""
    leaves, structure = tree_flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not places or any(torch._C._functorch.is_batchedtensor(leaves[i]) for i in places):
        return function(*args, **kwargs)

    def filled(of: Function, tensors: Sequence[Tensor]) -> Any:
        values = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        given, named = tree_unflatten(values, structure)
        return of(*given, **named)

    return _Twice.apply(  # type: ignore[no-untyped-call]
        lambda *tensors: filled(function, tensors),
        lambda *tensors: filled(in_steps, tensors),
        *(leaves[i] for i in places),
    )


class _Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Function, in_steps: Function, *tensors: Tensor) -> Any:
        ctx.functions = function, in_steps
        ctx.save_for_backward(*tensors)
        return function(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        tensors, (gradient,) = ctx.saved_tensors, gradients
        function, in_steps = ctx.functions
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in tensors]
            found = torch.autograd.grad(function(*leaves), leaves, gradient.detach(), materialize_grads=True)
        if torch.is_grad_enabled():
            second = torch.autograd.grad(
                in_steps(*tensors), tensors, gradient, create_graph=True, allow_unused=True, materialize_grads=True
            )
            found = tuple((other - other.detach()) + one for one, other in zip(found, second, strict=True))
        return None, None, *found
