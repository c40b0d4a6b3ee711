"""A call of a torch function as watchers are shown it, whichever way it is spelled."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.engine.calls.functions import (
    BY_HAND,
    CHANNEL_AXIS,
    Function,
    einsum_operands,
    function_name,
    is_rectifier,
)
from zerocost.engine.calls.used_weights import heads_weight, summed_product, used_weight

Undo = Callable[[], object]
"""Makes a watcher forget what it noted of a call that turned out to be a part of an activation only."""


class Call(NamedTuple):
    """One call of a torch function by the network.

    Attributes:
        function: the function.
        name: its name, without the marks of its variant.
        args: its arguments.
        kwargs: those given by name.
        channels: of a product with a weight matrix, the axis of the channels in what it returns, where that is not the
            last one.
        by_rows: of a product with a weight matrix, whether each channel is that of a row, not of a column.
        heads: of a product with a weight of heads × width × size, the other axis of its channels, as those of heads.
    """

    function: Function
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    channels: int = -1
    by_rows: bool = True
    heads: tuple[int, ...] = ()

    @property
    def input(self) -> Any:
        """The first argument."""
        return self.args[0] if self.args else self.kwargs.get("input")

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def is_activation(self) -> bool:
        """Whether it is an activation with its hinge at zero."""
        return is_rectifier(self.name, self.args, self.kwargs)

    @property
    def channel_axis(self) -> int:
        """Of a convolution or linear layer, where the channels are in what it returns."""
        return self.channels if self.name == "linear" else CHANNEL_AXIS[self.name]


def as_call(
    function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], weights: Container[int] = ()
) -> Call:
    """A call by what it computes.

    A product with one of the `weights` (their ids), and `addmm` that adds one row, a bias, are linear layers;
    `x[mask] = number` is `masked_fill`, and an activation where smaller numbers take the place of all negative ones;
    `max` along an axis is `amax`, an einsum of elements is a product, a property such as `Tensor.T` has its name, and
    `batch_norm` has its arguments in the order of torch.nn.functional.

    >>> inputs, weight = torch.zeros(5, 2), torch.zeros(3, 2)
    >>> as_call(torch.matmul, "matmul", (inputs, weight.T), {}, {id(weight)}).name
    'linear'
    """
    rule = _RULES.get(name)
    found = rule(function, args, kwargs, weights) if rule is not None else None
    return found or Call(function, name, args, kwargs)


def _as_batch_norm(function: Function, args: Any, kwargs: Any, _: Container[int]) -> Call | None:
    if function is F.batch_norm or len(args) < 5:
        return None
    return Call(function, "batch_norm", (args[0], *args[3:5], *args[1:3], *args[5:]), kwargs)


def _as_property(function: Function, args: Any, kwargs: Any, _: Container[int]) -> Call:
    return Call(function, function.__self__.__name__, args, kwargs)  # type: ignore[attr-defined]


def _as_masked_fill(_: Function, args: Any, __: Any, ___: Container[int]) -> Call | None:
    """`x[mask] = value`, or the same by the indices of what the mask picks."""
    target, index, value = args[:3]
    mask = _mask(target, index)
    if mask is None:
        return None
    by_value = mask is not index or (isinstance(value, Tensor) and value.ndim)
    if by_value:
        return Call(Tensor.__setitem__, BY_HAND, (target,), {}) if _shrinks_negatives(target, mask, value) else None
    return Call(Tensor.masked_fill_, "masked_fill", (target, mask, value), {})


def _mask(target: Tensor, index: Any) -> Tensor | None:
    """What of a tensor an index picks; None for one that is neither a mask nor the place of each number by itself."""
    if isinstance(index, tuple | list) and len(index) == 1:
        index = index[0] if isinstance(index[0], Tensor) and index[0].dtype == torch.bool else index
    if isinstance(index, Tensor):
        return index if index.dtype == torch.bool and index.shape == target.shape else None
    alone = isinstance(index, tuple | list) and len(index) == target.ndim and not target.is_meta
    if not alone or not all(isinstance(i, Tensor) and i.dtype == torch.int64 and i.ndim == 1 for i in index):
        return None
    mask = torch.zeros(target.shape, dtype=torch.bool, device=target.device)
    mask[tuple(index)] = True
    return mask


def _as_masked_scatter(function: Function, args: Any, _: Any, __: Container[int]) -> Call | None:
    if len(args) < 3:
        return None
    target, mask, source = args[:3]
    if mask.shape != target.shape or mask.is_meta:
        return None
    found = _shrinks_negatives(target, mask, source.flatten()[: int(mask.sum())])
    return Call(function, BY_HAND, (target,), {}) if found else None


def _shrinks_negatives(target: Tensor, mask: Tensor, value: Any) -> bool:
    """Whether values nearer to zero are put in the place of all negative ones of a tensor."""
    if target.is_meta or not target.numel() or not torch.equal(mask | (target == 0), target <= 0):
        return False
    given = target.detach()[mask]
    value = value.detach().to(given) if isinstance(value, Tensor) else given.new_tensor(value)
    if value.ndim and value.shape != given.shape:
        return False
    return bool(((given <= value) & (value <= 0)).all()) and not torch.equal(value.expand_as(given), given)


def _as_bounded(function: Function, args: Any, kwargs: Any, _: Container[int]) -> Call | None:
    """A clamp at a tensor of zeros as one at the number."""
    bounds = (*args[1:], *kwargs.values())
    if not any(isinstance(bound, Tensor) for bound in bounds):
        return None

    def number(bound: Any) -> Any:
        zero = isinstance(bound, Tensor) and not bound.is_meta and bound.is_floating_point() and not bool(bound.any())
        return 0.0 if zero else bound

    given = (*args[:1], *map(number, args[1:]))
    return Call(function, function_name(function), given, {key: number(value) for key, value in kwargs.items()})


def _as_largest(_: Function, args: Any, kwargs: Any, __: Container[int]) -> Call | None:
    along = isinstance(args[1], int) if len(args) > 1 else "dim" in kwargs
    return Call(torch.amax, "amax", args, kwargs) if along else None


def _as_layer(one: int, other: int) -> Callable[..., Call | None]:
    """The rule for a matrix product of two arguments at these places."""

    def rule(function: Function, args: Any, _: Any, weights: Container[int]) -> Call | None:
        if len(args) <= max(one, other):
            return None
        weight = used_weight(args[other], weights)
        if weight is not None:
            return Call(function, "linear", (args[one], weight), {}, by_rows=_is_transposed(args[other], weight))
        weight = used_weight(args[one], weights)
        if weight is None:
            return None
        channels = -1 if args[other].ndim == 1 else -2
        return Call(
            function, "linear", (args[other], weight), {}, channels, by_rows=not _is_transposed(args[one], weight)
        )

    return rule


def _is_transposed(used: Tensor, weight: Tensor) -> bool:
    """Whether a matrix that is a view of a weight has its rows as columns."""
    strided = used.layout is weight.layout is torch.strided
    return strided and used.stride()[-2:] == weight.stride()[:-3:-1]


def _as_biased_layer(function: Function, args: Any, kwargs: Any, weights: Container[int]) -> Call | None:
    """`addmm`, `baddbmm` or `addmv`."""
    call = Call(function, function_name(function), args, kwargs)
    bias, one, other = args[:3] if len(args) > 2 else (call.input, call.argument(1, "mat1"), call.argument(2, "mat2"))
    if one is None or other is None or kwargs.get("beta", 1) != 1:
        return None
    weight = used_weight(one, weights)
    if weight is not None and other.ndim == 1:
        return Call(function, "linear", (other, weight, bias), {})
    if weight is not None and bias.ndim >= 2 and bias.shape[-1] == 1:
        return Call(function, "linear", (other, weight, bias), {}, -2)
    weight = used_weight(other, weights)
    row = bias.ndim == 1 or (weight is not None and 1 in (bias.shape[-2], 1 + bias.stride(-2)))
    row = row and (weight is not None or other.ndim == 2)
    return Call(function, "linear", (one, other if weight is None else weight, bias), {}) if row else None


def _as_bilinear(function: Function, args: Any, _: Any, weights: Container[int]) -> Call | None:
    weight = args[2] if len(args) > 2 and id(args[2]) in weights else None
    return None if weight is None else Call(function, "linear", (args[0], weight, *args[3:]), {})


def _as_summed(function: Function, args: Any, kwargs: Any, _: Container[int]) -> Call | None:
    call = Call(function, "sum", args, kwargs)
    given = summed_product(call.input, call.argument(1, "dim"))
    return None if given is None or call.argument(2, "keepdim") else Call(function, "linear", given, {})


def _as_linear(function: Function, args: Any, kwargs: Any, weights: Container[int]) -> Call | None:
    if len(args) < 2 or id(args[1]) in weights:
        return None
    weight = used_weight(args[1], weights)
    if weight is None:
        weight = used_weight(args[0], weights) if len(args) == 2 else None
        return None if weight is None else Call(function, "linear", (args[1], weight), {}, -2)
    by_rows = args[1].shape == weight.shape and not _is_transposed(args[1], weight)
    return Call(function, "linear", (args[0], weight, *args[2:]), kwargs, by_rows=by_rows)


def _as_tensordot(function: Function, args: Any, kwargs: Any, weights: Container[int]) -> Call | None:
    call = Call(function, "tensordot", args, kwargs)
    dims = call.argument(2, "dims", 2)
    joined = dims if isinstance(dims, int) else len(dims[0]) if isinstance(dims[0], list | tuple) else 1
    found = _as_layer(0, 1)(function, args, kwargs, weights) if joined == 1 else None
    if found is not None and found.argument(1, "weight").ndim == 2:
        return found if found.input is args[0] else found._replace(channels=0)
    for place in (1, 0):
        weight = heads_weight(args[place], weights)
        if weight is not None and joined in (1, 2):
            last = -1 if place else 2 - joined
            return Call(function, "linear", (args[1 - place], weight), {}, last, heads=(last - 1,) * (2 - joined))
    return None


def _as_einsum(function: Function, args: Any, kwargs: Any, weights: Container[int]) -> Call | None:
    operands = einsum_operands(args[1:])
    if not args or not isinstance(args[0], str) or len(operands) != 2:
        return None
    given, arrow, output = args[0].replace(" ", "").partition("->")
    if not arrow:
        output = "..." * ("..." in given) + "".join(sorted(c for c in {*given} - {*".,"} if given.count(c) == 1))
    terms = given.split(",")
    letters_out = output.replace("...", "")
    if terms[0] == terms[1] == output and len({*letters_out}) == len(letters_out):
        return Call(torch.mul, "mul", tuple(operands), {})
    for place in (1, 0):
        value, letters, others = operands[place], {*terms[place]}, {*terms[1 - place]}
        apart = letters & others & {*output}  # a matrix for each
        weight = used_weight(value, weights) if apart or len(letters) == 2 else heads_weight(value, weights)
        made = letters - others
        if weight is None or len(apart) > 1 or not made or made == letters - apart or not made < {*output}:
            continue
        *heads, channels = sorted(output.index(letter) - len(output) for letter in made)
        if "." not in output[min(channels, *heads, -1) :]:
            return Call(function, "linear", (operands[1 - place], weight), {}, channels, heads=tuple(heads))
    return None


_RULES: dict[str, Callable[..., Call | None]] = {
    "batch_norm": _as_batch_norm,
    "get": _as_property,
    **dict.fromkeys(("setitem", "index_put"), _as_masked_fill),
    "masked_scatter": _as_masked_scatter,
    **dict.fromkeys(("clamp", "clip", "clamp_min"), _as_bounded),
    "max": _as_largest,
    **dict.fromkeys(("matmul", "linalg_matmul", "mm", "sparse_mm", "bmm", "mv", "inner"), _as_layer(0, 1)),
    "rmatmul": _as_layer(1, 0),
    "linear": _as_linear,
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _as_biased_layer),
    "bilinear": _as_bilinear,
    "sum": _as_summed,
    "tensordot": _as_tensordot,
    "einsum": _as_einsum,
}
