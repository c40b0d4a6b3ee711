"""Layers run such that the derivative of their outputs to the first element of their weight is cheap, and twice so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.engine.calls.call import Call
from zerocost.engine.calls.functions import CHANNEL_AXIS, Function, function_name


class FirstElementMode(TorchFunctionMode):
    """Runs convolutions and linear layers as functions of a step, 0, that is added to the weight's first element; and
    BatchNorm in eval mode in elementary operations.

    Torch's own second derivative of a convolution takes two convolutions, where one will do, and goes by way of the
    gradient to all elements of the weight. A weight that the network computes is left to torch.

    Args:
        weights: those whose first element matters; a layer's output depends on the step in place of the weight.

    Attributes:
        steps: the step of each weight.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.steps = [weight.new_zeros((), requires_grad=True) for weight in weights]
        self._step_of = {id(weight): step for weight, step in zip(weights, self.steps, strict=True)}

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, function_name(function)
        if name in CHANNEL_AXIS and len(args) > 1 and args[1].numel() and torch.is_grad_enabled():
            step = self._step_of.get(id(args[1]))
            layer = _as_layer(function, CHANNEL_AXIS[name], args, kwargs)
            if layer is not None and (step is not None or not args[1].requires_grad):
                result: Tensor = _Layer.apply(layer, args[0], step)  # type: ignore[no-untyped-call]
                return result if layer.bias is None else result + layer.bias
        if function is F.batch_norm and not Call(function, name, args, kwargs).argument(5, "training", False):
            return _batch_norm(*args, **kwargs)
        return function(*args, **kwargs)


class _LinearLayer(NamedTuple):
    """A convolution or linear layer with a constant weight.

    Attributes:
        run: it without its bias.
        first: it with its weight's first element as 1, all others as 0, and its first channel alone.
        axis: the axis of the channels in what it returns.
        bias: in the shape in which it is added.
    """

    run: Callable[[Tensor], Tensor]
    first: Callable[[Tensor], Tensor]
    axis: int
    bias: Tensor | None


def _as_layer(function: Function, axis: int, args: Sequence[Any], kwargs: dict[str, Any]) -> _LinearLayer | None:
    """A call of a layer on a batch; None for another, and inside torch.vmap."""
    inputs, weight, *options = args
    if weight.ndim < 2 or inputs.ndim < weight.ndim or not inputs.is_floating_point():
        return None
    if torch._C._functorch.maybe_current_level() is not None:
        return None
    weight, bias = weight.detach(), options[0] if options else kwargs.get("bias")
    one = torch.zeros_like(weight[:1, :1], memory_format=torch.contiguous_format)
    one.view(-1)[0] = 1
    named = {name: value for name, value in kwargs.items() if name != "bias"}
    alone = {name: value for name, value in named.items() if name != "groups"}
    others, others_alone = options[1:], [*options[1:4], *([1] * len(options[4:5])), *options[5:]]
    return _LinearLayer(
        lambda x: function(x, weight, None, *others, **named),
        lambda x: function(x.narrow(axis, 0, 1), one, None, *others_alone, **alone),
        axis,
        bias if bias is None or axis < 0 else bias.reshape(-1, *[1] * (weight.ndim - 2)),
    )


class _Layer(torch.autograd.Function):
    """A layer as a function of its input and of the step of its weight's first element, which is 0."""

    @staticmethod
    def forward(ctx: Any, layer: _LinearLayer, inputs: Tensor, step: Tensor | None) -> Tensor:
        with torch.enable_grad():
            ctx.inputs = inputs.detach().requires_grad_()
            ctx.outputs = layer.run(ctx.inputs)
        ctx.layer = layer
        outputs: Tensor = ctx.outputs.detach()
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, *_Transposed.apply(ctx, gradient, *ctx.needs_input_grad[1:])  # type: ignore[no-untyped-call]


class _Transposed(torch.autograd.Function):
    """The backward of a layer: linear in the gradient of its output."""

    @staticmethod
    def forward(ctx: Any, made: Any, gradient: Tensor, to_inputs: bool, to_step: bool) -> Any:
        ctx.made, ctx.shape = made, gradient.shape
        ctx.set_materialize_grads(False)
        layer, found, step = made.layer, None, None
        if to_inputs:
            (found,) = torch.autograd.grad(made.outputs, made.inputs, gradient, retain_graph=True)
        if to_step:
            step = (gradient.narrow(layer.axis, 0, 1) * layer.first(made.inputs.detach())).sum()
        return found, step

    @staticmethod
    def backward(ctx: Any, inputs: Tensor | None, step: Tensor | None) -> Any:
        layer, source = ctx.made.layer, ctx.made.inputs.detach()
        found = source.new_zeros(ctx.shape) if inputs is None else layer.run(inputs)
        if step is not None:
            found.narrow(layer.axis, 0, 1).add_(step * layer.first(source))
        return None, found, None, None


def _batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """That of torch.nn.functional in eval mode."""
    scale = (running_var + eps).rsqrt()
    scale = scale if weight is None else weight * scale
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    shape = -1, *[1] * (input.ndim - 2)
    return torch.addcmul(shift.reshape(shape), input, scale.reshape(shape))
