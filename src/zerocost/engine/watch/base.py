"""What every watcher of a forward pass has: the calls it is shown, the scene they happen in, and its signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from zerocost.base.errors import Failure, describe_error
from zerocost.engine.calls.call import Call, Undo
from zerocost.engine.calls.functions import (
    BY_HAND,
    CHANNEL_AXIS,
    CLAMPS,
    NORMALISATION,
    RECTIFIERS,
    SUMS,
    Function,
)
from zerocost.engine.follow.places import NoPlace, SamplePlace
from zerocost.engine.follow.sample_axis import SampleAxis
from zerocost.engine.signals import Signal, declare

MAPPING = {*CHANNEL_AXIS, *NORMALISATION, *RECTIFIERS, *CLAMPS, *SUMS, BY_HAND}
"""Functions whose results are the maps of a network: weight layers, normalisation, activations and sums."""


@dataclass
class Scene:
    """Where calls happen.

    Attributes:
        samples: number of samples in the batch.
        model: the module that runs.
        normalisers: its own modules that normalise, each of which counts as one call; with the axis of their channels.
        seed: for watchers that draw random numbers, from a generator of their own.
        weights: for the id of each weight matrix that runs, its place among the network's weight matrices.
        block: the number of the block that runs; 0 before the first one.
        channel_axis: where channels are in a tensor of unknown history: as in what the last layer or move returned.
        in_hook: whether what is called now is a hook's doing, not the network's.
        sample_axis: where the samples are in each tensor.
        hidden: why the calls of the network cannot be seen; None where they can.
        in_parts: whether this is a part of a batch, so that a watcher keeps what its `merge` can put together.
        ran: the functions that were shown so far.
        batch_norms: places in `ran` of BatchNorms that samples reach.
    """

    samples: int
    model: nn.Module | None = None
    normalisers: Mapping[nn.Module, int] = field(default_factory=dict)
    seed: int = 0
    weights: dict[int, int] = field(default_factory=dict)
    block: int = 0
    channel_axis: int = 1
    in_hook: bool = False
    in_parts: bool = False
    hidden: Failure | None = None
    ran: list[Function] = field(default_factory=list)
    batch_norms: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start((), ())

    @contextmanager
    def inside_hook(self) -> Iterator[None]:
        """Calls in here are not the network's."""
        self.in_hook = True
        try:
            yield
        finally:
            self.in_hook = False

    def start(self, inputs: Any, tensors: Iterable[Tensor]) -> None:
        """Follow the samples of these inputs from now on; parameters and buffers hold none."""
        self.sample_axis = SampleAxis(self.samples, inputs, tuple(tensors))

    def map(self, values: Tensor) -> Tensor | None:
        """`values` as N×C×positions, N×C where there is one position; None where no sample reaches them."""
        return self.map_at(self.sample_axis.place(values), self.channels(values), values)

    def map_at(self, place: SamplePlace | NoPlace, channels: int, values: Tensor) -> Tensor | None:
        """`map` of values that have the samples at `place` and channels along an axis."""
        found = self.sample_axis.read_map(place, channels, values)
        return found if found is None or found.ndim <= 3 else found.flatten(2)

    def channels(self, values: Tensor) -> int:
        """The axis of the channels in a tensor."""
        known = self.sample_axis.channels(values)
        return self.channel_axis if known is None else known

    def note_channels(self, values: Tensor, axis: int) -> None:
        """Note where a layer or a move has put the channels in what it returned."""
        self.channel_axis = axis
        self.sample_axis.note_channels(values, axis)

    def rows(self, tensor: Tensor, values: Tensor | None = None) -> Tensor | None:
        """A tensor (or `values`, of its shape) with the sample axis in front; None where no sample reaches it."""
        return self.sample_axis.rows(tensor, values)


WATCHERS: dict[str, type[Watcher]] = {}
"""The watcher of each signal that has one."""


