"""Keras layers as torch modules: the same arithmetic on channels-first tensors, and the weights in torch's layout."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ELEMENTWISE = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish", "softplus", "softsign"),
    *("tanh", "sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "exponential", "linear", "squareplus"),
}
ELEMENTWISE_OPERATIONS = {
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Softplus", "Softsign", "Tanh", "Sigmoid"),
    *("HardSigmoid", "HardSilu", "HardTanh"),
}


class Layout(NamedTuple):
    """How a weight of Keras is turned into torch's axes, and back."""

    torch: Callable[[Tensor], Tensor]
    keras: Callable[[Tensor], Tensor]


class CopiedWeight(NamedTuple):
    """A Keras variable, and the module and name under which its tensor is kept in torch's layout."""

    variable: Any
    module: nn.Module
    name: str
    layout: Layout

    @property
    def value(self) -> Tensor:
        """What stands for the variable now, in Keras's layout."""
        found: Tensor = getattr(self.module, self.name)
        return self.layout.keras(found)


@dataclass(frozen=True)
class TorchLayer:
    """The torch modules that stand for a layer, by what is added to its name, and how they are called."""

    modules: dict[str, nn.Module]
    call: Callable[..., Any]
    held: Sequence[CopiedWeight] = ()


SAME = Layout(lambda t: t, lambda t: t)
OUTPUTS_FIRST = Layout(lambda t: t.movedim((-1, -2), (0, 1)), lambda t: t.movedim((0, 1), (-1, -2)))
"""(height, width, in, out) and (in, out) to (out, in, height, width) and (out, in)."""


def to_channels_first(values: Tensor) -> Tensor:
    """N×…×C to N×C×…."""
    return values.movedim(-1, 1)


def to_channels_last(values: Tensor) -> Tensor:
    """N×C×… to N×…×C, which is remembered of the tensor."""
    return mark_map(values.movedim(1, -1))


def mark_map(values: Tensor) -> Tensor:
    """A tensor, remembered as one that has channels last and that torch would have channels first."""
    vars(values)["is_map"] = True
    return values


def is_map(values: Any) -> bool:
    """Whether a tensor is the outcome of a layer that works channels first: N×T×C may be that, or tokens."""
    return getattr(values, "is_map", False)


def copy_weights(module: nn.Module, **kept: tuple[Any, Layout] | Any) -> list[CopiedWeight]:
    """Put copies of Keras variables into a module, under the names given; those that are None become None."""
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


def activation_name(layer: Any) -> str:
    """The name of a layer's activation function."""
    return getattr(layer.activation, "__name__", "")


def activate(layer: Any, values: Tensor, turned: bool) -> Tensor:
    """A layer's activation on what it computed, channels first while it works on each value by itself."""
    alone = layer.activation is None or activation_name(layer) in ELEMENTWISE
    if alone and activation_name(layer) not in ("", "linear"):
        values = layer.activation(values)
    values = to_channels_last(values) if turned else values
    if activation_name(layer) == "softmax":
        values = torch.special.softmax(values, -1)  # by a name of its own: watchers take softmax for attention's
    elif not alone:
        values = layer.activation(values)
    return values


def call_channels_first(module: Callable[[Tensor], Tensor], turned: bool, least: int = 3) -> Callable[..., Tensor]:
    """A call of a module that works channels first, where `turned` on maps, and tensors of `least` axes or more, that
    have them last."""

    def call(values: Tensor, **_: Any) -> Tensor:
        return (
            to_channels_last(module(to_channels_first(values)))
            if turned and (values.ndim >= least or is_map(values))
            else module(values)
        )

    return call


def dense(layer: Any) -> TorchLayer:
    inputs, outputs = layer.kernel.shape
    module = nn.Linear(inputs, outputs, device="meta")
    held = copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias)
    return TorchLayer({"": module}, lambda values, **_: activate(layer, module(values), turned=False), held)


def channels_last(layer: Any) -> bool:
    """Whether a layer that has a data format takes channels last."""
    found: bool = layer.data_format == "channels_last"
    return found


def pad(layer: Any, values: Tensor) -> Tensor:
    """Zeros around N×C×…, as the layer's padding asks for: an odd one goes to the end."""
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


def chain(layer: Any, modules: dict[str, nn.Module], held: list[CopiedWeight], pad: Any = pad) -> TorchLayer:
    """Convolutions in a row, the first one with the layer's padding, the last one followed by its activation."""
    turned = channels_last(layer)

    def call(values: Tensor, **_: Any) -> Tensor:
        values = pad(layer, to_channels_first(values) if turned else values)
        for module in modules.values():
            values = module(values)
        return activate(layer, values, turned)

    return TorchLayer(modules, call, held)


def empty_convolution(rank: int, *args: Any, kind: str = "Conv", **kwargs: Any) -> nn.Module:
    """A convolution in so many dimensions, its weights to be put in."""
    module: nn.Module = getattr(nn, f"{kind}{rank}d")(*args, device="meta", **kwargs)
    return module


