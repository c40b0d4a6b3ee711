"""Keras layers as torch modules: the same arithmetic on channels-first tensors, and the weights in torch's layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zerocost.integrations.keras.attention import attention
from zerocost.integrations.keras.convolutions import convolution, depthwise, separable, transposed
from zerocost.integrations.keras.layout import (
    ELEMENTWISE,
    OUTPUTS_FIRST,
    Layout,
    TorchLayer,
    activate,
    activation_name,
    call_channels_first,
    copy_weights,
    has_channels_last,
    to_channels_first,
    to_channels_last,
)

ELEMENTWISE_OPERATIONS = {
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Softplus", "Softsign", "Tanh", "Sigmoid"),
    *("HardSigmoid", "HardSilu", "HardTanh"),
}


def _dense(layer: Any) -> TorchLayer:
    inputs, outputs = layer.kernel.shape
    module = nn.Linear(inputs, outputs, device="meta")
    weights = copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias)
    return TorchLayer({"": module}, lambda values, **_: activate(layer, module(values), turned=False), weights)


def _batch_norm(layer: Any) -> TorchLayer | None:
    rank = layer.input_spec.ndim
    if rank not in (2, 3, 4, 5) or layer.axis not in (-1, rank - 1, 1):
        return None
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[rank]
    module = kind(layer.moving_mean.shape[0], eps=layer.epsilon, momentum=1 - layer.momentum, device="meta")
    module.num_batches_tracked = torch.tensor(0)
    weights = copy_weights(
        module,
        weight=layer.gamma if layer.scale else None,
        bias=layer.beta if layer.center else None,
        running_mean=layer.moving_mean,
        running_var=layer.moving_variance,
    )
    turned = layer.axis != 1 and rank > 2

    def call(values: Tensor, training: bool | None = None, **_: Any) -> Tensor:
        module.training = bool(training) and layer.trainable
        return to_channels_last(module(to_channels_first(values))) if turned else module(values)

    return TorchLayer({"": module}, call, weights)


def _layer_norm(layer: Any) -> TorchLayer | None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if list(axes) != [-1] or getattr(layer, "rms_scaling", False):
        return None
    weight: Any = layer.gamma if layer.scale else None
    bias: Any = layer.beta if layer.center else None
    if weight is None and bias is None:
        return None
    module = nn.LayerNorm((weight if weight is not None else bias).shape, eps=layer.epsilon, device="meta")
    return TorchLayer({"": module}, lambda values, **_: module(values), copy_weights(module, weight=weight, bias=bias))


def _group_norm(layer: Any) -> TorchLayer | None:
    weight: Any = layer.gamma if layer.scale else None
    bias: Any = layer.beta if layer.center else None
    if layer.axis != -1 or (weight is None and bias is None):
        return None
    channels = (weight if weight is not None else bias).shape[0]
    module = nn.GroupNorm(layer.groups, channels, eps=layer.epsilon, device="meta")
    return TorchLayer(
        {"": module}, call_channels_first(module, turned=True), copy_weights(module, weight=weight, bias=bias)
    )


def _embedding(layer: Any) -> TorchLayer:
    words, size = layer.embeddings.shape
    module = nn.Embedding(words, size, device="meta")
    return TorchLayer(
        {"": module}, lambda values, **_: module(values.int()), copy_weights(module, weight=layer.embeddings)
    )


class LayerCode(nn.Module):
    """A module that runs a Keras layer's own code, for layers that do not depend on where the channels are."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)


def _activation(layer: Any, turned: bool) -> TorchLayer | None:
    if hasattr(layer, "activation") and activation_name(layer) not in ELEMENTWISE:
        return None
    module = LayerCode(layer.call)
    return TorchLayer({"": module}, call_channels_first(module, turned, least=4))


def _prelu(layer: Any, turned: bool) -> TorchLayer | None:
    shape, shared = layer.alpha.shape, set(layer.shared_axes or ())
    axes = range(1, len(shape) + 1)
    if shared not in (set(axes[:-1]), set(axes[1:]), set(axes)):
        return None
    module = nn.PReLU(max(shape), device="meta")
    weights = copy_weights(module, weight=(layer.alpha, Layout(Tensor.flatten, lambda t: t.reshape(shape))))
    return TorchLayer(
        {"": module},
        call_channels_first(module, turned if 1 in shared and len(shape) in shared else 1 in shared),
        weights,
    )


def _dropout(layer: Any, turned: bool) -> TorchLayer | None:
    if type(layer).__name__ != "Dropout":
        module: nn.Module = (nn.Dropout1d if "1D" in type(layer).__name__ else nn.Dropout2d)(layer.rate)
        turn = call_channels_first(module, getattr(layer, "data_format", "channels_last") == "channels_last")
    elif layer.noise_shape is None:
        module = nn.Dropout(layer.rate)
        turn = call_channels_first(module, turned, least=4)
    else:
        return None

    def call(values: Tensor, training: bool | None = None, **_: Any) -> Tensor:
        module.training = bool(training)
        return turn(values)

    return TorchLayer({"": module}, call)


def _pooling(layer: Any) -> TorchLayer | None:
    if layer.padding != "valid":
        return None
    kind = getattr(nn, f"{type(layer).__name__[:3]}Pool{len(layer.pool_size)}d".replace("Ave", "Avg"))
    module = kind(layer.pool_size, layer.strides)
    return TorchLayer({"": module}, call_channels_first(module, has_channels_last(layer)))


_MAKERS: dict[str, Callable[[Any], TorchLayer | None]] = {
    "Dense": _dense,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "Embedding": _embedding,
    **dict.fromkeys(
        (f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)),
        _pooling,
    ),
    "MultiHeadAttention": attention,
}


_POSITION_FREE_MAKERS: dict[str, Callable[[Any, bool], TorchLayer | None]] = {
    **dict.fromkeys(("ReLU", "LeakyReLU", "ELU", "Activation"), _activation),
    "PReLU": _prelu,
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D"), _dropout),
}
"""Makers for layers that do not depend on where the channels are; they also take whether the model has them last."""


def torch_layer(layer: Any, turned: bool) -> TorchLayer | None:
    """The torch modules that stand for a layer; None for a layer that must run its own code.

    Args:
        layer: the layer.
        turned: whether the model has channels last.
    """
    changed = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    if changed or not _is_keras_layer(layer):
        return None
    name = type(layer).__name__
    if name in _POSITION_FREE_MAKERS:
        return _POSITION_FREE_MAKERS[name](layer, turned)
    return _MAKERS[name](layer) if name in _MAKERS else None


def is_preprocessing(layer: Any) -> bool:
    """Whether a layer is one of Keras's that rescale or augment data and keep their shape."""
    if not _is_keras_layer(layer) or type(layer).__name__ in ("Resizing", "CenterCrop", "RandomCrop"):
        return False
    augments = ".image_preprocessing." in type(layer).__module__
    return augments or type(layer).__name__ in ("Normalization", "Rescaling")


def _is_keras_layer(layer: Any) -> bool:
    """Whether a layer is Keras's own, not a subclass that a user wrote."""
    return type(layer).__module__.startswith("keras.src.layers.")
