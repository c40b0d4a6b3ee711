"""Sees activations and layer outputs where they happen: as module, function or method, in place or not.

A `TorchFunctionMode` is told of every torch function the network calls, whatever class of module calls it. Attention
arrives as one call; `SeeInside` runs its body so that the calls within are seen too.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zerocost.base.errors import Failure, describe_error
from zerocost.engine.functions import (
    CHANNEL_AXIS,
    DROPOUT,
    NORMALISATION,
    PREPARATION,
    RECTIFIERS,
    Function,
    function_name,
    in_place,
    prepared,
)
from zerocost.engine.watch.activations import Kernel, Patterns
from zerocost.engine.watch.attention import Attention
from zerocost.engine.watch.base import Call, Scene, Watcher, seen
from zerocost.engine.watch.blocks import Blocks
from zerocost.engine.watch.channels import Channels
from zerocost.engine.watch.gradients import GradientWatcher, Responses
from zerocost.engine.watch.layers import LayerKernels
from zerocost.engine.watch.maps import Features, FeedForward, ModuleMaps, Neurons, NormOutputs, SampleMaps
from zerocost.engine.watch.variances import Variances


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
        result = self.call(function, function_name(function), args, kwargs)
        given = (*args, *args[0]) if args and type(args[0]) in (list, tuple) else args
        if isinstance(result, Tensor) and not self.originals.isdisjoint(map(id, (*given, *kwargs.values()))):
            raise Failure(
                "the network reads a parameter or buffer around its modules, as from a closure or a tuple, where it "
                "cannot be measured; read it from the module it belongs to"
            )
        return result

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Unprepared(TorchFunctionMode):
    """Runs a network's preparation of its data as the identity, for inputs that are not its data."""

    def __torch_function__(
        self, function: Function, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if function is prepared else function(*args, **(kwargs or {}))


class Skeleton(SeeInside):
    """Runs what leaves shapes alone as the identity: normalisation, of the data too, dropout and activations."""

    skipped = PREPARATION | NORMALISATION | DROPOUT | RECTIFIERS

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in self.skipped:
            return args[0] if args else kwargs["input"]
        return function(*args, **kwargs)


class Flow(Skeleton):
    """Runs normalisation (unless it is kept, or of data) and dropout as the identity and everything in float64.

    `see` is told the name and arguments of each call before it runs.
    """

    def __init__(
        self, originals: frozenset[int], see: Callable[[Call], None], keep_normalisation: bool = False
    ) -> None:
        super().__init__(originals)
        self.see = see
        self.skipped = PREPARATION | DROPOUT | (set() if keep_normalisation else NORMALISATION)

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.see(seen(function, name, args, kwargs))
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


LAST_AXIS = {"linear", "layer_norm", "rms_norm"}
MOVES = {"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims"}
LOOKING = {
    watcher.signal: watcher
    for watcher in (
        *(Kernel, Patterns, LayerKernels, Channels, Responses),
        *(Features, SampleMaps, ModuleMaps, Neurons, NormOutputs, FeedForward, Attention, Blocks, Variances),
    )
}
NEEDS = {"block_spectra": "blocks", "block_gains": "blocks", "responses": "blocks", "perturbed_features": "features"}
"""Signals that are made of what another one's watcher sees."""


class Observer(SeeInside):
    """Watches one forward pass for the sake of the wanted signals, by a watcher for each.

    Attributes:
        scene: where the calls happen.
        watchers: by the name of the signal.
        problems: signals that cannot be had of this network, with the reason.
        batch_norm: whether BatchNorm was seen in train mode, which ties the samples of a batch together.
    """

    def __init__(
        self,
        scene: Scene,
        wanted: frozenset[str],
        originals: frozenset[int] = frozenset(),
        keep_codes: bool = False,
    ) -> None:
        super().__init__(originals)
        self.scene = scene
        names = wanted | {NEEDS[name] for name in wanted if name in NEEDS}
        self.watchers: dict[str, Watcher] = {
            name: Kernel(scene, keep_codes) if name == Kernel.signal else look(scene)
            for name, look in LOOKING.items()
            if name in names
        }
        self.problems: dict[str, Failure] = {}
        self.batch_norm = False

    def call(self, function: Function, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.scene.aside:
            return function(*args, **kwargs)
        call, self.scene.attended = seen(function, name, args, kwargs), self.attended
        name = call.name
        self._tell("before", call)
        result = function(*args, **kwargs)
        if name in MOVES and isinstance(result, Tensor):
            self.scene.channel_axis = moved(self.scene.channel_axis, call)
        if name in CHANNEL_AXIS or name in NORMALISATION:
            self.scene.channel_axis = -1 if name in LAST_AXIS else 1
            self.batch_norm |= name == "batch_norm" and bool(call.argument(5, "training", False))
        if isinstance(result, Tensor):
            self._tell("after", call, result)
        return result

    def _tell(self, moment: str, *values: Any) -> None:
        if not self.watchers:
            return
        with torch.no_grad():
            for name, watcher in self.watchers.items():
                if name not in self.problems:
                    try:
                        getattr(watcher, moment)(*values)
                    except torch.OutOfMemoryError:
                        raise
                    except Exception as error:  # noqa: BLE001  one signal that cannot be had must not cost others
                        self.problems[name] = error if isinstance(error, Failure) else unforeseen(name, error)
                        self.problems[name].with_traceback(None)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The one forward run that is watched, in which hooks are on the modules."""
        handles = [handle for watcher in self.watchers.values() for handle in watcher.hooks()]
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def found(self, signal: str) -> Any:
        """What the watcher of that name saw, or the `Failure` that says why it saw nothing; None when not wanted."""
        watcher = self.watchers.get(signal)
        if watcher is None:
            return None
        problem = self.problems.get(signal) or getattr(watcher, "problem", None)
        try:
            return problem or watcher.found()
        except Failure as failure:
            return failure

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The one backward pass that gradients are watched in; the hooks are taken off after it."""
        listeners = [w for w in self.watchers.values() if isinstance(w, GradientWatcher)]
        for watcher in listeners:
            watcher.listens = True
        yield
        for watcher in listeners:
            watcher.stop()


def unforeseen(signal: str, error: Exception) -> Failure:
    """The failure of a signal whose measurement raised on a network it was not made for."""
    return Failure(f"{signal} cannot be measured on this network: {describe_error(error)}")


def moved(axis: int, call: Call) -> int:
    """Where the channels are, first after the samples or last, once a call has moved axes.

    >>> moved(-1, Call(torch.permute, "permute", (torch.zeros(2, 8, 8, 3), (0, 3, 1, 2)), {}))
    1
    """
    given = call.input
    if given.ndim < 3:
        return axis
    probe = torch.empty(*range(given.ndim), device="meta")  # every axis has a size of its own
    kwargs = {name: value for name, value in call.kwargs.items() if name != "input"}
    sizes = tuple(call.function(probe, *call.args[1:], **kwargs).shape)
    place = sizes.index(axis % given.ndim)
    return {1: 1, len(sizes) - 1: -1}.get(place, axis)
