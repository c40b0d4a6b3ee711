"""What functions return on the meta device that look elements up, repeat, move or leave them out."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import is_in_place
from zerocost.engine.meta.arithmetic_shapes import is_plain
from zerocost.engine.meta.operators import empty, spreads_to


def _looked_up(call: Call) -> Tensor | None:
    ids, weight, padding = call.argument(0, "input"), call.argument(1, "weight"), call.argument(2, "padding_idx")
    known = isinstance(ids, Tensor) and ids.is_meta and ids.dtype in (torch.int32, torch.int64)
    if not known or not is_plain(weight) or weight.ndim != 2 or call.argument(3, "max_norm") is not None:
        return None
    fits = padding is None or -len(weight) <= padding < len(weight)
    return empty(weight, *ids.shape, weight.shape[1]) if fits else None


def _counted(call: Call) -> Tensor | None:
    whole = 1 <= len(call.args) <= 3 and all(type(number) is int for number in call.args)
    known = str(call.kwargs.get("device")) == "meta" and call.kwargs.keys() <= {"device", "dtype"}
    if not whole or not known:
        return None
    start, end, step = (*(0,) * (len(call.args) == 1), *call.args, 1)[:3]
    if not step or (end - start) * step < 0:
        return None
    return torch.empty(len(range(start, end, step)), dtype=call.kwargs.get("dtype") or torch.int64, device="meta")


def _repeated(call: Call) -> Tensor | None:
    x, *given = call.args
    times = given[0] if len(given) == 1 and isinstance(given[0], tuple | list) else given
    known = isinstance(x, Tensor) and x.is_meta and all(type(number) is int and number >= 0 for number in times)
    if not known or call.kwargs or len(times) < x.ndim:
        return None
    sizes = *[1] * (len(times) - x.ndim), *x.shape
    return empty(x, *map(operator.mul, sizes, times))


def _triangle(call: Call) -> Tensor | None:
    x = call.argument(0, "input")
    known = isinstance(x, Tensor) and x.is_meta and x.is_contiguous() and x.ndim > 1
    if not known or "out" in call.kwargs or type(call.argument(1, "diagonal", 0)) is not int:
        return None
    return None if is_in_place(call.function, call.kwargs) else empty(x, *x.shape)


def _filled(call: Call) -> Tensor | None:
    x, mask, value = (call.argument(place, name) for place, name in enumerate(("input", "mask", "value")))
    known = is_plain(x) and x.is_contiguous() and type(value) in (int, float)
    if not known or not isinstance(mask, Tensor) or not mask.is_meta or mask.dtype != torch.bool:
        return None
    found: Tensor = x if is_in_place(call.function, call.kwargs) else empty(x, *x.shape)
    return found if spreads_to(mask.shape, x.shape) else None


def _halved(call: Call) -> Tensor | None:
    x, axis = call.argument(0, "input"), call.argument(1, "dim", -1)
    if not is_plain(x) or not x.is_contiguous() or type(axis) is not int or not -x.ndim <= axis < x.ndim:
        return None
    sizes = list(x.shape)
    sizes[axis] //= 2
    return empty(x, *sizes) if x.shape[axis] % 2 == 0 else None


def _shuffled(call: Call) -> Tensor | None:
    x, by = call.argument(0, "input"), call.argument(1, "upscale_factor")
    if not is_plain(x) or not x.is_contiguous() or x.ndim < 3 or type(by) is not int or by < 1:
        return None
    *samples, channels, height, width = x.shape
    return None if channels % by**2 else empty(x, *samples, channels // by**2, height * by, width * by)


def _padded(call: Call) -> Tensor | None:
    x, pads, mode = call.argument(0, "input"), call.argument(1, "pad"), call.argument(2, "mode", "constant")
    known = isinstance(pads, tuple | list) and all(type(pad) is int and pad >= 0 for pad in pads)
    if not known or not is_plain(x) or not x.is_contiguous() or mode not in ("reflect", "replicate"):
        return None
    axes = len(pads) // 2
    if len(pads) % 2 or not 1 <= axes <= 3 or x.ndim != axes + 2 or 0 in x.shape:
        return None
    both = list(zip(pads[::2], pads[1::2], strict=True))[::-1]
    sizes = x.shape[-axes:]
    if mode == "reflect" and any(max(pair) >= size for pair, size in zip(both, sizes, strict=True)):
        return None
    return empty(x, *x.shape[:-axes], *(size + sum(pair) for size, pair in zip(sizes, both, strict=True)))


def _copied(call: Call) -> Tensor | None:
    """What puts elements into another form that do not lie in their order, and so has to copy them."""
    x: Any = call.args[0] if call.args else None
    if not is_plain(x) or x.is_contiguous():
        return None
    found: Any = call.function(empty(x, *x.shape), *call.args[1:], **call.kwargs)
    try:
        x.view(found.shape)
    except RuntimeError:
        return empty(x, *found.shape)
    return None


MOVED: dict[str, Callable[[Call], Tensor | None]] = {
    "arange": _counted,
    "embedding": _looked_up,
    **dict.fromkeys(("flatten", "reshape"), _copied),
    "glu": _halved,
    "masked_fill": _filled,
    "pad": _padded,
    "pixel_shuffle": _shuffled,
    "repeat": _repeated,
    **dict.fromkeys(("tril", "triu"), _triangle),
}
"""What a call returns, by its name; None where torch has to say."""
