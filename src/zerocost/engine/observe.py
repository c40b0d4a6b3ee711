"""Sees activations and layer outputs where they happen: as module, function or method, in place or not.

A `TorchFunctionMode` is told of every torch function the network calls, whatever class of module calls it. Attention
arrives as one call; `SeeInside` runs its body so that the calls within are seen too.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.engine.signals import ChannelSaliency
from zerocost.errors import Failure

Function = Callable[..., Any]


def variants(*names: str) -> frozenset[Function]:
    """Every torch function of the given names: in torch, torch.nn.functional and Tensor, in place or not."""
    homes = (torch, F, Tensor)
    found = (getattr(home, name + end, None) for home in homes for name in names for end in ("", "_"))
    return frozenset(function for function in found if function is not None)


RECTIFIERS = variants(
    *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu"),
    *("gelu", "silu", "mish", "softplus", "hardswish"),
)
CLAMPS = variants("hardtanh", "threshold", "clamp", "clamp_min", "clip")
CHANNEL_AXIS: dict[Function, int] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), 1),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), 1),
    F.linear: -1,
}
BATCH_NORM = frozenset({F.batch_norm, torch.batch_norm})
DROPOUT = variants("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
NORMALISATION = BATCH_NORM | frozenset({F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm, F.local_response_norm})


def rectifies(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is an activation with its hinge at zero.

    >>> rectifies(torch.relu, (), {}), rectifies(F.hardtanh, (None, 0.0, 6.0), {}), rectifies(torch.tanh, (), {})
    (True, True, False)
    """
    if function in RECTIFIERS:
        return True
    if function not in CLAMPS:
        return False
    bounds = [*args[1:2], *(kwargs[name] for name in ("min", "min_val", "threshold") if name in kwargs)]
    return any(isinstance(bound, int | float) and bound == 0 for bound in bounds)


def undispatched(function: Function) -> Function:
    """A Python-level torch function without its dispatch check, so that a mode can run its body."""
    namespace = {**function.__globals__, "has_torch_function": lambda _: False}
    body = types.FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
    body.__kwdefaults__ = function.__kwdefaults__
    return body


BODIES = {F.multi_head_attention_forward: undispatched(F.multi_head_attention_forward)}


class SeeInside(TorchFunctionMode):
    """Base of our modes: hands each call to `call`, and composite functions call by call."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in BODIES:
            with self:
                return BODIES[function](*args, **(kwargs or {}))
        return self.call(function, args, kwargs or {})

    def call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Flow(SeeInside):
    """Runs normalisation and dropout as the identity and keeps every floating-point result in float64."""

    def call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if function in NORMALISATION or function in DROPOUT:
            return args[0] if args else kwargs["input"]
        result = function(*args, **kwargs)
        narrow = isinstance(result, Tensor) and result.is_floating_point() and result.dtype != torch.float64
        return result.double() if narrow else result


class Observer(SeeInside):
    """Watches one forward pass on `samples` samples; collects what `wanted` signals need.

    Attributes:
        codes: signs of every activation's input, one boolean matrix N×units an activation, when `keep_codes`.
        kernel: their N×N agreement summed over activations, otherwise.
        layers: channel saliency by the identity of the layer's weight, filled during the backward pass.
        problems: signals that cannot be had of this network, with the reason.
        batch_norm: whether BatchNorm was seen in train mode, which ties the samples of a batch together.
    """

    def __init__(self, samples: int, wanted: frozenset[str], keep_codes: bool) -> None:
        super().__init__()
        self.samples = samples
        self.see_activations = "activation_kernel" in wanted
        self.see_channels = "channel_saliency" in wanted
        self.keep_codes = keep_codes
        self.codes: list[Tensor] = []
        self.kernel: Tensor | None = None
        self.batch_norm = False
        self.problems: dict[str, Failure] = {}
        self.layers: dict[int, ChannelSaliency] = {}
        self._outputs: dict[int, list[dict[str, Tensor]]] = {}
        self._weights: list[Tensor] = []
        self._hooks: list[Any] = []

    def call(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.see_activations and rectifies(function, args, kwargs):
            self._note("activation_kernel", self._activation, args[0] if args else kwargs["input"])
        if self._outputs and args and isinstance(args[0], Tensor) and in_place(function, kwargs):
            self._keep(args[0])
        result = function(*args, **kwargs)
        if function in CHANNEL_AXIS and self.see_channels and isinstance(result, Tensor) and result.requires_grad:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self._note("channel_saliency", self._layer, result, weight, CHANNEL_AXIS[function])
        elif function in BATCH_NORM and (args[5] if len(args) > 5 else kwargs.get("training", False)):
            self.batch_norm = True
        return result

    def _note(self, signal: str, record: Function, *values: Any) -> None:
        if signal not in self.problems:
            try:
                with torch.no_grad():
                    record(*values)
            except Failure as failure:
                self.problems[signal] = failure

    def _activation(self, before: Tensor) -> None:
        code = by_sample(before > 0, self.samples).flatten(1)
        if self.keep_codes:
            self.codes.append(code)
        else:
            kernel = agreement(code)
            self.kernel = kernel if self.kernel is None else self.kernel.add_(kernel)

    def _layer(self, output: Tensor, weight: Tensor, axis: int) -> None:
        held = {"value": output.detach()}
        version = output._version
        self._weights.append(weight)
        self._outputs.setdefault(output.untyped_storage().data_ptr(), []).append(held)

        def add(gradient: Tensor) -> None:
            self._note("channel_saliency", record, gradient)

        def record(gradient: Tensor) -> None:
            value = held["value"]
            if value._version != version and "kept" not in held:
                raise Failure("a layer's output was overwritten in place by an operation that cannot be observed")
            values = channel_sums(value, gradient.detach(), axis, self.samples)
            known = self.layers.get(id(weight))
            total = values if known is None else known.values + values
            self.layers[id(weight)] = ChannelSaliency(total, weight.numel() / values.shape[1])

        self._hooks.append(output.register_hook(add))

    def _keep(self, written: Tensor) -> None:
        for held in self._outputs.pop(written.untyped_storage().data_ptr(), []):
            held["value"] = held["kept"] = held["value"].clone()

    def activations(self) -> Any:
        """The activation kernel, the codes it is made of when they are kept, or the Failure that says why not."""
        seen: Any = self.codes or None if self.keep_codes else self.kernel
        missing = Failure("no activation was seen whose hinge is at zero (ReLU, GELU, SiLU and the like)")
        return self.problems.get("activation_kernel", missing if seen is None else seen)

    def channels(self) -> Any:
        """Channel saliency of each layer seen, or the Failure that says why not."""
        missing = Failure("no convolution or linear layer was seen")
        return self.problems.get("channel_saliency", list(self.layers.values()) or missing)

    def release(self) -> None:
        """Take the hooks off, after the one backward pass they are for."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._outputs.clear()