def convolution(layer: Any) -> TorchLayer:
    *size, inputs, outputs = layer.kernel.shape
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = empty_convolution(layer.rank, inputs * layer.groups, outputs, tuple(size), groups=layer.groups, **steps)
    return chain(layer, {"": module}, copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias))


def transposed(layer: Any) -> TorchLayer:
    backend = importlib.import_module("keras.src.backend.common.backend_utils")
    *size, outputs, inputs = layer.kernel.shape
    steps = {"strides": layer.strides, "dilation_rate": layer.dilation_rate}
    shapes = {"input_shape": [None] * (layer.rank + 2), "kernel_shape": layer.kernel.shape}
    with warnings.catch_warnings(action="ignore"):  # of other backends' padding, which Keras gives when it runs
        padding, output_padding = backend.compute_conv_transpose_padding_args_for_torch(
            **shapes, **steps, padding=layer.padding, output_padding=layer.output_padding
        )
    padding = {"padding": tuple(padding), "output_padding": tuple(output_padding)}
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = empty_convolution(layer.rank, inputs, outputs, tuple(size), kind="ConvTranspose", **padding, **steps)
    held = copy_weights(module, weight=(layer.kernel, OUTPUTS_FIRST), bias=layer.bias)
    return chain(layer, {"": module}, held, pad=lambda _, values: values)


def channelwise_convolution(layer: Any, kernel: Any, bias: Any) -> tuple[nn.Module, list[CopiedWeight]]:
    """A convolution of each channel by itself; (height, width, in, times) to (in · times, 1, height, width)."""
    *size, inputs, multiplier = kernel.shape
    layout = Layout(
        lambda t: t.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1),
        lambda t: t.squeeze(1).reshape(inputs, multiplier, *size).movedim((0, 1), (-2, -1)),
    )
    steps = {"stride": layer.strides, "dilation": layer.dilation_rate}
    module = empty_convolution(layer.rank, inputs, inputs * multiplier, tuple(size), groups=inputs, **steps)
    return module, copy_weights(module, weight=(kernel, layout), bias=bias)


def depthwise(layer: Any) -> TorchLayer:
    module, held = channelwise_convolution(layer, layer.kernel, layer.bias)
    return chain(layer, {"": module}, held)


def separable(layer: Any) -> TorchLayer:
    apart, held = channelwise_convolution(layer, layer.depthwise_kernel, None)
    *size, inputs, outputs = layer.pointwise_kernel.shape
    across = empty_convolution(layer.rank, inputs, outputs, tuple(size))
    held += copy_weights(across, weight=(layer.pointwise_kernel, OUTPUTS_FIRST), bias=layer.bias)
    return chain(layer, {"depthwise": apart, "pointwise": across}, held)


