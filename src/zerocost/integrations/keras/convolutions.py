"""Keras's convolutions as torch modules."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from zerocost.integrations.keras.layout import (
    OUTPUTS_FIRST,
    CopiedWeight,
    Layout,
    TorchLayer,
    activate,
    copy_weights,
    has_channels_last,
    to_channels_first,
)


def _pad(layer: Any, values: Tensor) -> Tensor:
    """Pad N×C×… with zeros as the layer does; of an odd number, the extra one goes to the end."""
    if layer.padding == "valid":
        return values
    widths: list[int] = []
    for size, kernel, stride, dilation in zip(
        values.shape[2:], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        reach = (kernel - 1) * dilation + 1
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        before = reach - 1 if layer.padding == "causal" else total // 2
        widths = [before, 0 if layer.padding == "causal" else total - before, *widths]
    return F.pad(values, widths) if any(widths) else values


def _chain(layer: Any, modules: dict[str, nn.Module], weights: list[CopiedWeight], pad: Any = _pad) -> TorchLayer:
    """Convolutions one after the other: the layer's padding first, its activation at the end."""
    turned = has_channels_last(layer)

    def call(values: Tensor, **_: Any) -> Tensor:
        values = pad(layer, to_channels_first(values) if turned else values)
        for module in modules.values():
            values = module(values)
        return activate(layer, values, turned)

    return TorchLayer(modules, call, weights)


def _empty_convolution(rank: int, *args: Any, kind: str = "Conv", **kwargs: Any) -> nn.Module:
    """A convolution of `rank` dimensions without weights yet."""
    module: nn.Module = getattr(nn, f"{kind}{rank}d")(*args, device="meta", **kwargs)
    return module


def convolution(layer: Any) -> TorchLayer:
    *size, inputs, outputs = layer.kernel.shape
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = _empty_convolution(layer.rank, inputs * layer.groups, outputs, tuple(size), groups=layer.groups, **steps)
    return _chain(layer, {"": module}, copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias))


def transposed(layer: Any) -> TorchLayer:
    backend = importlib.import_module("keras.src.backend.common.backend_utils")
    *size, outputs, inputs = layer.kernel.shape
    steps = {"strides": layer.strides, "dilation_rate": layer.dilation_rate}
    shapes = {"input_shape": [None] * (layer.rank + 2), "kernel_shape": layer.kernel.shape}
    with warnings.catch_warnings(
        action="ignore"
    ):  # about the padding of other backends; Keras gives them when the layer runs
        padding, output_padding = backend.compute_conv_transpose_padding_args_for_torch(
            **shapes, **steps, padding=layer.padding, output_padding=layer.output_padding
        )
    padding = {"padding": tuple(padding), "output_padding": tuple(output_padding)}
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = _empty_convolution(layer.rank, inputs, outputs, tuple(size), kind="ConvTranspose", **padding, **steps)
    weights = copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias)
    return _chain(layer, {"": module}, weights, pad=lambda _, values: values)


def _channelwise_convolution(layer: Any, kernel: Any, bias: Any) -> tuple[nn.Module, list[CopiedWeight]]:
    """A convolution of each channel by itself; (height, width, in, times) to (in · times, 1, height, width)."""
    *size, inputs, multiplier = kernel.shape
    layout = Layout(
        lambda t: t.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1),
        lambda t: t.squeeze(1).reshape(inputs, multiplier, *size).movedim((0, 1), (-2, -1)),
    )
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = _empty_convolution(layer.rank, inputs, inputs * multiplier, tuple(size), groups=inputs, **steps)
    return module, copy_weights(module, weight=(kernel, layout), bias=bias)


def depthwise(layer: Any) -> TorchLayer:
    module, weights = _channelwise_convolution(layer, layer.kernel, layer.bias)
    return _chain(layer, {"": module}, weights)


def separable(layer: Any) -> TorchLayer:
    apart, weights = _channelwise_convolution(layer, layer.depthwise_kernel, None)
    *size, inputs, outputs = layer.pointwise_kernel.shape
    across = _empty_convolution(layer.rank, inputs, outputs, tuple(size))
    weights += copy_weights(across, weight=(layer.pointwise_kernel, OUTPUTS_FIRST), bias=layer.bias)
    return _chain(layer, {"depthwise": apart, "pointwise": across}, weights)
