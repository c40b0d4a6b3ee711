"""Normalisation that is a module of the network's own, as LLaMA's and T5's: known by what it computes."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from zerocost.base.seeding import seeded, stream
from zerocost.engine.model.walk import named_modules

_ANY_SIZE = 16


def find_normalisers(model: nn.Module) -> dict[nn.Module, int]:
    """The modules that normalise by mean squares or variances and are not torch's, with the axis of their channels.

    A module is one if it holds no others, its parameters are vectors, and it makes of random numbers what a layer or
    instance normalisation makes of them, up to a scale and a shift of each channel.

    >>> class RMSNorm(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight = nn.Parameter(torch.ones(8))
    ...
    ...     def forward(self, x):
    ...         return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
    >>> find_normalisers(nn.Sequential(nn.Linear(8, 8), RMSNorm(), nn.LayerNorm(8)))
    {RMSNorm(): -1}
    """
    candidates = [m for m in named_modules(model).values() if _may_normalise(m)]
    if not candidates:
        return {}
    with seeded(0), torch.no_grad():
        return {m: axis for m in candidates if (axis := _channel_axis(m)) is not None}


def _may_normalise(module: nn.Module) -> bool:
    """Whether a module is worth looking at."""
    kind = type(module)
    if module._modules or kind.__module__.startswith("torch.") or isinstance(module, torch.jit.ScriptModule):
        return False
    if kind.__reduce__ is not object.__reduce__:  # copied in a way of its own, as Keras's layers, which are saved
        return False
    vectors = all(p is None or p.numel() == max(p.shape, default=0) for p in module._parameters.values())
    return vectors and (bool(module._parameters) or "norm" in kind.__name__.lower())


def _channel_axis(module: nn.Module) -> int | None:
    """Where a module has its channels, 1 or -1, if it normalises; None if it does not.

    A copy with a scale of one is given numbers that are far larger at some places than at others.
    """
    try:
        own = copy.deepcopy(module).cpu().double()
    except Exception:  # noqa: BLE001  classes may refuse to be copied in any way
        return None
    for parameter in own.parameters():
        parameter.fill_(1)
    size = max((p.numel() for p in own.parameters()), default=_ANY_SIZE)
    generator = stream(0, "normalisers")
    for shape in ((8, 6, size), (8, size, 6), (8, size, 3, 3)):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        for varied in (0, 1, x.ndim - 1):
            sizes = [length if i == varied else 1 for i, length in enumerate(shape)]
            x = x * 10 ** (2 * torch.rand(sizes, generator=generator, dtype=torch.float64))
        with suppress(Exception):  # a shape that the module was not made for
            found = own.forward(x.clone())
            axis = _normalised_along(x, found.double()) if isinstance(found, Tensor) else None
            if axis is not None:
                return axis
    return None


def _normalised_along(x: Tensor, found: Tensor) -> int | None:
    """The axis of the channels if values are those of a normalisation of `x`, up to a scale and shift of each one."""
    if found.shape != x.shape:
        return None
    for axes in ((-1,), (1,), tuple(range(2, x.ndim)), tuple(range(1, x.ndim))):
        for centre in (0.0, x.mean(axes, keepdim=True)):
            expected = x - centre
            expected = expected / expected.square().mean(axes, keepdim=True).sqrt()
            axis = -1 if axes == (-1,) else 1
            if _is_affine(expected.movedim(axis, 0), found.movedim(axis, 0)):
                return axis
    return None


def _is_affine(one: Tensor, other: Tensor) -> bool:
    """Whether each row of one tensor is a rising straight line of the other's."""
    first, second = (values.flatten(1) - values.flatten(1).mean(1, keepdim=True) for values in (one, other))
    cosines = torch.cosine_similarity(first, second)
    return bool((cosines > 0.9999).all())


def only_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The one tensor that a module is given; None where there are several, as with a gate."""
    tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
    return tensors[0] if len(tensors) == 1 else None
