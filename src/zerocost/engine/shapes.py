"""The results of frequent functions on the meta device, whose kernels there are slow: torch has them in Python, and
imports its compiler, which takes a second, for the first of some of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from zerocost.engine.calls import Call
from zerocost.engine.functions import ATTENTION, PRODUCTS, RECURRENT, SUMS
from zerocost.engine.operators import empty, slid, spreads_to
from zerocost.engine.recurrent import Recurrence

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
    """What a convolution, a linear layer, attention, an activation, an average of a window or an adaptive one, or a
    sum or product of two tensors or with a number, returns on the meta device; None for any other call.

    >>> import torch
    >>> images, weight = torch.empty(1, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    >>> quick_result(Call(torch.conv2d, "conv2d", (images, weight, None, 2), {})).shape
    torch.Size([1, 4, 3, 3])
    """
    rule = _RULES.get(call.name)
    return None if rule is None else rule(call)


def _convolved(call: Call, dimensions: int) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    places = ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    stride, padding, dilation = (_as_tuple(call.argument(*place), dimensions) for place in places)
    known = _alike(inputs, weight) and inputs.ndim == weight.ndim == dimensions + 2
    if not known or stride is None or padding is None or dilation is None:
        return None
    if inputs.shape[1] != weight.shape[1] * call.argument(6, "groups", 1):
        return None
    sizes = slid(inputs.shape[2:], weight.shape[2:], stride, padding, dilation)
    return empty(inputs, len(inputs), len(weight), *sizes) if min(sizes) > 0 else None


def _averaged(call: Call, dimensions: int) -> Tensor | None:
    inputs, window = call.argument(0, "input"), call.argument(1, "kernel_size")
    given = window, call.argument(2, "stride") or window, call.argument(3, "padding", 0)
    kernel, stride, padding = (_as_tuple(value, dimensions) for value in given)
    known = _alike(inputs, inputs) and inputs.ndim == dimensions + 2
    if not known or kernel is None or stride is None or padding is None or 2 * max(padding) > min(kernel):
        return None
    sizes = slid(inputs.shape[2:], kernel, stride, padding, (1,) * dimensions, call.argument(4, "ceil_mode", False))
    return empty(inputs, *inputs.shape[:2], *sizes) if min(sizes) > 0 else None


def _activated(call: Call, inplace: int | None) -> Tensor | None:
    x: Tensor = call.argument(0, "input")
    if not _alike(x, x) or not x.is_contiguous() or "out" in call.kwargs:
        return None
    return x if inplace is not None and call.argument(inplace, "inplace", False) else empty(x, *x.shape)


def _attended(call: Call) -> Tensor | None:
    query, key, value, mask = (call.argument(place, name) for place, name in enumerate(_OF_ATTENTION))
    known = _alike(query, key) and _alike(query, value) and query.ndim > 2
    if not known or (*query.shape[:-2], query.shape[-1]) != (*key.shape[:-2], key.shape[-1]):
        return None
    fits = key.shape[:-1] == value.shape[:-1] and (
        mask is None or spreads_to(mask.shape, (*query.shape[:-1], key.shape[-2]))
    )
    return empty(query, *query.shape[:-1], value.shape[-1]) if fits else None


def _pooled(call: Call, dimensions: int) -> Tensor | None:
    inputs: Tensor = call.argument(0, "input")
    sizes = _as_tuple(call.argument(1, "output_size"), dimensions)
    if sizes is None or None in sizes or not _alike(inputs, inputs) or inputs.ndim <= dimensions:
        return None
    return empty(inputs, *inputs.shape[:-dimensions], *sizes)


def _mapped(call: Call) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    known = _alike(inputs, weight) and inputs.ndim > 1 and weight.ndim == 2 and inputs.shape[-1] == weight.shape[1]
    return empty(inputs, *inputs.shape[:-1], weight.shape[0]) if known else None


def _paired(call: Call) -> Tensor | None:
    if len(call.args) != 2 or call.kwargs:
        return None
    one, other = call.args
    if type(other) not in (int, float):
        if not _alike(one, other) or not other.is_contiguous():
            return None
        one, other = (one, other) if spreads_to(other.shape, one.shape) else (other, one)
        if not spreads_to(other.shape, one.shape):
            return None
    return empty(one, *one.shape) if _alike(one, one) and one.is_contiguous() else None


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are plain floating-point tensors on the meta device, of one dtype."""
    plain = isinstance(one, Tensor) and isinstance(other, Tensor) and one.is_meta and other.is_meta
    return plain and one.is_floating_point() and one.dtype == other.dtype


def _as_tuple(value: Any, dimensions: int) -> tuple[int, ...] | None:
    """A setting for each dimension; None for one that is named, as padding can be."""
    if isinstance(value, int):
        return (value,) * dimensions
    return tuple(value) if isinstance(value, tuple | list) and len(value) == dimensions else None


_INPLACE = {"tanh": None, "sigmoid": None, "relu6": 1, "hardsigmoid": 1, "hardswish": 1, "silu": 1, "hardtanh": 3}
"""Activations, and where they are told to change their input."""
_RULES: dict[str, Callable[[Call], Tensor | None]] = {
    **{f"conv{n}d": partial(_convolved, dimensions=n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": partial(_averaged, dimensions=n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": partial(_pooled, dimensions=n) for n in (1, 2, 3)},
    **{name: partial(_activated, inplace=place) for name, place in _INPLACE.items()},
    **dict.fromkeys(SUMS | PRODUCTS, _paired),
    "linear": _mapped,
    ATTENTION: _attended,
}
