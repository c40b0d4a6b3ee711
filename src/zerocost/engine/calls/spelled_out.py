"""Functions as others that the rest of the engine knows: products of several matrices in one call as products of two,
and what an exported part is decomposed into as the layers that it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from zerocost.engine.calls.functions import Function, einsum_operands


def spelled_out(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
    """What to run in place of a function that multiplies several matrices, so that each product is a call by itself, or
    of a layer that torch.export has decomposed; None for any other.

    >>> x, w, v = torch.ones(1, 2), torch.ones(2, 3), torch.ones(3, 4)
    >>> spelled_out(torch.linalg.multi_dot, ([x, w, v],), {})([x, w, v])
    tensor([[6., 6., 6., 6.]])
    """
    if function not in _SPELLED_OUT or "out" in kwargs:
        return None
    if function is torch.einsum:
        return _einsum if _has_several(*args) else None
    return _SPELLED_OUT[function]


def _multi_dot(matrices: Sequence[Tensor]) -> Tensor:
    """From the left, which is the cheapest order for a few samples in the first matrix."""
    return reduce(torch.matmul, matrices)


def _chain_matmul(*matrices: Tensor) -> Tensor:
    return _multi_dot(matrices)


def _addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """The sum over a batch of matrices as one product of longer rows."""
    rows, columns = batch1.movedim(0, 1).flatten(1), batch2.flatten(0, 1)
    return torch.addmm(input, rows, columns, beta=beta, alpha=alpha)


def _vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    return ((x.conj() if x.is_complex() else x) * y).sum(dim)


def _has_several(equation: Any, *operands: Any) -> bool:
    """Whether an einsum names three operands or more, each by letters."""
    return isinstance(equation, str) and equation.count(",") > 1 and "->" in equation and "." not in equation


def _einsum(equation: str, *operands: Any) -> Tensor:
    """One operand after the other, from the left, as torch does it."""
    left = einsum_operands(operands)
    given, output = equation.replace(" ", "").split("->")
    terms = given.split(",")
    while len(terms) > 2:
        later = {*output}.union(*terms[2:])
        kept = "".join(letter for letter in dict.fromkeys(terms[0] + terms[1]) if letter in later)
        left[:2] = [torch.einsum(f"{terms[0]},{terms[1]}->{kept}", *left[:2])]
        terms[:2] = [kept]
    return torch.einsum(f"{terms[0]},{terms[1]}->{output}", *left)


def _convolution(x: Tensor, weight: Tensor, bias: Any, *how: Any) -> Tensor:
    """The convolution of as many axes as the weight has."""
    stride, padding, dilation, transposed, output_padding, groups = how
    kind = f"conv{'_transpose' if transposed else ''}{weight.ndim - 2}d"
    rest = (output_padding, groups, dilation) if transposed else (dilation, groups)
    result: Tensor = getattr(F, kind)(x, weight, bias, stride, padding, *rest)
    return result


def _layer_norm(x: Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, ...]:
    return F.layer_norm(x, shape, weight, bias, eps), None, None


def _group_norm(x: Tensor, weight: Any, bias: Any, *how: Any) -> tuple[Any, ...]:
    *_, groups, eps = how
    return F.group_norm(x, groups, weight, bias, eps), None, None


def _batch_norm(x: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, *how: float) -> tuple[Any, ...]:
    return F.batch_norm(x, mean, variance, weight, bias, False, *how), None, None


def _batch_norm_in_training(x: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, *how: Any) -> tuple[Any, ...]:
    """With the running statistics as they are afterwards."""
    mean, variance = mean.clone(), variance.clone()
    return F.batch_norm(x, mean, variance, weight, bias, *how), None, None, mean, variance


_ATEN = torch.ops.aten
_SPELLED_OUT: dict[Function, Function] = {
    torch.linalg.multi_dot: _multi_dot,
    torch.chain_matmul: _chain_matmul,
    torch.addbmm: _addbmm,
    Tensor.addbmm: _addbmm,
    torch.linalg.vecdot: _vecdot,
    torch.einsum: _einsum,
    _ATEN.convolution.default: _convolution,
    _ATEN.native_layer_norm.default: _layer_norm,
    _ATEN.native_group_norm.default: _group_norm,
    _ATEN._native_batch_norm_legit_no_training.default: _batch_norm,
    _ATEN._native_batch_norm_legit_functional.default: _batch_norm_in_training,
}
