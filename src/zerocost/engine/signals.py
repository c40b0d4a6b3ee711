"""The table of signals: what can be measured on an untrained network, by the names a proxy may ask for.

Each measured signal is declared in the file that measures it: by a pass (`engine/passes`), by a watcher of a pass
(`engine/watch`) or by a reading that takes no pass (`engine/readings.py`). `engine/catalogue.py` imports them all.

A derived signal is computed from other signals, once for all proxies that ask for it;
`signal` registers one, and its parameter names are its request, as a proxy's are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from zerocost.base.errors import Failure, InputError, unknown

Tensors = Sequence[Tensor]
Merge = Callable[[Sequence[Any], Sequence[float]], Any]
"""Makes the signal of a whole batch out of those of its parts and the share of the samples that is in each."""


class ChannelSaliency(NamedTuple):
    """What one convolution or linear layer did to the loss.

    Attributes:
        values: for each sample and channel the sum over positions of a·∂L/∂a, N×C.
        fan_in: the number of weights that feed one channel.
    """

    values: Tensor
    fan_in: float


class LayerKernel(NamedTuple):
    """The activation kernel of one layer's outputs.

    Attributes:
        weight: the place of the layer's weight among `weights`; None where it is not there.
        kernel: for each pair of samples, how many outputs agree in sign, N×N.
    """

    weight: int | None
    kernel: Tensor


class LayerSize(NamedTuple):
    """How large the output of one layer is on one sample.

    Attributes:
        positions: pixels or tokens.
        channels: values at each of them.
    """

    positions: int
    channels: int


class Response(NamedTuple):
    """Correlations between the samples' values, or gradients, at one activation.

    Attributes:
        block: the number of the block it is in, 0 before the first.
        correlation: N×N; None where the values are constant.
    """

    block: int
    correlation: Tensor | None


@dataclass(frozen=True)
class Source:
    """Where signals come from: a pass, or what is read of the model or the batch without one.

    Attributes:
        name: what it is called.
        order: its place among the sources; those of lower ones come first.
        settings: the settings that make a difference to its signals.
        by_sample: whether it needs no more than one sample at a time, so that its signals are the same where the batch
            does not fit into memory.
    """

    name: str
    order: int
    settings: frozenset[str]
    by_sample: bool = False


@dataclass(frozen=True)
class Signal:
    """A measurable quantity.

    Attributes:
        name: what a proxy calls the parameter that it is given as.
        meaning: what it is, with its shape and unit.
        source: the name of the `Source` that delivers it, or "derived".
        merge: how the signal of a batch is made of those of its parts; None if it can only be measured whole.
        function: what a derived signal is computed by.
        needs: the signals a derived one is computed from.
        declared_in: the module that declares it.
    """

    name: str
    meaning: str
    source: str = ""
    merge: Merge | None = None
    function: Callable[..., Any] | None = None
    needs: tuple[str, ...] = ()
    declared_in: str = ""

    @property
    def in_parts(self) -> bool:
        """Whether it can be had where a batch has to be run in parts."""
        return self.merge is not None or SOURCES[self.source].by_sample


SOURCES: dict[str, Source] = {}
SIGNALS: dict[str, Signal] = {}


def declare(source: str, declared_in: str, *signals: Signal) -> None:
    """Add measured signals to the table.

    Args:
        source: the name of the `Source` that delivers them.
        declared_in: the module that declares them.
        signals: their names, meanings and how their parts merge.
    """
    SIGNALS.update({s.name: replace(s, source=source, declared_in=declared_in) for s in signals})


def sort_signals() -> None:
    """Put the table into the order it is listed in: by source, then by file, then as they are declared in the file."""
    ordered = sorted(SIGNALS.values(), key=lambda s: (SOURCES[s.source].order, s.declared_in))
    SIGNALS.clear()
    SIGNALS.update({s.name: s for s in ordered})


def signals_from(sources: Iterable[str]) -> list[str]:
    """Names of the signals that these sources deliver."""
    names = set(sources)
    return [name for name, s in SIGNALS.items() if s.source in names]


def requested_signals(function: Callable[..., Any], kind: str) -> tuple[str, ...]:
    """The signals a function asks for: its parameter names, each checked to exist. Those after * are its options.

    >>> requested_signals(lambda weights, loss, *, power=2: ..., "proxy")
    ('weights', 'loss')
    """
    parameters = inspect.signature(function).parameters.values()
    names = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    for name in names:
        if name not in SIGNALS:
            of = f"signal in the parameters of {kind} {function.__name__!r}:"
            raise unknown(of, name, SIGNALS, "zerocost.engine.signals.SIGNALS")
    return names


def signal(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a derived signal: a function of other signals, computed once however many proxies ask for it.

    Raises `InputError` when a parameter names no signal or the name is taken by a measured one.

    >>> @signal
    ... def gradient_norms(weight_gradients):
    ...     "Euclidean norm of each weight matrix's gradient."
    ...     return [g.norm() for g in weight_gradients]
    >>> SIGNALS["gradient_norms"].needs
    ('weight_gradients',)
    >>> del SIGNALS["gradient_norms"]
    """
    name = function.__name__
    if name in SIGNALS and SIGNALS[name].function is None:
        raise InputError(f"signal {name!r} is measured by the {SIGNALS[name].source} pass; choose another name")
    meaning = (inspect.getdoc(function) or name).splitlines()[0]
    SIGNALS[name] = Signal(
        name,
        meaning,
        "derived",
        function=function,
        needs=requested_signals(function, "signal"),
        declared_in=function.__module__,
    )
    return function


def measured_signals(names: Iterable[str]) -> set[str]:
    """The measured signals that `names` come down to once derived ones are followed to their sources."""
    found: set[str] = set()
    for name in names:
        found |= measured_signals(SIGNALS[name].needs) if SIGNALS[name].function else {name}
    return found


def signal_value(name: str, values: dict[str, Any]) -> Any:
    """The value of a signal out of the measured `values`, where derived ones are computed at first use and kept."""
    if name not in values:
        derived = SIGNALS[name]
        if derived.function is None:
            raise KeyError(name)
        try:
            values[name] = derived.function(**signal_arguments(derived.needs, values))
        except Failure as failure:
            values[name] = failure
    if isinstance(values[name], Failure):
        raise values[name]
    return values[name]


def signal_arguments(names: Iterable[str], values: dict[str, Any]) -> Mapping[str, Any]:
    """Keyword arguments for a function that asks for the signals `names`."""
    return {name: signal_value(name, values) for name in names}
