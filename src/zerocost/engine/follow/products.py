"""Products with a weight matrix as linear layers: where their channels go, and the bias that is added later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import CASTS, MOVES, RESHAPES, SUMS
from zerocost.engine.follow.places import SamplePlace, reshaped
from zerocost.engine.meta.shapes import result_on_meta

_PICKS = {"getitem", "select"}
_TAKES = {"sub", "isub", "subtract"}


class Product(NamedTuple):
    """A product with a weight matrix that was shown as a linear layer, wherever its axes are by now.

    Attributes:
        call: the layer; its `channels` are those of the result.
        result: the product.
        undos: how to undo what watchers noted of it.
    """

    call: Call
    result: Tensor
    undos: list[Undo]

    @classmethod
    def of(cls, call: Call, result: Tensor, undos: list[Undo]) -> Product:
        """What a call without a bias has returned, with the axis of its channels counted from the last one."""
        channels = call.channels if call.channels < 0 else call.channels - result.ndim
        return cls(call._replace(channels=channels), result, undos)

    def given_bias(self, name: str, args: tuple[Any, ...], reaches: Callable[[Tensor], bool]) -> Call | None:
        """The layer, forgotten to be shown once more, where a call adds its bias; None for any other call."""
        if not self._is_given_bias(name, args, reaches):
            return None
        for undo in self.undos:
            undo()
        return self.call

    def _is_given_bias(self, name: str, args: tuple[Any, ...], reaches: Callable[[Tensor], bool]) -> bool:
        """Whether a call adds one constant a channel to it, or takes one away."""
        axis, others = self.call.channel_axis, [value for value in args if value is not self.result]
        if len(args) != 2 or len(others) != 1 or not isinstance(others[0], Tensor) or reaches(others[0]):
            return False
        added = name in SUMS or (name in _TAKES and others[0] is args[1])
        if not added or not -others[0].ndim <= axis < 0 or others[0].shape[axis] != self.result.shape[axis]:
            return False
        rows = others[0].movedim(axis, -1).flatten(0, -2) if others[0].ndim > 1 else others[0][None]
        return bool((rows == rows[:1]).all())

    def moved(self, call: Call, result: Tensor) -> Product | None:
        """It with its axes moved, or in another dtype, by a call that only does that; None after any other."""
        if call.name in CASTS and call.input is self.result and isinstance(result, Tensor):
            return self._replace(result=result)
        if call.input is not self.result or not is_layout(call, result) or result.numel() != self.result.numel():
            return None
        axis = channel_axis_after(call, result, self.call.channel_axis)
        return None if axis is None else Product.of(self.call._replace(channels=axis), result, self.undos)


def is_layout(call: Call, result: Tensor) -> bool:
    """Whether a call moves, merges or drops axes."""
    return call.name in MOVES or call.name in RESHAPES or (call.name in _PICKS and result.ndim != call.input.ndim)


def first_tensor(call: Call) -> Any:
    """The first argument, or the first of a list of tensors that it is."""
    given = call.input
    return given[0] if isinstance(given, list | tuple) and given else given


def channel_axis_after(call: Call, result: Tensor, axis: int) -> int | None:
    """Where the channels are once a call has moved, merged, dropped or added axes: from the end where they are last.

    None where they are in several axes, or merged with one before them.

    >>> x = torch.zeros(2, 8, 8, 3)
    >>> channel_axis_after(Call(torch.permute, "permute", (x, (0, 3, 1, 2)), {}), x.permute(0, 3, 1, 2), -1)
    1
    """
    given = first_tensor(call)
    if min(given.ndim, result.ndim) < 2:
        return axis
    place = axis % given.ndim
    if call.name in RESHAPES:
        found = reshaped(SamplePlace(place), given.shape, result.shape, given.shape[place])
        if found is None or found.before > 1:
            return None
        place = found.axis
    else:
        probe = torch.empty(*range(100, 100 + given.ndim), device="meta")  # every axis has a size of its own
        kwargs = {name: value for name, value in call.kwargs.items() if name != "input"}
        first = probe if given is call.input else [probe]
        try:
            moved = result_on_meta(call._replace(args=(first, *call.args[1:]), kwargs=kwargs))
            place = moved.shape.index(100 + place)
        except Exception:  # noqa: BLE001  picked one by one, the channels themselves, or not to be had on meta
            return axis
    return -1 if place == result.ndim - 1 and place != 1 else place