class Watcher:
    """Looks at a network's calls for the sake of one signal.

    A subclass with a `signal` declares it by that, and is made for a pass in which it is wanted. A subclass without
    one is a base of others, or looks for the sake of those that list it in `needs`.

    Attributes:
        signal: the name of the signal.
        meaning: what the signal is, with its shape.
        source: the pass that delivers it; one that has no forward pass of its own watches that of the data pass.
        merge: how the signal is made of its parts; None if it can only be measured whole. A static method.
        needs: other watchers that have to look at the same pass.
        sees_steps: whether it looks inside recurrent layers, which then run step by step.
        sees_activations: whether activations that a network computes step by step are shown to it as one call.
        scene: where the calls happen.
        others: the watchers it needs, by their class.
        problem: why the signal cannot be had; None as long as nothing stands against it.
    """

    signal: ClassVar[str] = ""
    meaning: ClassVar[str] = ""
    source: ClassVar[str] = "data"
    merge: ClassVar[staticmethod[[Sequence[Any], Sequence[float]], Any] | None] = None
    needs: ClassVar[tuple[type[Watcher], ...]] = ()
    sees_steps: ClassVar[bool] = True
    sees_activations: ClassVar[bool] = True

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.others: dict[type[Watcher], Watcher] = {}
        self.problem: Failure | None = None

    def __init_subclass__(cls) -> None:
        if "signal" in vars(cls):
            WATCHERS[cls.signal] = cls
            declare(cls.source, cls.__module__, Signal(cls.signal, cls.meaning, merge=cls.merge))

    @property
    def name(self) -> str:
        """The name of its signal; of a watcher without one, that of its class."""
        return self.signal or type(self).__name__.lower()

    def hooks(self) -> Iterable[RemovableHandle]:
        """Puts its hooks on the modules, before the network runs; they are taken off after it."""
        return ()

    def before(self, call: Call) -> Undo | None:
        """Called before a function runs. A `Failure` that it raises becomes the signal.

        Returns, of an activation, how to undo what was noted.
        """
        return None

    def after(self, call: Call, result: Tensor) -> Undo | None:
        """Called with the tensor that a function returned. A `Failure` that it raises becomes the signal.

        Returns, of an activation, how to undo what was noted.
        """
        return None

    def result(self) -> Any:
        """The signal; raises `Failure` when there is none."""
        raise NotImplementedError

    def result_or_failure(self) -> Any:
        """The signal, or the `Failure` that says why there is none."""
        try:
            return self.problem or self.result()
        except Failure as failure:
            return failure.without_frames()

    def failure(self, error: Exception) -> Failure:
        """The failure of a signal whose measurement raised, as on a network it was not made for."""
        if isinstance(error, Failure):
            return error
        return Failure(f"{self.name} cannot be measured on this network: {describe_error(error)}")


class Collector(Watcher):
    """A watcher that collects values one by one, and whose signal is the list of them.

    Attributes:
        nothing_seen: the reason for the failure when there are none; empty where no values are a signal, too.
        values: what was collected.
    """

    nothing_seen: ClassVar[str] = ""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.values: list[Any] = []

    def keep(self, value: Any) -> Undo:
        """Collect a value; returns how to undo that."""
        self.values.append(value)
        return partial(remove, self.values, value)

    def result(self) -> list[Any]:
        if not self.values and self.nothing_seen:
            raise Failure(self.nothing_seen)
        return self.values


def remove(values: list[Any], value: Any) -> None:
    """Take the very same value out of a list, the last one where it is there more than once."""
    place = next((i for i in range(len(values) - 1, -1, -1) if values[i] is value), None)
    if place is not None:
        del values[place]


def check_visible(values: Tensor) -> None:
    """`Failure` for a tensor inside `torch.vmap`, which hides an axis, and for complex numbers, which have no sign."""
    if torch._C._functorch.is_batchedtensor(values):
        raise Failure("an activation or layer runs inside torch.vmap, where samples cannot be told apart")
    if values.is_complex():
        raise Failure("a layer returns complex numbers: what is computed from its outputs is defined for real ones")
