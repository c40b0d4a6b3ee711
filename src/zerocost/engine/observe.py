"""Sees activations and layer outputs where they happen: as module, function or method, in place or not.

A `TorchFunctionMode` is told of every torch function the network calls, whatever class of module calls it. Attention
arrives as one call; `SeeInside` runs its body so that the calls within are seen too.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.engine.functions import (
    CHANNEL_AXIS,
    DROPOUT,
    NORMALISATION,
    RECTIFIERS,
    Function,
    in_place,
    named,
    rectifies,
)
from zerocost.engine.rows import agreement, by_sample, sum_positions
from zerocost.engine.signals import ChannelSaliency
from zerocost.errors import Failure


def undispatched(function: Function) -> Function:
    """A Python-level torch function without its dispatch check, so that a mode can run its body."""
    namespace = {**function.__globals__, "has_torch_function": lambda _: False}
    body = types.FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
    body.__kwdefaults__ = function.__kwdefaults__
    return body


ATTENTION = F.multi_head_attention_forward
BODIES = {
    ATTENTION: undispatched(ATTENTION),
    torch.autograd.grad: undispatched(torch.autograd.grad),  # runs checkpointed parts of the network once more
}


class SeeInside(TorchFunctionMode):
    """Base of our modes: hands each call to `call`, and composite functions call by call.

    `originals` are the ids of the model's own tensors. The network runs on copies of them, so a call that meets one
    got hold of it around the model's attributes, and what it computes would not be measured: a `Failure`.
    """

    def __init__(self, originals: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.originals = originals
        self.attended = 0  # inside attention, whose tensors are T×B×E or (T·B)×E: the size B

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in BODIES:
            if function is ATTENTION:
                query = args[0] if args else kwargs["query"]
                self.attended = query.shape[1] if query.ndim == 3 else 1
            try:
                with self:
                    return BODIES[function](*args, **kwargs)
            finally:
                self.attended = 0
        result = self.call(function, named(function), args, kwargs)
        given = (*args, *args[0]) if args and type(args[0]) in (list, tuple) else args
        if isinstance(result, Tensor) and not self.originals.isdisjoint(map(id, (*given, *kwargs.values()))):
            raise Failure(
                "the network reads a parameter or buffer around its modules, as from a closure or a tuple, where it "
                "cannot be measured; read it from the module it belongs to"
            )
        return result

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Skeleton(SeeInside):
    """Runs what leaves shapes alone as the identity: normalisation, dropout and activations."""

    skipped = NORMALISATION | DROPOUT | RECTIFIERS

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in self.skipped:
            return args[0] if args else kwargs["input"]
        return function(*args, **kwargs)


class Flow(Skeleton):
    """Runs normalisation and dropout as the identity and everything in float64."""

    skipped = NORMALISATION | DROPOUT

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if function in NARROWING:
            return args[0].double()
        if not in_place(function, kwargs):
            args = tuple(map(widened, args))
            kwargs = {key: widened(value) for key, value in kwargs.items()}
        return widened(super().call(function, name, args, kwargs))


NARROWING = (Tensor.float, Tensor.half, Tensor.bfloat16)


def widened(value: Any) -> Any:
    """A floating-point tensor in float64, a floating-point dtype as float64; anything else as it is."""
    if isinstance(value, torch.dtype):
        return torch.float64 if value.is_floating_point else value
    narrow = isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64
    return value.double() if narrow else value


class Observer(SeeInside):
    """Watches one forward pass on `samples` samples; collects what `wanted` signals need.

    Attributes:
        tokens_first: whether the network has layers that take tokens along the first axis, samples along the second.
        constants: ids of tensors that do not depend on the samples, such as parameters.
        codes: signs of every activation's input, one boolean matrix N×units an activation, when `keep_codes`.
        kernel: their N×N agreement summed over activations, otherwise.
        layers: channel saliency by the identity of the layer's weight, filled during the backward pass.
        problems: signals that cannot be had of this network, with the reason.
        batch_norm: whether BatchNorm was seen in train mode, which ties the samples of a batch together.
    """

    def __init__(
        self,
        samples: int,
        wanted: frozenset[str],
        keep_codes: bool = False,
        tokens_first: bool = False,
        originals: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(originals)
        self.samples = samples
        self.see_activations = "activation_kernel" in wanted
        self.see_channels = "channel_saliency" in wanted
        self.keep_codes = keep_codes
        self.tokens_first = tokens_first
        self.constants: frozenset[int] = frozenset()
        self.codes: list[Tensor] = []
        self.kernel: Tensor | None = None
        self.batch_norm = False
        self.listens = False
        self.problems: dict[str, Failure] = {}
        self.layers: dict[int, ChannelSaliency] = {}
        self._outputs: dict[int, list[dict[str, Tensor]]] = {}
        self._weights: list[Tensor] = []
        self._hooks: list[Any] = []

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.see_activations and rectifies(name, args, kwargs):
            self._note("activation_kernel", self._activation, args[0] if args else kwargs["input"])
        if self._outputs and args and isinstance(args[0], Tensor) and in_place(function, kwargs):
            self._keep(args[0])
        result = function(*args, **kwargs)
        if name in CHANNEL_AXIS and self.see_channels and isinstance(result, Tensor):
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self._note("channel_saliency", self._layer, result, weight, CHANNEL_AXIS[name])
        elif name == "batch_norm" and (args[5] if len(args) > 5 else kwargs.get("training", False)):
            self.batch_norm = True
        return result

    def _note(self, signal: str, record: Function, *values: Any) -> None:
        if signal not in self.problems:
            try:
                with torch.no_grad():
                    record(*values)
            except Failure as failure:
                self.problems[signal] = failure.with_traceback(None)

    def _rows(self, values: Tensor, attended: int) -> Tensor:
        if attended:
            values = values.reshape(-1, attended, values.shape[-1]).movedim(1, 0)
        return by_sample(values, self.samples, self.tokens_first and not attended)

    def _activation(self, before: Tensor) -> None:
        visible(before)
        if id(before) in self.constants:
            return
        code = self._rows(before > 0, self.attended).flatten(1)
        if self.keep_codes:
            self.codes.append(code)
        else:
            kernel = agreement(code)
            self.kernel = kernel if self.kernel is None else self.kernel.add_(kernel)

    def _layer(self, output: Tensor, weight: Tensor, axis: int) -> None:
        visible(output)
        if not output.requires_grad:
            return
        held = {"value": output.detach()}
        version, attended = output._version, self.attended
        self._weights.append(weight)  # its id stays its own as long as it lives
        self._outputs.setdefault(output.untyped_storage().data_ptr(), []).append(held)

        def add(gradient: Tensor) -> None:
            if self.listens:
                self._note("channel_saliency", record, gradient)

        def record(gradient: Tensor) -> None:
            value = held["value"]
            if value._version != version and "kept" not in held:
                raise Failure("a layer's output was overwritten in place by an operation that cannot be observed")
            values = sum_positions(self._rows((value * gradient).movedim(axis, -1), attended))
            known = self.layers.get(id(weight))
            total = values if known is None else known.values + values
            self.layers[id(weight)] = ChannelSaliency(total, weight.numel() / values.shape[1])

        self._hooks.append(output.register_hook(add))  # type: ignore[no-untyped-call]

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

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The one backward pass that channel saliency is measured in; the hooks are taken off after it."""
        self.listens = True
        yield
        self.listens = False
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._outputs.clear()


def visible(values: Tensor) -> None:
    """`Failure` for a tensor inside `torch.vmap`, which hides an axis."""
    if torch._C._functorch.is_batchedtensor(values):
        raise Failure("an activation or layer runs inside torch.vmap, where samples cannot be told apart")
