"""What a function of one number is, by its values on a few numbers: an activation, a gate or something else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.engine.calls.functions import BY_HAND, CASTS, GATE, Function, is_in_place

Line = tuple[Function, str, tuple[Any, ...], tuple[tuple[str, Any], ...]]
"""A call in a formula: function, name, arguments, keyword arguments."""


class At(NamedTuple):
    """The result of an earlier line of a formula; 0 is the variable."""

    place: int


@dataclass(frozen=True)
class Filled:
    """A tensor of one number, wherever it is looked at."""

    number: Any


@cache
def _grid() -> Tensor:
    """Numbers on which functions are compared, symmetric about zero."""
    right = [1e-4, 0.01, 0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 50, 100]
    return torch.tensor([*(-x for x in reversed(right)), 0.0, *right], dtype=torch.float64, device="cpu")


@cache
def _library() -> dict[str, Tensor]:
    """Activations of torch on the grid."""
    x = _grid()
    functions = (F.relu, F.relu6, F.silu, F.mish, F.softplus, F.hardswish, F.elu, F.selu, F.gelu)
    return {f.__name__: f(x) for f in functions} | {"gelu_tanh": F.gelu(x, approximate="tanh")}


@lru_cache(1000)
def classify(formula: tuple[Line, ...]) -> str:
    """What a formula is: an activation of torch by name, `BY_HAND` for another, `GATE` or, if none of them, ""."""
    y = None
    with suppress(Exception), torch.no_grad():  # what cannot be computed of plain numbers is not an activation
        y = _evaluate(formula)
    if not isinstance(y, Tensor) or y.shape != _grid().shape or not y.is_floating_point():
        return ""
    if not bool(y.isfinite().all()):
        return ""
    y = y.double()
    equal = (name for name, known in _library().items() if torch.allclose(y, known, rtol=1e-5, atol=1e-5))
    return next(equal, BY_HAND if _has_hinge(y) else GATE if _is_gate(y) else "")


def _evaluate(formula: tuple[Line, ...]) -> Tensor:
    values = [_grid()]

    def value(argument: Any) -> Any:
        if isinstance(argument, At):
            return values[argument.place]
        if isinstance(argument, tuple):
            return tuple(map(value, argument))
        if isinstance(argument, Filled):
            number = argument.number
            kind = torch.bool if isinstance(number, bool) else torch.float64
            return torch.full(_grid().shape, number, dtype=kind, device="cpu")
        return argument

    for function, name, args, kwargs in formula:
        given, named = [value(a) for a in args], {key: value(v) for key, v in kwargs}
        if name in CASTS:
            values.append(given[0].double())
            continue
        if given and isinstance(given[0], Tensor) and is_in_place(function, named):
            given[0] = given[0].clone()
        values.append(function(*given, **named))
    return values[-1]


def _has_hinge(y: Tensor) -> bool:
    """Whether values on the grid are those of a function with its hinge at zero.

    It is constant on the left, continuous, and grows on the right, at most as a cube; or it is nearly linear on both
    sides, steeper on the right, and the two lines meet near zero.
    """
    x, middle = _grid(), len(y) // 2
    left, right = y[: middle + 1], y[middle:]
    close = 1e-6 * float(y.abs().max())
    growth = float(y[-1] - y[middle]) / (float(y[-2] - y[middle]) or 1.0)
    if bool((left - y[middle]).abs().max() <= 1e-9) and bool((right.diff() >= -close).all()):
        return float(y[-1] - y[middle]) > 0 and abs(float(y[middle + 1] - y[middle])) < 1e-2 and growth < 8.5
    slopes = [float((y[i] - y[i - 1]) / (x[i] - x[i - 1])) for i in (1, -2, -1)]
    before, nearly, after = slopes
    if after <= 0 or abs(nearly - after) > 1e-3 * after or abs(before) > 0.95 * after:
        return False
    meet = (float(y[0] - before * x[0]) - float(y[-1] - after * x[-1])) / (after - before)
    return -2 <= meet <= 0.01


def _is_gate(y: Tensor) -> bool:
    """Whether values on the grid are those of a bounded function that is symmetric about its value at zero."""
    low, high, close = float(y[0]), float(y[-1]), 1e-6 * float(y.abs().max())
    bounded = abs(float(y[1]) - low) <= close and abs(float(y[-2]) - high) <= close
    return bounded and abs(high - low) > close and bool(((y + y.flip(0)) - (low + high)).abs().max() <= close)
