"""What a pass is, and what it runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from zerocost.base.errors import Failure
from zerocost.engine.failures import NO_VALUES
from zerocost.engine.inputs import sample_count, take_samples
from zerocost.engine.losses import Loss
from zerocost.engine.model.network import Network
from zerocost.engine.settings import DEFAULT, Settings
from zerocost.engine.signals import SIGNALS, SOURCES, Signal, Source, declare
from zerocost.engine.watch.base import WATCHERS, Watcher

OF_BATCH = frozenset({"mode", "inputs", "initialisation", "samples", "pixels", "repeat"})
"""The settings that make a difference to every pass on the batch."""
BACKWARD_COUNT = "backward passes"
"""Beside its signals, a pass that goes backward for each sample delivers under this name how often it did."""


@dataclass(frozen=True, kw_only=True)
class Pass(Source):
    """A forward pass, backward passes, or both, for one purpose.

    One that continues others runs on the `SharedGraph` of the batch; so does the data pass, which starts that graph.
    The others run on a `PassInput` and make a graph of their own.

    Attributes:
        run: delivers the signals by name, out of a `SharedGraph` or a `PassInput`.
        description: what it does.
        settings: the settings that make a difference to it.
        forwards: how often the network runs forward, each time on the whole batch.
        backwards: how often gradients are sent back, besides `backward_each`.
        backward_each: for what else there is one backward pass each, such as "sample".
        continues: the passes whose graph it continues.
        on_graph: whether it runs on the shared graph.
        to_weights: whether its backward pass needs the graph from the weights on.
        twice: whether it differentiates gradients.
        labels: whether it needs labels.
        whole_first: a signal of the whole batch that it starts from, where the batch is run in parts.
        shapes_only: whether it runs on the meta device, so that weights need no values.
        also: passes whose signals it delivers along the way where it can; then they need not run.
        watchers: watchers that it needs, besides those of the signals that are wanted of it.
    """

    run: Callable[[Any], dict[str, Any]]
    description: str
    settings: frozenset[str] = OF_BATCH
    forwards: int = 0
    backwards: int = 0
    backward_each: str = ""
    continues: tuple[str, ...] = ()
    on_graph: bool = False
    to_weights: bool = False
    twice: bool = False
    labels: bool = False
    whole_first: str = ""
    shapes_only: bool = False
    also: tuple[str, ...] = ()
    watchers: tuple[type[Watcher], ...] = ()

    def obstacle(self, network: Network) -> Failure | None:
        """Why it cannot run on a network, if that is known beforehand."""
        if network.valueless and not self.shapes_only:
            return Failure(NO_VALUES)
        if network.quantised and (self.backwards or self.backward_each):
            return Failure("the network has quantised layers, which have no gradient")
        return None


PASSES: dict[str, Pass] = {}
"""Every pass, in the order in which they are run and listed."""


def add_pass(step: Pass, *signals: Signal) -> None:
    """Declare a pass, and the signals that it delivers besides those of its watchers."""
    SOURCES[step.name] = PASSES[step.name] = step
    ordered = sorted(PASSES.items(), key=lambda item: item[1].order)
    PASSES.clear()
    PASSES.update(ordered)
    declare(step.name, step.run.__module__, *signals)


def with_predecessors(names: Iterable[str]) -> list[str]:
    """The passes of these names, and those whose graph they continue, in the order in which they are run."""
    needed = {name for name in names if name in PASSES}
    needed = needed.union(*(PASSES[name].continues for name in needed))
    return [name for name in PASSES if name in needed]


@dataclass(frozen=True)
class PassInput:
    """What passes run on.

    Attributes:
        network: the network.
        inputs: samples, all of the batch or some of them.
        targets: their labels; None without any.
        loss: function of outputs and labels, a mean over samples.
        wanted: the signals that are wanted.
        seed: seeds each pass.
        settings: the settings of the passes.
        other_batches: inputs and labels of the other batches that were given, for what compares batches.
    """

    network: Network
    inputs: Any
    targets: Tensor | None
    loss: Loss
    wanted: frozenset[str]
    seed: int
    settings: Settings = DEFAULT
    other_batches: Sequence[tuple[Any, Tensor | None]] = ()

    @property
    def training(self) -> bool:
        """Whether the network runs in train mode."""
        return self.settings.mode == "train"

    @cached_property
    def samples(self) -> int:
        """Number of samples."""
        return sample_count(self.inputs)

    def slice(self, start: int, stop: int, wanted: frozenset[str]) -> PassInput:
        """The samples from `start` up to `stop`."""
        targets = None if self.targets is None else self.targets[start:stop]
        return replace(self, inputs=take_samples(self.inputs, start, stop), targets=targets, wanted=wanted)

    def passes(self) -> list[Pass]:
        """The passes that the wanted signals need, in the order in which they are run."""
        return [PASSES[name] for name in with_predecessors(SIGNALS[signal].source for signal in self.wanted)]

    def watchers(self, forward: Pass) -> list[type[Watcher]]:
        """The watchers that the wanted signals need of a forward pass: its own, and those of what continues it."""
        on_it = [
            step for step in self.passes() if step is forward or (forward.name in step.continues and not step.forwards)
        ]
        names = {step.name for step in on_it}
        wanted = [w for name, w in WATCHERS.items() if name in self.wanted and w.source in names]
        return [*wanted, *(watcher for step in on_it for watcher in step.watchers)]