def in_place(function: Function, kwargs: dict[str, Any]) -> bool:
    """Whether a call writes into its first argument, going by torch's naming.

    >>> in_place(torch.relu_, {}), in_place(F.relu, {"inplace": True}), in_place(torch.relu, {})
    (True, True, False)
    """
    name = getattr(function, "__name__", "")
    augmented = name.startswith("__i") and name.endswith("__") and name not in ("__init__", "__invert__", "__int__")
    return augmented or (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace"))


def by_sample(values: Tensor, samples: int) -> Tensor:
    """`values` with the sample axis in front: the first already, the second of a sequence (T×N×E), or the outer part
    of the first where windows or patches are merged into it.

    >>> by_sample(torch.zeros(5, 2, 3), samples=2).shape, by_sample(torch.zeros(8, 3), samples=2).shape
    (torch.Size([2, 5, 3]), torch.Size([2, 4, 3]))
    """
    sizes = tuple(values.shape)
    if sizes[:1] == (samples,):
        return values
    if len(sizes) == 3 and sizes[1] == samples:
        return values.movedim(1, 0)
    if sizes and sizes[0] and sizes[0] % samples == 0:
        return values.reshape(samples, -1, *sizes[1:])
    raise Failure(f"an activation of shape {sizes} has no axis for the {samples} samples of the batch")


def agreement(code: Tensor) -> Tensor:
    """For each pair of rows the number of columns in which two boolean matrices' rows agree, N×N in float64.

    >>> agreement(torch.tensor([[True, False, True], [True, True, True]]))
    tensor([[3., 2.],
            [2., 3.]], dtype=torch.float64)
    """
    kernel = torch.zeros(len(code), len(code), dtype=torch.float64, device=code.device)
    for block in torch.split(code, 2**22, dim=1):
        signs = block.to(torch.float32).mul_(2).sub_(1)
        kernel += (signs @ signs.T).double().add_(block.shape[1]).div_(2)
    return kernel


def channel_sums(value: Tensor, gradient: Tensor, axis: int, samples: int) -> Tensor:
    """Sum over positions of value·gradient for each sample and channel: N×C."""
    product = (value * gradient).movedim(axis, -1)
    if product.ndim == 1:
        raise Failure("a layer ran on a single sample without a batch axis")
    product = by_sample(product, samples)
    return product.flatten(1, -2).sum(1) if product.ndim > 2 else product
