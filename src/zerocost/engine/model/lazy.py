"""Lazy layers, which get their weights from the first batch that they see."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.utils._pytree import tree_map

from zerocost.base.errors import Failure, describe_error
from zerocost.base.seeding import seeded
from zerocost.engine.inputs import call, clone_tensors
from zerocost.engine.model.walk import named_modules


def has_lazy_layers(model: nn.Module) -> bool:
    """Whether some weights or buffers of a model have no shape yet.

    >>> has_lazy_layers(nn.LazyLinear(2)), has_lazy_layers(nn.Linear(3, 2))
    (True, False)
    """
    return any(map(is_lazy, _tensors(model)))


def materialised(model: nn.Module, inputs: Any, seed: int = 0) -> nn.Module:
    """A copy of a model whose lazy layers have weights, drawn from a seed; a model without such layers as it is.

    Args:
        model: the model, which stays as it is.
        inputs: a batch, which the copy runs on once in eval mode.
        seed: draws the weights.

    Raises:
        Failure: the model raised.

    >>> materialised(nn.LazyLinear(2), torch.rand(4, 3)).weight.shape
    torch.Size([2, 3])
    """
    if not has_lazy_layers(model):
        return model
    memo: dict[int, Any] = {id(b): _shapeless(b) for b in model.buffers() if is_lazy(b)}  # torch cannot copy them
    made = copy.deepcopy(model, memo)
    modes = [(module, module.training) for module in made.modules()]
    device = next((tensor.device for tensor in _tensors(made)), torch.device("cpu"))
    moved = tree_map(lambda value: value.to(device) if isinstance(value, Tensor) else value, clone_tensors(inputs))
    try:
        with seeded(seed, device), torch.no_grad():
            call(made.eval(), moved)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Failure(f"the network raised {describe_error(error)}, when its lazy layers saw a batch") from error
    for module, training in modes:
        module.training = training
    if has_lazy_layers(made):
        raise Failure("the network has lazy layers that it does not use, so they get no weights; remove them")
    return made


def _shapeless(buffer: Tensor) -> Any:
    """A buffer without a shape like another."""
    make: Any = UninitializedBuffer  # its stub is that of a buffer with a shape
    return make(requires_grad=buffer.requires_grad, device=buffer.device, dtype=buffer.dtype)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a model."""
    for module in named_modules(model).values():
        for held in (module._parameters, module._buffers):
            yield from (tensor for tensor in held.values() if tensor is not None)
