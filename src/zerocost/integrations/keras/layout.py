"""How weights and channels of Keras are laid out in torch, and how a layer of torch stands for one of Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

ELEMENTWISE = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus", "softsign"),
    *("tanh", "sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "exponential", "linear", "squareplus"),
}
"""Activations that work on each value by itself."""


class Layout(NamedTuple):
    """Functions that bring a weight of Keras into torch's axes, and back."""

    torch: Callable[[Tensor], Tensor]
    keras: Callable[[Tensor], Tensor]


class CopiedWeight(NamedTuple):
    """The copy of a Keras variable in torch's layout: the parameter or buffer `name` of a module."""

    variable: Any
    module: nn.Module
    name: str
    layout: Layout

    @property
    def value(self) -> Tensor:
        """The present value of the copy, in Keras's layout."""
        found: Tensor = getattr(self.module, self.name)
        return self.layout.keras(found)


@dataclass(frozen=True)
class TorchLayer:
    """The torch modules that stand for a layer of Keras.

    Attributes:
        modules: by the suffix that each adds to the layer's name; "" for a single one.
        call: computes what the layer computes, on Keras's axes.
        weights: the copies of the layer's variables.
    """

    modules: dict[str, nn.Module]
    call: Callable[..., Any]
    weights: Sequence[CopiedWeight] = ()


SAME = Layout(lambda t: t, lambda t: t)
OUTPUTS_FIRST = Layout(lambda t: t.movedim((-1, -2), (0, 1)), lambda t: t.movedim((0, 1), (-1, -2)))
"""(height, width, in, out) and (in, out) to (out, in, height, width) and (out, in)."""


def to_channels_first(values: Tensor) -> Tensor:
    """N×…×C to N×C×…."""
    return values.movedim(-1, 1)


def to_channels_last(values: Tensor) -> Tensor:
    """N×C×… to N×…×C; the tensor is marked as a map."""
    return mark_map(values.movedim(1, -1))


def mark_map(values: Tensor) -> Tensor:
    """Mark a tensor as a map: channels last here, channels first in torch. Returns it."""
    vars(values)["is_map"] = True
    return values


def is_map(values: Any) -> bool:
    """Whether a tensor is marked as a map; N×T×C alone may also be tokens."""
    return getattr(values, "is_map", False)


def copy_weights(module: nn.Module, **kept: tuple[Any, Layout] | Any) -> list[CopiedWeight]:
    """Copy Keras variables into a module.

    Args:
        module: the module.
        kept: by name in the module: a variable, with its `Layout` unless that is the same in torch, or None.
    """
    found = []
    for name, given in kept.items():
        variable, layout = given if isinstance(given, tuple) else (given, SAME)
        if variable is None:
            setattr(module, name, None)
            continue
        tensor = layout.torch(variable.value.detach()).clone(memory_format=torch.contiguous_format)
        setattr(module, name, tensor if name in module._buffers else nn.Parameter(tensor, tensor.is_floating_point()))
        found.append(CopiedWeight(variable, module, name, layout))
    return found


def call_channels_first(module: Callable[[Tensor], Tensor], turned: bool, least: int = 3) -> Callable[..., Tensor]:
    """A function that calls a module on tensors with the channels last.

    Args:
        module: computes with channels first.
        turned: whether the model has channels last, so that they must be moved.
        least: fewest axes of a tensor whose channels are moved; those of maps always are.
    """

    def call(values: Tensor, **_: Any) -> Tensor:
        moves = turned and (values.ndim >= least or is_map(values))
        return to_channels_last(module(to_channels_first(values))) if moves else module(values)

    return call


def activation_name(layer: Any) -> str:
    """The name of a layer's activation function."""
    return getattr(layer.activation, "__name__", "")


def activate(layer: Any, values: Tensor, turned: bool) -> Tensor:
    """Apply a layer's activation to what it computed, with channels first if it works on each value by itself."""
    elementwise = layer.activation is None or activation_name(layer) in ELEMENTWISE
    if elementwise and activation_name(layer) not in ("", "linear"):
        values = layer.activation(values)
    values = to_channels_last(values) if turned else values
    if activation_name(layer) == "softmax":
        values = torch.special.softmax(values, -1)  # this name, because watchers take softmax for attention
    elif not elementwise:
        values = layer.activation(values)
    return values


def has_channels_last(layer: Any) -> bool:
    """Whether the data format of a layer is channels last."""
    found: bool = layer.data_format == "channels_last"
    return found
