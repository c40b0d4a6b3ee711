"""Multiply-adds, layers and depth of a network, counted by the shapes of what runs in any forward pass."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, as_call
from zerocost.engine.calls.einsum import EinsumOfTwo
from zerocost.engine.calls.functions import (
    ATTENTION,
    CHANNEL_AXIS,
    DROPOUT,
    ELEMENTWISE,
    FAKE_QUANTISATION,
    MOVES,
    NORMALISATION,
    POOLING,
    PREPARATION,
    RECURRENT,
    RESHAPES,
    Function,
    is_in_place,
)
from zerocost.engine.calls.recurrent import Recurrence
from zerocost.engine.calls.used_weights import follow_weights
from zerocost.engine.failures import NO_LAYER
from zerocost.engine.signals import LayerSize


def _attention(call: Call, _: Tensor) -> int | None:
    query, key, value = (call.argument(place, name) for place, name in enumerate(("query", "key", "value")))
    if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        return None
    products: int = prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    return products


def _einsum(call: Call, _: Tensor) -> int | None:
    given = EinsumOfTwo.of(call)
    return None if given is None else given.products


_PRODUCTS: dict[str, Callable[[Call, Tensor], int | None]] = {
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d"), lambda call, result: result.numel() * prod(call.argument(1, "weight").shape[1:])
    ),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        lambda call, _: call.input.numel() * prod(call.argument(1, "weight").shape[1:]),
    ),
    "linear": lambda call, result: result.numel() * call.argument(1, "weight").shape[-1],
    **dict.fromkeys(("matmul", "mm", "sparse_mm", "bmm"), lambda call, result: result.numel() * call.input.shape[-1]),
    "addmm": lambda call, result: result.numel() * call.argument(1, "mat1").shape[-1],
    "baddbmm": lambda call, result: result.numel() * call.argument(1, "batch1").shape[-1],
    ATTENTION: _attention,
    "einsum": _einsum,
}
"""The multiply-adds of functions that multiply matrices, None where another rule holds."""
_LIKE_ANOTHER = {"view_as", "reshape_as", "expand_as"}
_BY_SHAPE = {
    *(ELEMENTWISE | NORMALISATION | DROPOUT | FAKE_QUANTISATION | PREPARATION | _LIKE_ANOTHER),
    *("cat", "concat", "concatenate", "embedding", "setitem", "detach"),
    *("sin", "cos", "log2", "outer", "tril", "triu", "cumsum", "copy", "fill", "zero"),
    *("gather", "take_along_dim", "index_select"),
    *("remainder", "fmod", "mod", "floor", "ceil", "round", "floordiv", "floor_divide"),
    *("dim", "size", "numel", "len", "is_floating_point"),
}
"""Functions that multiply no matrices, and whose results have shapes that no values decide."""
_BY_NUMBERS = {
    *(POOLING | (RESHAPES - _LIKE_ANOTHER) | MOVES),
    *("softmax", "log_softmax", "sum", "mean", "var", "std", "norm", "glu", "normalize"),
    *("sort", "argsort", "topk", "argmax", "argmin"),
    *("getitem", "select", "narrow", "chunk", "split", "tensor_split", "unbind", "unfold"),
    *("expand", "repeat", "pad", "flip", "roll", "new_zeros", "new_ones", "new_full", "new_empty"),
    *("interpolate", "upsample", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
}
"""The same, as long as what they are given beside one tensor holds no other: a tensor may be a size there."""
_MADE_OF_NUMBERS = {"tensor", "arange", "linspace", "zeros", "ones", "full", "empty", "eye"}
"""The same, as long as they are given no tensor."""
_PROPERTIES = {"is_nested", "is_cuda", "shape", "ndim", "dtype", "device", "data", *MOVES}


class LayerCounts:
    """Counts multiply-adds and layers while one sample runs, and follows how many layers lie behind each tensor.

    Args:
        weights: ids of the weight matrices that run.
        given: what the network runs on: its tensors, and the sample.

    Attributes:
        multiply_adds: products of all layers and other products of matrices.
        summed: those of them that torch's counter does not see: what the network computes number by number and sums
            itself, and recurrent layers on the meta device.
        sizes: of the output of each layer.
        certain: whether the multiply-adds are those of any input of this shape: all functions that ran were seen and
            are known, and none of them lets values decide what runs or how large it is.
    """

    def __init__(self, weights: Container[int], *given: Any) -> None:
        self.weights = weights
        self._given = {id(tensor): tensor for tensor in tree_leaves(given) if isinstance(tensor, Tensor)}
        self.multiply_adds = self.summed = 0
        self.sizes: list[LayerSize] = []
        self.certain = True

    def note(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Called with each call that ran."""
        if self.certain:
            self._count(function, name, args, kwargs, result)
        behind = self._behind((args, kwargs) if kwargs else args)
        if name in RECURRENT:
            behind += self._count_recurrent(Recurrence.of(args, kwargs))
        call = as_call(function, name, args, kwargs, self.weights)
        follow_weights(name, args, result, self.weights)
        if call.name in CHANNEL_AXIS:
            behind += 1
            if name == "sum":
                self.multiply_adds += args[0].numel()
                self.summed += args[0].numel()
            channels = prod(result.shape[axis] for axis in (call.channel_axis, *call.heads))
            if result.numel():  # not so for an expert that no token of the sample goes to
                self.sizes.append(LayerSize(result.numel() // channels, channels))
        written = args[:1] if result is None or is_in_place(function, kwargs) else ()
        bases = [t._base for t in written if isinstance(t, Tensor) and t._base is not None]
        plain = isinstance(result, Tensor) and not written
        for tensor in [result] if plain else tree_leaves((result, written, bases)):
            if isinstance(tensor, Tensor):
                noted = (self, max(behind, self._noted(tensor) or 0))
                _unmapped(tensor)._layers_behind = noted  # type: ignore[attr-defined]

    def _count(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if name in _PRODUCTS and isinstance(result, Tensor) and not _is_mapped(result):
            products = _PRODUCTS[name](Call(function, name, args, kwargs), result)
            self.certain = products is not None
            self.multiply_adds += products or 0
        elif name in _BY_NUMBERS:
            self.certain = not _holds_tensor(args[1:]) and not (kwargs and _holds_tensor(kwargs.values()))
        elif name in _MADE_OF_NUMBERS:
            self.certain = not _holds_tensor((*args, *kwargs.values()))
        elif name == "get":
            self.certain = function.__self__.__name__ in _PROPERTIES  # type: ignore[attr-defined]
        elif name in RECURRENT:
            self.certain = Recurrence.of(args, kwargs).batch_sizes is None
        else:
            self.certain = name in _BY_SHAPE and (name != "where" or len(args) + len(kwargs) > 2)

    def _count_recurrent(self, given: Recurrence) -> int:
        """Count the layers of a recurrent function, of which one product is for all steps, others are one a step."""
        rows = given.input.numel() // max(given.input.shape[-1], 1)
        products = rows * sum(matrix.numel() for matrices in given.matrices for matrix in matrices)
        self.multiply_adds += products
        if given.input.is_meta:
            self.summed += products  # torch's counter does not see what is not run
        for first, *others in given.matrices:
            self.sizes.append(LayerSize(rows, len(first)))
            self.sizes += [LayerSize(rows // given.steps, len(matrix)) for matrix in others] * given.steps
        return given.depth

    def _behind(self, values: Iterable[Any] | dict[str, Any]) -> int:
        """The layers on the longest path to any tensor among these values."""
        most = 0
        for value in values.values() if isinstance(values, dict) else values:
            if isinstance(value, Tensor):
                noted = self._noted(value)
                if noted is None:
                    self.certain = self.certain and id(value) in self._given  # else a call was not seen
                elif noted > most:
                    most = noted
            elif isinstance(value, tuple | list | dict):
                most = max(most, self._behind(value))
        return most

    def _noted(self, tensor: Tensor) -> int | None:
        """The layers on the longest path to a tensor; None for one that no call that was seen returned."""
        owner, layers = getattr(tensor, "_layers_behind", (None, 0))
        if owner is self:
            return layers
        inner = _unmapped(tensor) if _is_mapped(tensor) else tensor._base
        return None if inner is None else self._noted(inner)

    def signals(self, outputs: Any) -> dict[str, Any]:
        """What was counted on the way to the outputs."""
        return {
            "multiply_adds": self.multiply_adds,
            "weight_depth": self._behind((outputs,)),
            "layer_sizes": list(self.sizes) or Failure(NO_LAYER),
        }


def _is_mapped(tensor: Tensor) -> bool:
    """Whether a tensor is inside `torch.vmap`, which unwraps it on the way out."""
    mapped: bool = torch._C._functorch.is_batchedtensor(tensor)
    return mapped


def _unmapped(tensor: Tensor) -> Tensor:
    """The tensor that `torch.vmap` maps over; any other as it is."""
    while _is_mapped(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


def _holds_tensor(values: Iterable[Any]) -> bool:
    """Whether there is a tensor among values, or in a slice or nest of them."""
    for value in values:
        if isinstance(value, Tensor):
            return True
        inside = (value.start, value.stop, value.step) if isinstance(value, slice) else value
        if isinstance(inside, tuple | list) and _holds_tensor(inside):
            return True
    return False
