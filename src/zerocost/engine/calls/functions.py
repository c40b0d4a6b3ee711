"""What a torch function does to a network, by its name: the same in torch, torch.nn.functional, Tensor,
torch._C and torch.ops, as function or method, in place or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

Function = Callable[..., Any]

RECTIFIERS = {
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu"),
    *("gelu", "silu", "mish", "softplus", "hardswish"),
}
BY_HAND = "activation"
"""What an activation is called that a network computes step by step."""
GATE = "gate"
"""What a sigmoid is called that a network computes step by step."""
CLAMPS = {"hardtanh", "threshold", "clamp", "clamp_min", "clip"}
CHANNEL_AXIS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), 1),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1),
    "linear": -1,
}
SUMS = {"add", "iadd", "radd"}
MOVES = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "adjoint", "t", "T", "mT", "H", "mH"}
"""Functions that put axes in another order."""
RESHAPES = {
    *("reshape", "view", "flatten", "unflatten", "ravel", "view_as", "reshape_as", "squeeze", "unsqueeze"),
    *("contiguous", "unsafe_view"),
}
GATHERS = {
    *("getitem", "index_select", "gather", "take_along_dim", "masked_select", "take"),
    *("select", "narrow", "chunk", "split", "split_with_sizes", "tensor_split", "unbind"),
}
"""Functions that pick rows: where the samples have no place in what they return, rows are in another order."""
RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
"""Functions that return a sequence like the one given, and the last states, layers×N×units."""
ATTENTION = "scaled_dot_product_attention"
CREATES = {"new_zeros", "new_ones", "new_full", "new_empty"}
"""Methods that take of a tensor only its kind."""
COPIES = {"repeat", "tile"}
"""Functions that repeat the batch as a whole, one copy after the other."""
CASTS = {"float", "double", "half", "bfloat16", "to", "type", "type_as"}
POOLING = {f"{adaptive}{kind}_pool{d}d" for adaptive in ("", "adaptive_") for kind in ("max", "avg") for d in (1, 2, 3)}
DROPOUT = {
    *("dropout", "dropout1d", "dropout2d", "dropout3d"),
    *("feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
}
FAKE_QUANTISATION = {
    *("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine", "fused_moving_avg_obs_fake_quant"),
    *("fake_quantize_learnable_per_tensor_affine", "fake_quantize_learnable_per_channel_affine"),
}
NORMALISATION = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"}
PRODUCTS = {"mul", "rmul", "imul", "multiply", "div", "idiv", "itruediv", "truediv", "true_divide", "divide"}
DIFFERENCES = {"sub", "isub", "rsub", "subtract"}
HINGES = {"where", "maximum", "max", "amax", "fmax", "masked_fill", "log", "log1p", "logaddexp", "logsumexp"}
"""Functions that may be the last step of an activation, though they are given one tensor only."""
CAPS = {"minimum", "min", "amin", "fmin", "clamp_max"}
ELEMENTWISE = {
    *(CASTS | PRODUCTS | DIFFERENCES | HINGES | CAPS | SUMS | RECTIFIERS | CLAMPS),
    *("rdiv", "rtruediv", "neg", "negative", "abs", "absolute", "reciprocal", "sign", "pow", "ipow", "rpow", "square"),
    *("sqrt", "rsqrt", "exp", "exp2", "expm1", "erf", "erfc", "ndtr", "special_erf", "special_erfc", "special_ndtr"),
    *("sigmoid", "special_expit", "logsigmoid", "log_sigmoid", "hardsigmoid", "tanh", "atan", "arctan", "softsign"),
    *("sinh", "cosh", "gt", "ge", "lt", "le", "greater", "less", "heaviside", "addcmul", "lerp", "stack"),
    *("eq", "ne", "and", "or", "invert", "logical_and", "logical_or", "logical_not", "bitwise_not", "bitwise_and"),
    *("zeros_like", "ones_like", "full_like", "clone", "contiguous"),
}
"""Functions whose results are, element by element, functions of what they are given."""


def prepare_data(values: Tensor, way: Callable[[Tensor], Tensor]) -> Tensor:
    """What a network's own preparation of its data makes of them, seen as one torch function.

    A pass that has no data skips it.
    """
    if has_torch_function_unary(values):
        return handle_torch_function(prepare_data, (values,), values, way)
    return way(values)


PREPARATION = {prepare_data.__name__}


@lru_cache(10_000)
def function_name(function: Function) -> str:
    """A function's name without the marks of its variant.

    >>> import torch
    >>> function_name(torch.relu_), function_name(torch.ops.aten.relu.default), function_name(torch.Tensor.clamp)
    ('relu', 'relu', 'clamp')
    """
    return getattr(function, "__name__", "").partition(".")[0].strip("_")


def is_rectifier(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is an activation with its hinge at zero.

    >>> is_rectifier("relu", (), {}), is_rectifier("hardtanh", (None, 0.0, 6.0), {}), is_rectifier("tanh", (), {})
    (True, True, False)
    """
    if name in RECTIFIERS or name == BY_HAND:
        return True
    if name not in CLAMPS:
        return False
    bounds = [*args[1:2], *(kwargs[bound] for bound in ("min", "min_val", "threshold") if bound in kwargs)]
    return any(isinstance(bound, int | float) and bound == 0 for bound in bounds)


def is_cap(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call only bounds numbers from above.

    >>> is_cap("clamp", (None,), {"max": 0}), is_cap("clamp", (None, 0), {})
    (True, False)
    """
    lowest = args[1] if len(args) > 1 else kwargs.get("min")
    return name in CAPS or (name in ("clamp", "clip") and lowest is None)


def einsum_operands(given: Sequence[Any]) -> list[Any]:
    """The operands of an einsum out of what follows the equation: themselves, or one list of them."""
    return list(given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given)


def is_in_place(function: Function, kwargs: dict[str, Any]) -> bool:
    """Whether a call writes into its first argument, going by torch's naming.

    >>> import torch
    >>> is_in_place(torch.relu_, {}), is_in_place(torch.relu, {}), is_in_place(torch.relu, {"inplace": True})
    (True, False, True)
    """
    return _is_named_in_place(function) or bool(kwargs.get("inplace"))


@lru_cache(10_000)
def _is_named_in_place(function: Function) -> bool:
    name = getattr(function, "__name__", "").partition(".")[0]
    if name.startswith("__"):
        return name == "__setitem__" or (name.startswith("__i") and name not in ("__init__", "__invert__", "__int__"))
    return name.endswith("_")
