"""What functions of numbers return on the meta device: those of each element, sums and products, reductions, and what
joins tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.einsum import EinsumOfTwo
from zerocost.engine.calls.functions import DIFFERENCES, PRODUCTS, SUMS, einsum_operands, is_in_place
from zerocost.engine.meta.operators import empty, spreads_to
from zerocost.engine.meta.spread_shapes import spread


def by_element(call: Call, inplace: int | None = None) -> Tensor | None:
    """What has the shape of the one tensor that is given; `inplace` is the place of the setting of that name."""
    x, *others = (*call.args, *call.kwargs.values())
    changed = any(isinstance(value, Tensor | torch.dtype | complex) for value in others)
    if changed or not is_plain(x) or not x.is_contiguous():
        return None
    written = is_in_place(call.function, call.kwargs) or (inplace is not None and call.argument(inplace, "inplace"))
    found: Tensor = x if written else empty(x, *x.shape)
    return found


def _paired(call: Call) -> Tensor | None:
    if len(call.args) != 2 or call.kwargs:
        return None
    one, other = call.args
    tensors = [value for value in call.args if type(value) not in (int, float)]
    like = next(filter(is_plain, tensors), None)
    if like is None or not all(_becomes(value, like, call.name) for value in tensors):
        return None
    if is_in_place(call.function, call.kwargs):
        fits = like is one and one.is_contiguous() and (len(tensors) == 1 or spreads_to(other.shape, one.shape))
        return one if fits else None
    return spread(like, *tensors)


def _becomes(value: Any, like: Tensor, name: str) -> bool:
    """Whether a value is a tensor on the meta device that a function of two makes one of the dtype of another."""
    if not isinstance(value, Tensor) or not value.is_meta or value.is_complex():
        return False
    return value.dtype == like.dtype if value.is_floating_point() else name in PRODUCTS


def _compared(call: Call) -> Tensor | None:
    found = None if is_in_place(call.function, call.kwargs) else _paired(call)
    if found is None:
        return None
    return torch.empty_strided(found.shape, found.stride(), dtype=torch.bool, device="meta")


def _chosen(call: Call) -> Tensor | None:
    mask, *values = call.args if len(call.args) == 3 and not call.kwargs else (None,)
    tensors = [value for value in values if type(value) not in (int, float)]
    if not isinstance(mask, Tensor) or not mask.is_meta or mask.dtype != torch.bool or not _are_alike(tensors):
        return None
    whole = max((mask.shape, *(tensor.shape for tensor in tensors)), key=prod)
    fits = mask.is_contiguous() and all(spreads_to(one.shape, whole) for one in (mask, *tensors))
    return empty(tensors[0], *whole) if fits else None


def _multiplied(call: Call, axes: int | None = None) -> Tensor | None:
    """A product of matrices; `axes` is how many both have, where none but those of rows and columns may differ."""
    if len(call.args) != 2 or call.kwargs:
        return None
    one, other = call.args
    known = alike(one, other) and one.ndim >= other.ndim > 1 and one.shape[-1] == other.shape[-2]
    fits = known and spreads_to(other.shape[:-2], one.shape[:-2])
    if fits and axes is not None:
        fits = one.ndim == axes and one.shape[:-2] == other.shape[:-2]
    return empty(one, *one.shape[:-1], other.shape[-1]) if fits else None


def _summed(call: Call) -> Tensor | None:
    given, tensors = EinsumOfTwo.of(call), einsum_operands(call.args[1:])
    if given is None or not given.in_order or call.kwargs or not alike(*tensors):
        return None
    return empty(tensors[0], *map(given.sizes.__getitem__, given.output))


def _reduced(call: Call, dim: int = 1, keep: int = 2) -> Tensor | None:
    """What a function of the numbers along some axes returns; with the places of the settings `dim` and `keepdim`."""
    x, axes, keepdim = call.argument(0, "input"), call.argument(dim, "dim"), call.argument(keep, "keepdim", False)
    named = {"input", "p", "dim", "keepdim", "unbiased", "correction"}.issuperset(call.kwargs.keys() - {"dtype"})
    if not named or call.kwargs.get("dtype") is not None or len(call.args) > keep + 1 or not is_plain(x) or not x.ndim:
        return None
    along = set() if axes is None else _as_axes(axes, x.ndim)
    if along is None or (not along and call.name == "logsumexp"):
        return None
    along = along or {*range(x.ndim)}
    left = [1 if axis in along else size for axis, size in enumerate(x.shape) if keepdim or axis not in along]
    return empty(x, *left)


def _along_axes(call: Call, dim: int = 1, name: str = "dim", default: Any = None) -> Tensor | None:
    """What has the shape of the one tensor that is given, of which a function sees some axes."""
    x = call.argument(0, "input")
    known = is_plain(x) and _as_axes(call.argument(dim, name, default), x.ndim) is not None
    return by_element(call) if known else None


def _as_axes(given: Any, dimensions: int) -> set[int] | None:
    """Axes, counted from the first; None for what are no axes of so many dimensions, each given once."""
    axes = (given,) if type(given) is int else given
    if not isinstance(axes, tuple | list) or not all(type(axis) is int for axis in axes):
        return None
    along = {axis % dimensions for axis in axes if -dimensions <= axis < dimensions}
    return along if len(along) == len(axes) else None


def _joined(call: Call) -> Tensor | None:
    tensors, axis = call.argument(0, "tensors"), call.argument(1, "dim", 0)
    known = _are_alike(tensors, in_order=False) and type(axis) is int and call.kwargs.keys() <= {"tensors", "dim"}
    if not known or not any(_lies_in_order(one) for one in tensors):
        return None
    first = tensors[0]
    if not -first.ndim <= axis < first.ndim:
        return None
    axis %= first.ndim
    if len({(one.ndim, *one.shape[:axis], *one.shape[axis + 1 :]) for one in tensors}) > 1:
        return None
    return empty(first, *first.shape[:axis], sum(one.shape[axis] for one in tensors), *first.shape[axis + 1 :])


def _lies_in_order(x: Tensor) -> bool:
    """Whether torch joins a tensor with others one row after the other, as channels cannot be what lies closest."""
    return x.is_contiguous() or x.ndim < 4 or (x.stride(-1) == 1 and x.shape[-1] > 1 < x.shape[1])


def _stacked(call: Call) -> Tensor | None:
    tensors, axis = call.argument(0, "tensors"), call.argument(1, "dim", 0)
    if not _are_alike(tensors) or type(axis) is not int or not call.kwargs.keys() <= {"tensors", "dim"}:
        return None
    sizes = list(tensors[0].shape)
    if not -len(sizes) - 1 <= axis <= len(sizes) or len({tensor.shape for tensor in tensors}) > 1:
        return None
    sizes.insert(axis % (len(sizes) + 1), len(tensors))
    return empty(tensors[0], *sizes)


def _are_alike(tensors: Any, in_order: bool = True) -> bool:
    """Whether values are plain tensors of one dtype, one at least, and, if asked, each one row after the other."""
    known = isinstance(tensors, tuple | list) and len(tensors) > 0 and all(alike(tensors[0], one) for one in tensors)
    return known and (not in_order or all(one.is_contiguous() for one in tensors))


def is_plain(value: Any) -> bool:
    """Whether a value is a floating-point tensor on the meta device."""
    return isinstance(value, Tensor) and value.is_meta and value.is_floating_point()


def alike(one: Any, other: Any) -> bool:
    """Whether two values are plain tensors of one dtype."""
    return is_plain(one) and is_plain(other) and one.dtype == other.dtype


_OF_EACH_ELEMENT = {
    *("abs", "absolute", "neg", "negative", "reciprocal", "sign", "square", "sqrt", "rsqrt", "exp", "exp2", "expm1"),
    *("log", "log1p", "log2", "erf", "sin", "cos", "atan", "sinh", "cosh", "floor", "ceil", "round", "logit"),
    *("pow", "rpow", "rdiv", "rtruediv", "clamp", "clip", "clamp_min", "clamp_max"),
    *("softsign", "logsigmoid", "log_sigmoid", "tanhshrink"),
}
ARITHMETIC: dict[str, Callable[[Call], Tensor | None]] = {
    **dict.fromkeys(_OF_EACH_ELEMENT, by_element),
    **dict.fromkeys(("softmax", "log_softmax", "softmin", "cumsum"), _along_axes),
    "flip": partial(_along_axes, name="dims"),
    "roll": partial(_along_axes, dim=2, name="dims", default=()),
    "normalize": partial(_along_axes, dim=2, default=1),
    **dict.fromkeys(SUMS | DIFFERENCES | PRODUCTS | {"maximum", "minimum"}, _paired),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), _compared),
    "matmul": _multiplied,
    "mm": partial(_multiplied, axes=2),
    "bmm": partial(_multiplied, axes=3),
    **dict.fromkeys(("sum", "mean", "amax", "amin", "logsumexp"), _reduced),
    **dict.fromkeys(("var", "std"), partial(_reduced, keep=3)),
    **dict.fromkeys(("cat", "concat", "concatenate"), _joined),
    "norm": partial(_reduced, dim=2, keep=3),
    "einsum": _summed,
    "stack": _stacked,
    "where": _chosen,
}
"""What a call returns, by its name; None where torch has to say."""