def batch_norm(layer: Any) -> TorchLayer | None:
    rank = layer.input_spec.ndim
    if rank not in (2, 3, 4, 5) or layer.axis not in (-1, rank - 1, 1):
        return None
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[rank]
    module = kind(layer.moving_mean.shape[0], eps=layer.epsilon, momentum=1 - layer.momentum, device="meta")
    module.num_batches_tracked = torch.tensor(0)
    held = copy_weights(
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

    return TorchLayer({"": module}, call, held)


def layer_norm(layer: Any) -> TorchLayer | None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if list(axes) != [-1] or getattr(layer, "rms_scaling", False):
        return None
    weight: Any = layer.gamma if layer.scale else None
    bias: Any = layer.beta if layer.center else None
    if weight is None and bias is None:
        return None
    module = nn.LayerNorm((weight if weight is not None else bias).shape, eps=layer.epsilon, device="meta")
    return TorchLayer({"": module}, lambda values, **_: module(values), copy_weights(module, weight=weight, bias=bias))


def group_norm(layer: Any) -> TorchLayer | None:
    weight: Any = layer.gamma if layer.scale else None
    bias: Any = layer.beta if layer.center else None
    if layer.axis != -1 or (weight is None and bias is None):
        return None
    channels = (weight if weight is not None else bias).shape[0]
    module = nn.GroupNorm(layer.groups, channels, eps=layer.epsilon, device="meta")
    return TorchLayer(
        {"": module}, call_channels_first(module, turned=True), copy_weights(module, weight=weight, bias=bias)
    )


def embedding(layer: Any) -> TorchLayer:
    words, size = layer.embeddings.shape
    module = nn.Embedding(words, size, device="meta")
    return TorchLayer(
        {"": module}, lambda values, **_: module(values.int()), copy_weights(module, weight=layer.embeddings)
    )


class LayerCode(nn.Module):
    """A Keras layer's own arithmetic, which is the same wherever the channels are, as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)


def activation(layer: Any, turned: bool) -> TorchLayer | None:
    if hasattr(layer, "activation") and activation_name(layer) not in ELEMENTWISE:
        return None
    module = LayerCode(layer.call)
    return TorchLayer({"": module}, call_channels_first(module, turned, least=4))


def prelu(layer: Any, turned: bool) -> TorchLayer | None:
    shape, shared = layer.alpha.shape, set(layer.shared_axes or ())
    axes = range(1, len(shape) + 1)
    if shared not in (set(axes[:-1]), set(axes[1:]), set(axes)):
        return None
    module = nn.PReLU(max(shape), device="meta")
    held = copy_weights(module, weight=(layer.alpha, Layout(Tensor.flatten, lambda t: t.reshape(shape))))
    return TorchLayer(
        {"": module}, call_channels_first(module, turned if 1 in shared and len(shape) in shared else 1 in shared), held
    )


def dropout(layer: Any, turned: bool) -> TorchLayer | None:
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


def pooling(layer: Any) -> TorchLayer | None:
    if layer.padding != "valid":
        return None
    kind = getattr(nn, f"{type(layer).__name__[:3]}Pool{len(layer.pool_size)}d".replace("Ave", "Avg"))
    module = kind(layer.pool_size, layer.strides)
    return TorchLayer({"": module}, call_channels_first(module, channels_last(layer)))


class Attention(nn.Module):
    """Multi-head attention of N×T×E: four linear layers around scaled dot-product attention."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.heads, self.dropout = layer.num_heads, layer.dropout
        self.held: list[CopiedWeight] = []
        for name in ("query", "key", "value"):
            part = getattr(layer, f"_{name}_dense")
            inputs, heads, size = part.kernel.shape
            kernel = Layout(lambda t: t.flatten(1).T, lambda t, s=size: t.T.unflatten(1, (-1, s)))  # type: ignore[misc]
            bias = Layout(Tensor.flatten, lambda t, s=size: t.unflatten(0, (-1, s)))  # type: ignore[misc]
            linear = nn.Linear(inputs, heads * size, device="meta")
            self.add_module(name, linear)
            self.held += copy_weights(linear, weight=(part.kernel, kernel), bias=(part.bias, bias))
        part = layer._output_dense
        heads, size, outputs = part.kernel.shape
        kernel = Layout(lambda t: t.flatten(0, 1).T, lambda t: t.T.reshape(heads, size, outputs))
        self.output = nn.Linear(heads * size, outputs, device="meta")
        self.held += copy_weights(self.output, weight=(part.kernel, kernel), bias=part.bias)

    def forward(self, query: Tensor, value: Tensor, key: Tensor, causal: bool) -> Tensor:
        parts = (("query", query), ("key", key), ("value", value))
        q, k, v = (getattr(self, name)(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name, x in parts)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
        found: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return found


def attention(layer: Any) -> TorchLayer | None:
    if layer._query_dense.kernel.ndim != 3 or layer._output_dense.kernel.ndim != 3 or layer._attention_axes != (1,):
        return None
    module, own = Attention(layer), layer.call
    held, module.held = module.held, []

    def call(
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        *masks: Any,
        use_causal_mask: bool = False,
        training: bool | None = None,
        **others: Any,
    ) -> Any:
        module.training = bool(training)
        if any(other is not None and other is not False for other in (*masks, *others.values())):
            others |= {"use_causal_mask": use_causal_mask, "training": training}
            return own(query, value, key, *masks, **others)
        return module(query, value, value if key is None else key, use_causal_mask)

    return TorchLayer({"": module}, call, held)


MAKERS: dict[str, Callable[[Any], TorchLayer | None]] = {
    "Dense": dense,
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), transposed),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable),
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm,
    "Embedding": embedding,
    **dict.fromkeys(
        (f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)),
        pooling,
    ),
    "MultiHeadAttention": attention,
}
POSITION_FREE_MAKERS: dict[str, Callable[[Any, bool], TorchLayer | None]] = {
    **dict.fromkeys(("ReLU", "LeakyReLU", "ELU", "Activation"), activation),
    "PReLU": prelu,
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D"), dropout),
}
"""Those of layers that work the same wherever the channels are, told whether the model has them last."""


def torch_layer(layer: Any, turned: bool) -> TorchLayer | None:
    """The torch modules that stand for a layer of a model that has channels last if `turned`, or None for one that
    runs its own code."""
    changed = getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None)
    if changed or not is_keras_layer(layer):
        return None
    name = type(layer).__name__
    return (
        POSITION_FREE_MAKERS[name](layer, turned)
        if name in POSITION_FREE_MAKERS
        else MAKERS[name](layer)
        if name in MAKERS
        else None
    )


def is_preprocessing(layer: Any) -> bool:
    """Whether a layer is one of Keras's that prepare data and leave their shape: to a scale, or augmented."""
    if not is_keras_layer(layer) or type(layer).__name__ in ("Resizing", "CenterCrop", "RandomCrop"):
        return False
    augments = ".image_preprocessing." in type(layer).__module__
    return augments or type(layer).__name__ in ("Normalization", "Rescaling")


def is_keras_layer(layer: Any) -> bool:
    """Whether a layer is Keras's own and not a subclass of a user's."""
    return type(layer).__module__.startswith("keras.src.layers.")
