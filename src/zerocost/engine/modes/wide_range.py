"""A flow mode whose tensors carry a power of two, so that no depth overflows float64 and none vanishes in it."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from zerocost.base.errors import Failure
from zerocost.engine.calls.functions import ATTENTION, CHANNEL_AXIS, POOLING, Function, is_in_place
from zerocost.engine.modes.call_mode import FlowMode

_LIMIT = 32
"""A tensor is scaled when its largest element leaves 2^−32 … 2^32."""
_PRODUCTS = {
    *("mul", "rmul", "multiply", "matmul", "rmatmul", "mm", "bmm", "mv", "dot", "outer", "einsum", "embedding"),
}
_SUMS = {
    *("add", "radd", "iadd", "sub", "rsub", "isub", "cat", "concat", "stack", "hstack", "vstack", "where"),
    *("maximum", "minimum", "copy", "setitem", "clamp_min", "masked_fill", "threshold"),
}
_NUMBERS_TOO = {"add", "radd", "iadd", "sub", "rsub", "isub", "clamp_min", "clamp", "clip", "masked_fill", "threshold"}
_PROPORTIONAL = POOLING | {
    *("get", "getitem", "view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "permute"),
    *("transpose", "squeeze", "unsqueeze", "expand", "expand_as", "narrow", "chunk", "split", "tensor_split"),
    *("unbind", "select", "contiguous", "clone", "to", "type", "double", "movedim", "swapaxes", "roll", "flip"),
    *("repeat", "tile", "repeat_interleave", "index_select", "gather", "unfold", "fold", "pixel_shuffle"),
    *("pixel_unshuffle", "channel_shuffle", "interpolate", "tril", "triu", "diagonal", "detach", "sum", "mean"),
    *("amax", "amin", "max", "min", "cumsum", "abs", "neg", "relu", "leaky_relu", "prelu", "rrelu", "norm"),
    *("std", "max_pool2d_with_indices", "t", "hand_on"),
}
_STRAIGHT_FAR_OFF = {"gelu", "silu", "mish", "elu", "celu", "selu", "hardswish", "softplus"}
_BOUNDED = {
    *("sigmoid", "hardsigmoid", "tanh", "softmax", "relu6", "hardtanh", "clamp_max", "erf", "atan"),
    *("softsign", "sign", "lt", "le", "gt", "ge", "eq", "ne", "argmax", "argmin", "isnan", "isinf"),
}


class WideRangeMode(FlowMode):
    """`FlowMode` in which a tensor t may stand for t·2^e.

    What multiplies adds the exponents, what adds aligns them, and what is proportional keeps them. An activation is
    straight or bounded as far off as an exponent is needed. Of any other function the plain value is taken, which may
    overflow.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.sees_steps = True
        self.exponents: MutableMapping[Tensor, int] = WeakTensorKeyDictionary()
        self.steps: MutableMapping[Tensor, tuple[str, Tensor | None]] = WeakTensorKeyDictionary()

    def exponent(self, value: Tensor) -> int:
        """e of a tensor t·2^e."""
        return self.exponents.get(value, 0)

    def in_range(self, value: Any) -> Any:
        """The same value with elements that can be computed with."""
        if not isinstance(value, Tensor) or not value.is_floating_point() or not value.numel():
            return value
        largest = float(value.detach().abs().max())
        size = math.frexp(largest)[1]
        if largest == 0 or not math.isfinite(largest) or abs(size) <= _LIMIT:
            return value
        size = max(size, -1000)
        return self.scaled(value * 2.0**-size, self.exponent(value) + size)

    def scaled(self, result: Any, exponent: int) -> Any:
        """What a function returned, with the exponent of its tensors."""
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                self.exponents[tensor] = exponent
        return result

    def aligned(self, value: Any, exponent: int, most: int = 2000) -> Any:
        """A tensor t·2^e as one of another exponent, moved by no more than 2^most."""
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return value
        shift = min(self.exponent(value) - exponent, most)
        for step in (shift // 2, shift - shift // 2) if shift else ():
            value = value * _power(step)
        return value

    def run(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that is not skipped; log(1 + exp(x)) in steps as softplus, because exp(x) has no bounds."""
        kinds = [self.steps.get(value, ("", None)) if isinstance(value, Tensor) else ("", None) for value in args[:2]]
        kind, source = max(kinds, default=("", None), key=lambda step: step[0])
        if (name, kind) in (("log1p", "exp"), ("log", "exp + 1")):
            return self.run(F.softplus, "softplus", (source,), {})
        result = self.run_step(function, name, args, kwargs)
        if name == "exp":
            self.steps[result] = "exp", args[0]
        elif kind == "exp" and name in ("add", "radd") and 1 in [v for v in args if _is_number(v)]:
            self.steps[result] = "exp + 1", source
        return result

    def run_step(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function by its rule."""
        if kwargs.get("inplace"):
            kwargs = {**kwargs, "inplace": False}
        written = args[0] if is_in_place(function, kwargs) else None
        args, kwargs = tree_map(lambda v: v if v is written else self.in_range(v), (args, kwargs))
        if not any(map(self.exponent, _floating((args, kwargs)))):
            return function(*args, **kwargs)
        rule = WideRangeMode.plain if written is None else WideRangeMode.in_place
        if written is None:
            rule = _RULES.get(name, rule)
        return rule(self, function, name, args, kwargs)

    def in_place(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The tensor that is written into keeps its exponent."""
        if name not in _PROPORTIONAL | _SUMS | {"mul", "imul"}:
            raise Failure(f"{name} writes into a tensor that is larger or smaller than float64 can hold")
        own = self.exponent(args[0])
        to = 0 if name in ("mul", "imul") else own
        others = tree_map(lambda v: v if v is args[0] else self.aligned(v, to), args[1:])
        return function(args[0], *_move_numbers(name, others, own), **kwargs)

    def layer(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A product, then the bias."""
        bias = args[2] if len(args) > 2 else kwargs.get("bias")
        if bias is None:
            return self.product(function, name, args, kwargs)
        args, kwargs = (*args[:2], None, *args[3:]), {k: v for k, v in kwargs.items() if k != "bias"}
        positions = 0 if name == "linear" else int(name[-2])
        product = self.run(function, name, args, kwargs)
        return self.run(torch.add, "add", (product, bias.reshape(-1, *[1] * positions)), {})

    def sum_of_product(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """addmm and baddbmm."""
        if kwargs:
            return self.plain(function, name, args, kwargs)
        return self.run(torch.add, "add", (args[0], self.run(torch.matmul, "matmul", args[1:3], {})), {})

    def product(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.scaled(function(*args, **kwargs), sum(map(self.exponent, _floating((args, kwargs)))))

    def sum(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        top = max((self.exponent(t) for t in _floating((args, kwargs)) if t.detach().any()), default=0)
        args, kwargs = tree_map(lambda v: self.aligned(v, top), (args, kwargs))
        kwargs = {k: v * _power(-top) if k == "min" and _is_number(v) else v for k, v in kwargs.items()}
        return self.scaled(function(*_move_numbers(name, args, top), **kwargs), top)

    def sum_of_products(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """addcmul: a + value·b·c."""
        product = self.run(torch.mul, "mul", args[1:3], {})
        product = self.run(torch.mul, "mul", (product, kwargs.get("value", 1)), {})
        return self.run(torch.add, "add", (args[0], product), {})

    def interpolation(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """lerp: a + weight·(b − a)."""
        weight = args[2] if len(args) > 2 else kwargs["weight"]
        step = self.run(torch.mul, "mul", (self.run(torch.sub, "sub", (args[1], args[0]), {}), weight), {})
        return self.run(torch.add, "add", (args[0], step), {})

    def proportional(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self.scaled(function(*args, **kwargs), self.exponent(args[0]))

    def quotient(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        signs = (-1, 1) if name.startswith("r") else (1, -1)
        powers = [s * self.exponent(v) for s, v in zip(signs, args, strict=False) if isinstance(v, Tensor)]
        return self.scaled(function(*args, **kwargs), sum(powers))

    def power(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        power: Any = _POWERS.get(name) or (args[1] if len(args) > 1 else None)
        if not _is_number(power) or not float(2 * power).is_integer():
            return self.plain(function, name, args, kwargs)
        even = self.exponent(args[0]) // 2 * 2
        return self.scaled(function(self.aligned(args[0], even), *args[1:], **kwargs), int(even * power))

    def padding(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        zeros = not args[3:] and not kwargs.get("value")
        return (self.proportional if zeros else self.plain)(function, name, args, kwargs)

    def clamp(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        unbounded = len(args) < 3 and kwargs.get("max") is None
        return (self.sum if unbounded else self.bounded)(function, name, args, kwargs)

    def activation(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One that is straight far off and, but for softplus, proportional near zero."""
        own = self.exponent(args[0])
        if name == "softplus" and own < 0:
            return self.plain(function, name, args, kwargs)
        near = max(-64, min(own, 64))
        return self.scaled(function(self.aligned(args[0], own - near), *args[1:], **kwargs) * 2.0**-near, own)

    def attention(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) < 3:
            return self.plain(function, name, args, kwargs)
        query, key = self.saturating(args[:2], most=200)
        return self.scaled(function(query, key, *args[2:], **kwargs), self.exponent(args[2]))

    def bounded(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = self.saturating((args, kwargs), most=700)
        return function(*args, **kwargs)

    def plain(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = tree_map(lambda v: self.aligned(v, 0), (args, kwargs))
        return function(*args, **kwargs)

    def saturating(self, given: Any, most: int) -> Any:
        """Arguments as plain numbers for a function that is constant as far off as they are, or close to zero."""
        far = any(self.exponent(t) > 0 for t in _floating(given))
        near = tree_map(lambda v: self.aligned(v, 0, most), given)
        return tree_map(lambda v: v.detach() if isinstance(v, Tensor) else v, near) if far else near


_POWERS = {"square": 2, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1}
_RULES = {
    **dict.fromkeys(_PRODUCTS, WideRangeMode.product),
    **dict.fromkeys(CHANNEL_AXIS, WideRangeMode.layer),
    **dict.fromkeys(("addmm", "baddbmm"), WideRangeMode.sum_of_product),
    **dict.fromkeys(_SUMS, WideRangeMode.sum),
    **dict.fromkeys(_PROPORTIONAL, WideRangeMode.proportional),
    **dict.fromkeys(("div", "truediv", "divide", "rtruediv", "rdiv"), WideRangeMode.quotient),
    **dict.fromkeys((*_POWERS, "pow"), WideRangeMode.power),
    **dict.fromkeys(_STRAIGHT_FAR_OFF, WideRangeMode.activation),
    **dict.fromkeys(_BOUNDED, WideRangeMode.bounded),
    **dict.fromkeys(("clamp", "clip"), WideRangeMode.clamp),
    "pad": WideRangeMode.padding,
    "addcmul": WideRangeMode.sum_of_products,
    "lerp": WideRangeMode.interpolation,
    ATTENTION: WideRangeMode.attention,
}


def _floating(given: Any) -> list[Tensor]:
    return [t for t in tree_leaves(given) if isinstance(t, Tensor) and t.is_floating_point()]


def _move_numbers(name: str, args: tuple[Any, ...], exponent: int) -> tuple[Any, ...]:
    """The arguments of a sum, numbers over 2^exponent like the tensors."""
    return tuple(v * _power(-exponent) if _is_number(v) and name in _NUMBERS_TOO else v for v in args)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _power(exponent: int) -> float:
    """2 to a power; infinity or zero where float64 ends."""
    return math.ldexp(1.0, exponent) if exponent < 1024 else math.inf
