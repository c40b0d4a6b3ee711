"""Modes that see each torch function a network calls, whatever class of module calls it, and may change it.

Attention arrives as one call; `CallMode` runs its body so that the calls within are seen too.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.base.errors import Failure
from zerocost.engine.calls.call import Call, as_call
from zerocost.engine.calls.functions import (
    DROPOUT,
    FAKE_QUANTISATION,
    NORMALISATION,
    PREPARATION,
    RECTIFIERS,
    RECURRENT,
    Function,
    function_name,
    prepare_data,
)
from zerocost.engine.calls.recurrent import in_cells, in_steps
from zerocost.engine.calls.spelled_out import spelled_out
from zerocost.engine.calls.used_weights import follow_weights
from zerocost.engine.follow.layer_counts import LayerCounts
from zerocost.engine.modes.checkpoints import saved_elsewhere
from zerocost.engine.modes.float64 import in_float64
from zerocost.engine.modes.reads import Reads, left_to_passes


def without_checks(function: Any, *checks: str) -> Function:
    """A Python-level torch function whose calls of some functions of its module do nothing."""
    namespace = {**function.__globals__, **dict.fromkeys(checks, lambda _: False)}
    body = types.FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
    body.__kwdefaults__ = function.__kwdefaults__
    return body


_ATTENTION = F.multi_head_attention_forward
_DESCRIBES = {
    *(Tensor.dim, Tensor.size, Tensor.numel, Tensor.__len__, Tensor.is_floating_point),
    *(Tensor.shape.__get__, Tensor.ndim.__get__, Tensor.device.__get__),  # type: ignore[attr-defined]
}
"""Functions that look at the form of a tensor: frequent, and of no interest."""
_BODIES = {  # without dispatch, so that a mode can run them; `grad` runs checkpointed parts of the network once more
    function: without_checks(function, "has_torch_function") for function in (_ATTENTION, torch.autograd.grad)
}


class CallMode(Reads):
    """Base of our modes: hands each call to `call`, and composite functions call by call; notes what they read.

    The network runs on copies of the model's own tensors, so a call that meets one of those got hold of it around the
    model's attributes, and what it computes would not be measured: a `Failure`.

    Attributes:
        originals: ids of the model's own tensors.
    """

    def __init__(self, originals: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.originals = originals

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in _DESCRIBES:
            return function(*args, **kwargs)
        body = _BODIES.get(function) or spelled_out(function, args, kwargs) or self.unrolled(function, args, kwargs)
        if body is not None:
            self.opens(function)
            with self:
                result = body(*args, **kwargs)
            if function is torch.autograd.grad:
                self.note_gradients(args[1] if len(args) > 1 else kwargs["inputs"], result)
            return result
        name = function_name(function)
        instead = left_to_passes(function, name, args, kwargs)
        if instead is not None:
            return instead[0]
        result = self.call(function, name, args, kwargs)
        if not self.originals.isdisjoint(self.note(args, kwargs, result)) and isinstance(result, Tensor):
            raise Failure(
                "the network reads a parameter or buffer around its modules, as from a closure or a tuple, where it "
                "cannot be measured; read it from the module it belongs to"
            )
        return result

    def unrolled(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
        """What to run in place of a recurrent function; None for any other, and where it is seen as one call."""
        return None

    def opens(self, function: Function) -> None:
        """Called before the body of a composite function runs."""

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError

    def note_gradients(self, inputs: Tensor | Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """Called with the gradients to some tensors that the network itself computes."""


class WithoutPreparation(TorchFunctionMode):
    """Runs a network's preparation of its data as the identity, for inputs that are not its data."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if function is prepare_data else function(*args, **(kwargs or {}))


class GroupNormMode(TorchFunctionMode):
    """Runs group normalisation of one value a group, too."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (group_norm if function is F.group_norm else function)(*args, **(kwargs or {}))


class ShapeMode(CallMode):
    """Runs what leaves shapes alone as the identity: normalisation, of the data too, dropout and activations."""

    skipped = PREPARATION | NORMALISATION | DROPOUT | RECTIFIERS

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in self.skipped:
            return args[0] if args else kwargs["input"]
        return self.run(function, name, args, kwargs)

    def unrolled(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
        return in_cells(function)

    def run(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that is not skipped."""
        return function(*args, **kwargs)


class FlowMode(ShapeMode):
    """Runs normalisation, dropout and fake quantisation as the identity and everything in float64.

    Args:
        originals: ids of the model's own tensors.
        see: given each call before it runs, where it is not None.
        weights: ids of the weight matrices that run.
        keep_normalisation: run normalisation, but not that of the data, as it is.
        counts: has each call counted.

    Attributes:
        normalised: whether a function that normalises was called.
        sees_steps: whether recurrent layers run step by step.
        again: whether a part of the network runs once more when gradients are sent back, as a checkpointed one does.
    """

    def __init__(
        self,
        originals: frozenset[int],
        see: Callable[[Call], None] | None,
        weights: Container[int] = (),
        keep_normalisation: bool = False,
        counts: LayerCounts | None = None,
    ) -> None:
        super().__init__(originals)
        self.weights = weights
        self.see, self.counts, self.normalised, self.again = see, counts, False, False
        self.sees_steps = keep_normalisation  # it is in train mode then, with dropout between recurrent layers
        self.skipped = PREPARATION | DROPOUT | FAKE_QUANTISATION | (set() if keep_normalisation else NORMALISATION)

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.see is not None:
            self.see(as_call(function, name, args, kwargs, self.weights))
        self.normalised |= name in NORMALISATION
        self.again = self.again or saved_elsewhere()
        result = in_float64(super().call, function, name, args, kwargs)
        if self.counts is not None:
            self.counts.note(function, name, args, kwargs, result)
        elif self.see is not None:
            follow_weights(name, args, result, self.weights)
        return result

    def unrolled(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function | None:
        return in_steps(function) if self.sees_steps else in_cells(function)

    def opens(self, function: Function) -> None:
        if self.counts is not None and (function is torch.autograd.grad or function_name(function) in RECURRENT):
            self.counts.certain = False  # its products are not calls, or its calls are more than its layers


class Float64Mode(CallMode):
    """Runs everything in float64, also where a network asks for a narrower type."""

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return in_float64(_plain_call, function, name, args, kwargs)


def _plain_call(function: Function, _: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """That of torch.nn.functional, which refuses groups of one value of one sample, though not of more samples."""
    if input[0].numel() > num_groups:
        return F.group_norm(input, num_groups, weight, bias, eps)
    positions = [1] * (input.ndim - 2)
    scaled = (input - input) * (1.0 if weight is None else weight.reshape(-1, *positions))
    return scaled if bias is None else scaled + bias.reshape(-1, *positions)
