"""Calls in float64, also where a network asks for a narrower type, or a kernel has no float64."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map

from zerocost.engine.calls.functions import Function, is_in_place


def in_float64(
    run: Callable[..., Any], function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What a call returns that is run by `run`, in float64."""
    if function in _NARROWING:
        return args[0].double()
    if not is_in_place(function, kwargs):
        args = tuple(map(as_float64, args))
        kwargs = {key: as_float64(value) for key, value in kwargs.items()}
    function = _IN_FLOAT64.get(name, function)
    try:
        return as_float64(run(function, name, args, kwargs))
    except RuntimeError:
        narrow = tree_map(_as_float32, (args, kwargs))  # a kernel that float64 is unknown to
        with suppress(RuntimeError):
            return as_float64(run(function, name, *narrow))
        raise


def _grouped_mm(rows: Tensor, matrices: Tensor, offs: Tensor | None = None, **_: Any) -> Tensor:
    """The product of groups of rows, each with a matrix of its own; `offs` are where the groups end."""
    if rows.ndim == 3 or offs is None:
        return rows @ matrices
    sizes = offs.diff(prepend=offs.new_zeros(1)).tolist()
    groups = torch.split(rows, [*sizes, len(rows) - sum(sizes)])[: len(sizes)]
    found = torch.cat([part @ matrix for part, matrix in zip(groups, matrices, strict=True)])
    return F.pad(found, (0, 0, 0, len(rows) - len(found)))


_IN_FLOAT64: dict[str, Function] = {"grouped_mm": _grouped_mm}
"""Functions without a kernel for float64, in steps that have one."""
_NARROWING = (Tensor.float, Tensor.half, Tensor.bfloat16)


def _as_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.float64 else value


def as_float64(value: Any) -> Any:
    """A floating-point tensor in float64, a floating-point dtype as float64; anything else as it is."""
    if isinstance(value, torch.dtype):
        return torch.float64 if value.is_floating_point else value
    narrow = isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64
    return value.double() if narrow else value
