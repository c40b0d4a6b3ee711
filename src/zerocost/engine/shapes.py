"""The results of frequent functions on the meta device, whose kernels there are slow: torch has them in Python, and
imports its compiler, which takes a second, for the first of some of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zerocost.engine.calls import Call
from zerocost.engine.functions import PRODUCTS, RECURRENT, SUMS
from zerocost.engine.recurrent import Recurrence

_DIMENSIONS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
_POOLINGS = {"adaptive_avg_pool1d": 1, "adaptive_avg_pool2d": 2, "adaptive_avg_pool3d": 3}
_PAIRS = SUMS | PRODUCTS


def recurrent_result(call: Call) -> tuple[Tensor, ...] | None:
    """What layers of an LSTM, a GRU or a plain recurrent network return on the meta device; None elsewhere, and for
    any other call.

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
    return x.new_empty(*x.shape[:-1], units), *map(torch.empty_like, states)


def quick_result(call: Call) -> Tensor | None:
    """What a convolution, a linear layer, an adaptive average, or a sum or product of equal shapes or with a number,
    returns on the meta device; None for any other call.

    >>> images, weight = torch.empty(1, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    >>> quick_result(Call(torch.conv2d, "conv2d", (images, weight, None, 2), {})).shape
    torch.Size([1, 4, 3, 3])
    """
    if call.name in _DIMENSIONS:
        return _convolved(call, _DIMENSIONS[call.name])
    if call.name in _POOLINGS:
        return _pooled(call, _POOLINGS[call.name])
    if call.name == "linear":
        return _mapped(call)
    return _paired(*call.args) if call.name in _PAIRS and len(call.args) == 2 and not call.kwargs else None


def _convolved(call: Call, dimensions: int) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    places = ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    settings = [per_axis for place in places if (per_axis := _as_tuple(call.argument(*place), dimensions))]
    groups = call.argument(6, "groups", 1)
    known = _alike(inputs, weight) and inputs.ndim == weight.ndim == dimensions + 2 and len(settings) == len(places)
    if not known or inputs.shape[1] != weight.shape[1] * groups:
        return None
    shape = [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, (stride, padding, dilation) in zip(
            inputs.shape[2:], weight.shape[2:], zip(*settings, strict=True), strict=True
        )
    ]
    return inputs.new_empty(inputs.shape[0], weight.shape[0], *shape) if min(shape) > 0 else None


def _pooled(call: Call, dimensions: int) -> Tensor | None:
    inputs: Tensor = call.argument(0, "input")
    sizes = _as_tuple(call.argument(1, "output_size"), dimensions)
    if sizes is None or None in sizes or not _alike(inputs, inputs) or inputs.ndim <= dimensions:
        return None
    return inputs.new_empty(*inputs.shape[:-dimensions], *sizes)


def _mapped(call: Call) -> Tensor | None:
    inputs, weight = call.argument(0, "input"), call.argument(1, "weight")
    known = _alike(inputs, weight) and inputs.ndim > 1 and weight.ndim == 2 and inputs.shape[-1] == weight.shape[1]
    return inputs.new_empty(*inputs.shape[:-1], weight.shape[0]) if known else None


def _paired(one: Any, other: Any) -> Tensor | None:
    by_number = type(other) in (int, float) and _alike(one, one)
    return torch.empty_like(one) if by_number or (_alike(one, other) and one.shape == other.shape) else None


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are plain floating-point tensors on the meta device, of one dtype."""
    plain = isinstance(one, Tensor) and isinstance(other, Tensor) and one.is_meta and other.is_meta
    return plain and one.is_floating_point() and one.dtype == other.dtype


def _as_tuple(value: Any, dimensions: int) -> tuple[int, ...] | None:
    """A setting for each dimension; None for one that is named, as padding can be."""
    if isinstance(value, int):
        return (value,) * dimensions
    return tuple(value) if isinstance(value, tuple | list) and len(value) == dimensions else None
