"""The results of frequent functions on the meta device, whose kernels there are slow: torch has them in Python, and
imports its compiler, which takes a second, for the first of some of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import ATTENTION, RECURRENT
from zerocost.engine.calls.recurrent import Recurrence
from zerocost.engine.meta.arithmetic_shapes import ARITHMETIC, alike, by_element, is_plain
from zerocost.engine.meta.moved_shapes import MOVED
from zerocost.engine.meta.operators import empty, slid, spreads_to

_OF_ATTENTION = ("query", "key", "value", "attn_mask")


def recurrent_result(call: Call) -> tuple[Tensor, ...] | None:
    """What layers of an LSTM, a GRU or a plain recurrent network return on the meta device; None elsewhere, and for
    any other call.

    >>> import torch
    >>> layer, x = torch.nn.LSTM(3, 4, 2, device="meta"), torch.empty(5, 2, 3, device="meta")
    >>> states = torch.empty(2, 2, 4, device="meta")
    >>> given = x, (states, states), layer._flat_weights, True, 2, 0.0, False, False, False
    >>> [tuple(tensor.shape) for tensor in recurrent_result(Call(torch.lstm, "lstm", given, {}))]
    [(5, 2, 4), (2, 2, 4), (2, 2, 4)]
    """
    if call.name not in RECURRENT:
        return None
    given = Recurrence.of(call.args, call.kwargs)
    x, states = given.input, given.states
    if not x.is_meta:
        return None
    units = states[0].shape[-1] * (1 + given.bidirectional)
    return x.new_empty(*x.shape[:-1], units), *(empty(one, *one.shape) for one in states)


def quick_result(call: Call) -> Tensor | None:
    """What a frequent function returns on the meta device: a convolution, a linear layer or attention, pooling and
    resizing, functions of each element, sums, products and comparisons of two tensors or with a number, products of
    matrices, reductions along axes, and what joins tensors or moves elements; None for any other call, and inside
    torch.vmap.

    >>> import torch
    >>> images, weight = torch.empty(1, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    >>> quick_result(Call(torch.conv2d, "conv2d", (images, weight, None, 2), {})).shape
    torch.Size([1, 4, 3, 3])
    """
    rule = None if torch._C._functorch.maybe_current_level() is not None else _RULES.get(call.name)
    return None if rule is None else rule(call)


def result_on_meta(call: Call) -> Any:
    """What a call returns on the meta device, by these rules or else by torch.

    >>> import torch
    >>> result_on_meta(Call(torch.kron, "kron", (torch.empty(2, device="meta"),) * 2, {})).shape
    torch.Size([4])
    """
    found = quick_result(call)
    return call.function(*call.args, **call.kwargs) if found is None else found


def _convolved(call: Call, dimensions: int) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    places = ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    stride, padding, dilation = (_as_tuple(call.argument(*place), dimensions) for place in places)
    known = alike(inputs, weight) and inputs.ndim == weight.ndim == dimensions + 2
    if not known or stride is None or padding is None or dilation is None:
        return None
    if inputs.shape[1] != weight.shape[1] * call.argument(6, "groups", 1):
        return None
    sizes = slid(inputs.shape[2:], weight.shape[2:], stride, padding, dilation)
    return empty(inputs, len(inputs), len(weight), *sizes) if min(sizes) > 0 else None


def _transposed(call: Call, dimensions: int) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    places = ((3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0), (7, "dilation", 1))
    stride, padding, further, dilation = (_as_tuple(call.argument(*place), dimensions) for place in places)
    known = alike(inputs, weight) and inputs.ndim == weight.ndim == dimensions + 2
    if not known or stride is None or padding is None or further is None or dilation is None:
        return None
    if inputs.shape[1] != weight.shape[0] or any(map(operator.ge, further, map(max, stride, dilation))):
        return None
    along = zip(inputs.shape[2:], weight.shape[2:], stride, padding, further, dilation, strict=True)
    sizes = [(size - 1) * step - 2 * pad + apart * (k - 1) + more + 1 for size, k, step, pad, more, apart in along]
    channels = weight.shape[1] * call.argument(6, "groups", 1)
    return empty(inputs, len(inputs), channels, *sizes) if min(sizes) > 0 else None


def _averaged(call: Call, dimensions: int) -> Tensor | None:
    found = _windowed(call, dimensions, 1, call.argument(4, "ceil_mode", False))
    if found is not None and dimensions == 3:  # which no padding makes large enough for the window
        sizes, kernel = call.argument(0, "input").shape[2:], _as_tuple(call.argument(1, "kernel_size"), dimensions)
        return None if kernel is None or any(map(operator.lt, sizes, kernel)) else found
    return found


def _largest(call: Call, dimensions: int) -> Tensor | None:
    if call.argument(6, "return_indices"):
        return None
    return _windowed(call, dimensions, call.argument(4, "dilation", 1), call.argument(5, "ceil_mode", False))


def _windowed(call: Call, dimensions: int, dilation: Any, ceil: bool) -> Tensor | None:
    """What a function of a window that slides over each channel returns."""
    inputs, window = call.argument(0, "input"), call.argument(1, "kernel_size")
    given = window, call.argument(2, "stride") or window, call.argument(3, "padding", 0), dilation
    kernel, stride, padding, apart = (_as_tuple(value, dimensions) for value in given)
    known = is_plain(inputs) and inputs.ndim == dimensions + 2
    if not known or kernel is None or stride is None or padding is None or apart is None:
        return None
    if any(2 * pad > k for pad, k in zip(padding, kernel, strict=True)):
        return None
    sizes = slid(inputs.shape[2:], kernel, stride, padding, apart, ceil)
    return empty(inputs, *inputs.shape[:2], *sizes) if min(sizes) > 0 else None


def _resized(call: Call) -> Tensor | None:
    inputs, scale = call.argument(0, "input"), call.argument(2, "scale_factor")
    mode, aligned = call.argument(3, "mode", "nearest"), call.argument(4, "align_corners")
    dimensions = inputs.ndim - 2 if is_plain(inputs) else 0
    possible = aligned is None if mode == "nearest" else _RESIZED_DIMENSIONS.get(mode) == dimensions
    if dimensions < 1 or not possible or call.argument(6, "antialias"):
        return None
    sizes = _as_tuple(call.argument(1, "size"), dimensions)
    if scale is not None:
        scales = scale if isinstance(scale, tuple | list) else (scale,) * dimensions
        fits = call.argument(1, "size") is None and len(scales) == dimensions
        sizes = tuple(int(size * by) for size, by in zip(inputs.shape[2:], scales, strict=True)) if fits else None
    return empty(inputs, *inputs.shape[:2], *sizes) if sizes and min(sizes) > 0 else None


def _attended(call: Call) -> Tensor | None:
    query, key, value, mask = (call.argument(place, name) for place, name in enumerate(_OF_ATTENTION))
    known = alike(query, key) and alike(query, value) and query.ndim > 2
    if not known or (*query.shape[:-2], query.shape[-1]) != (*key.shape[:-2], key.shape[-1]):
        return None
    fits = key.shape[:-1] == value.shape[:-1]
    if mask is not None:
        possible = not call.argument(5, "is_causal") and mask.dtype in (torch.bool, query.dtype)
        fits = fits and possible and spreads_to(mask.shape, (*query.shape[:-1], key.shape[-2]))
    return empty(query, *query.shape[:-1], value.shape[-1]) if fits else None


def _pooled(call: Call, dimensions: int, indices: bool) -> Tensor | None:
    """What is pooled to a size; `indices` where their places are returned too, unless `return_indices` says no."""
    inputs: Tensor = call.argument(0, "input")
    sizes = _as_tuple(call.argument(1, "output_size"), dimensions)
    known = sizes is not None and None not in sizes and is_plain(inputs)
    if sizes is None or not known or call.argument(2, "return_indices", indices):
        return None
    if not dimensions < inputs.ndim <= dimensions + 2:
        return None
    return empty(inputs, *inputs.shape[:-dimensions], *sizes)


def _mapped(call: Call) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    bias = call.argument(2, "bias")
    known = alike(inputs, weight) and inputs.ndim > 1 and weight.ndim == 2 and inputs.shape[-1] == weight.shape[1]
    fits = known and (bias is None or (alike(bias, weight) and bias.shape == weight.shape[:1]))
    return empty(inputs, *inputs.shape[:-1], weight.shape[0]) if fits else None


def _as_tuple(value: Any, dimensions: int) -> tuple[int, ...] | None:
    """A setting for each dimension; None for one that is named, as padding can be."""
    if isinstance(value, int):
        return (value,) * dimensions
    return tuple(value) if isinstance(value, tuple | list) and len(value) == dimensions else None


_INPLACE = {"tanh": None, "sigmoid": None, "relu6": 1, "hardsigmoid": 1, "hardswish": 1, "silu": 1, "hardtanh": 3}
"""Activations, and where they are told to change their input."""
_RESIZED_DIMENSIONS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
"""Of what is interpolated by these modes."""
_RULES: dict[str, Callable[[Call], Tensor | None]] = {
    **{f"conv{n}d": partial(_convolved, dimensions=n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": partial(_transposed, dimensions=n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": partial(_averaged, dimensions=n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": partial(_largest, dimensions=n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": partial(_pooled, dimensions=n, indices=False) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": partial(_pooled, dimensions=n, indices=True) for n in (1, 2, 3)},
    **{name: partial(by_element, inplace=place) for name, place in _INPLACE.items()},
    **ARITHMETIC,
    **MOVED,
    "interpolate": _resized,
    "linear": _mapped,
    ATTENTION: _attended,
}
"""What a call returns, by its name."""
