"""The results of frequent operators on the meta device, whose own kernels there are slow: torch has them in Python.

For runs in which operators are seen, not functions, whose results `shapes` gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten


def without_compiler(mode: type[TorchDispatchMode]) -> type[TorchDispatchMode]:
    """A mode as it was written: torch has it import its compiler, which takes a second, and call through that."""
    mode.__torch_dispatch__ = inspect.unwrap(mode.__torch_dispatch__)  # type: ignore[method-assign]
    return mode


@without_compiler
class QuickOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives the results of operators on the meta device, such as torch would.

    >>> x = torch.empty(1, 3, device="meta")
    >>> with QuickOperators():
    ...     (x.relu() + x).shape
    torch.Size([1, 3])
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, operator: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        results = quick_results(operator, args, kwargs)
        return operator(*args, **kwargs) if results is None else results


def quick_results(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operator returns for plain tensors on the meta device; None where torch has to say."""
    rule = _RULES.get(operator)
    known = rule is not None and _LEAVE_SHAPES.issuperset(kwargs) and _is_plain(args[0])
    return rule(*args) if rule is not None and known else None


def _is_plain(value: Any) -> bool:
    """Whether a value is floating-point numbers on the meta device, one row after the other."""
    if not isinstance(value, Tensor) or not value.is_meta or value.dtype not in (torch.float32, torch.float64):
        return False
    step = 1
    for size, stride in zip(reversed(value.shape), reversed(value.stride()), strict=True):
        if stride != step or not size:
            return False
        step *= size
    return True


def empty(like: Tensor, *shape: int) -> Tensor:
    """A tensor of another shape of the same kind, several times as fast as `new_empty` on the meta device.

    >>> empty(torch.zeros(2, device="meta"), 3).shape
    torch.Size([3])
    """
    return torch.empty(shape, dtype=like.dtype, device=like.device)


def _like(x: Tensor, *_: Any) -> Tensor:
    return empty(x, *x.shape)


def _itself(x: Tensor, *_: Any) -> Tensor:
    return x


def spreads_to(shape: Sequence[int], larger: Sequence[int]) -> bool:
    """Whether a tensor can be added to one of another shape without making that larger.

    >>> spreads_to((3, 1), (2, 3, 4)), spreads_to((2, 3, 4), (3, 1))
    (True, False)
    """
    along = zip(reversed(shape), reversed(larger), strict=False)
    return len(shape) <= len(larger) and all(size in (1, whole) for size, whole in along)


def _fits(one: Tensor, other: Any) -> bool:
    """Whether an operation of a tensor with another operand has the shape and the kind of the tensor."""
    if type(other) in (int, float):
        return True
    return _is_plain(other) and other.dtype == one.dtype and spreads_to(other.shape, one.shape)


def _pair(one: Tensor, other: Any) -> Tensor | None:
    if _fits(one, other):
        return _like(one)
    return _like(other) if isinstance(other, Tensor) and _is_plain(other) and _fits(other, one) else None


def _pair_in_place(one: Tensor, other: Any) -> Tensor | None:
    return one if _fits(one, other) else None


def slid(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil: bool = False,
) -> list[int]:
    """The sizes of what a window that slides over an input returns; not all above 0 where it does not fit. With `ceil`
    it may go over the edge.

    >>> slid([8, 7], kernel=[3, 2], stride=[1, 2], padding=[1, 0], dilation=[1, 1])
    [8, 3]
    """
    found = []
    for size, window, step, pad, apart in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if min(window, step, apart) < 1 or pad < 0:
            return [0]
        room = size + 2 * pad - apart * (window - 1) - 1
        steps = (room + (step - 1 if ceil else 0)) // step
        found.append(steps if ceil and steps * step >= size + pad else steps + 1)  # none begins in the padding
    return found


def _convolution(x: Tensor, weight: Tensor, _bias: Tensor | None, *settings: Any) -> Tensor | None:
    stride, padding, dilation, transposed, _, groups = settings
    fits = not transposed and x.ndim == weight.ndim and _is_plain(weight) and x.shape[1] == weight.shape[1] * groups
    if not fits or x.dtype != weight.dtype or {len(stride), len(padding), len(dilation)} != {x.ndim - 2}:
        return None
    sizes = slid(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return empty(x, len(x), len(weight), *sizes) if min(sizes) > 0 else None


def _average(
    x: Tensor, kernel: list[int], stride: list[int], padding: Sequence[int] = (0, 0), ceil: bool = False, *_: Any
) -> Tensor | None:
    if x.ndim != 4 or not len(kernel) == len(stride) == len(padding) == 2:
        return None
    sizes = slid(x.shape[2:], kernel, stride, padding, [1, 1], ceil)
    return empty(x, *x.shape[:2], *sizes) if min(sizes) > 0 else None


def _addmm(bias: Tensor, rows: Tensor, matrix: Tensor) -> Tensor | None:
    known = bias.dtype == rows.dtype == matrix.dtype and rows.is_meta and matrix.is_meta and len(rows)
    fits = known and bias.shape == matrix.shape[1:] and rows.shape[1:] == matrix.shape[:1]
    return empty(bias, len(rows), *bias.shape) if fits else None


def _mean(x: Tensor, axes: list[int] | None = None, keepdim: bool = False) -> Tensor:
    along = {axis % max(x.ndim, 1) for axis in axes or range(x.ndim)}
    left = [1 if axis in along else size for axis, size in enumerate(x.shape) if keepdim or axis not in along]
    return empty(x, *left)


def _batch_norm(x: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(x), empty(x, x.shape[1]), empty(x, x.shape[1])


def _layer_norm(x: Tensor, shape: list[int], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    statistics = *x.shape[: -len(shape)], *[1] * len(shape)
    return _like(x), empty(x, *statistics), empty(x, *statistics)


def _group_norm(x: Tensor, *settings: Any) -> tuple[Tensor, Tensor, Tensor]:
    _, _, samples, _, _, groups, _ = settings
    return _like(x), empty(x, samples, groups), empty(x, samples, groups)


_UNARY = {
    *("relu", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu"),
    *("exp", "sqrt", "rsqrt"),
}
_BINARY = ("add", "sub", "mul", "div")
_RULES: dict[Any, Callable[..., Any]] = {
    **{getattr(_aten, name).default: _like for name in _UNARY},
    **{getattr(_aten, f"{name}_").default: _itself for name in _UNARY},
    _aten.pow.Tensor_Scalar: _pair,
    **{getattr(_aten, name).Tensor: _pair for name in _BINARY},
    **{getattr(_aten, f"{name}_").Tensor: _pair_in_place for name in _BINARY},
    _aten.convolution.default: _convolution,
    _aten.avg_pool2d.default: _average,
    _aten.addmm.default: _addmm,
    _aten.mean.dim: _mean,
    _aten.native_batch_norm.default: _batch_norm,
    _aten.native_layer_norm.default: _layer_norm,
    _aten.native_group_norm.default: _group_norm,
}
_LEAVE_SHAPES = {"alpha", "approximate"}
"""Arguments by name that do not change what the results look like."""
