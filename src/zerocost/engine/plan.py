"""From the signals that proxies ask for to the passes that deliver them, each run once for equal settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from zerocost.engine.options import format_options
from zerocost.engine.proxy import Proxy
from zerocost.engine.settings import Settings
from zerocost.engine.signals import SIGNALS, measured

ON_BATCH = frozenset({"mode", "inputs", "initialisation", "samples", "pixels", "repeat"})
HEEDED_BY_WEIGHTS = frozenset({"initialisation"})


@dataclass(frozen=True)
class Pass:
    """Forward and backward runs for one purpose.

    Attributes:
        name: what it is called.
        after: the passes whose graph it continues.
        forwards: how often the network runs forward, in runs of the whole batch.
        backwards: how often it runs backward, besides `each`.
        heeds: the settings that make a difference to it.
        runs: what it does.
        each: for what else it runs backward once: each "sample", or each "output of each sample".
    """

    name: str
    after: tuple[str, ...]
    forwards: int
    backwards: int
    heeds: frozenset[str]
    runs: str
    each: str = ""


PASSES = {
    p.name: p
    for p in (
        Pass("shape", (), 0, 0, frozenset(), "one sample on the meta device: no arithmetic is done"),
        Pass("data", (), 1, 0, ON_BATCH, "the batch, activations observed"),
        Pass("loss", ("data",), 0, 1, ON_BATCH, "backward of the mean loss to the weight matrices"),
        Pass(
            "curvature", ("data", "loss"), 0, 1, ON_BATCH, "backward of gᵀ·stop(g) through the loss pass's graph: H·g"
        ),
        Pass("jacobian", ("data",), 0, 1, ON_BATCH, "backward of the summed outputs to the input"),
        Pass("blocks", ("data",), 0, 1, ON_BATCH, "backward through each block, of random signs at its output"),
        Pass("perturbed", ("data",), 1, 0, ON_BATCH | {"perturbation"}, "the batch again, a small step away"),
        Pass("batches", (), 1, 1, ON_BATCH | {"parts"}, "the loss and its gradients on each part of the batch"),
        Pass("samples", (), 1, 1, ON_BATCH, "the loss and its gradients on each sample by itself"),
        Pass("tangents", (), 1, 0, ON_BATCH, "backward of each sample's summed outputs to the weights", "sample"),
        Pass(
            "information",
            (),
            1,
            0,
            ON_BATCH,
            "backward of every output to one element of each parameter",
            "output of each sample",
        ),
        Pass(
            "flow",
            (),
            1,
            1,
            HEEDED_BY_WEIGHTS | {"normalisation"},
            "an input of ones, |θ|, normalisation as identity, float64",
        ),
    )
}


def relevant_settings(source: str, settings: Settings) -> Settings:
    """The settings that make a difference to what a source of signals delivers."""
    free = {"model": HEEDED_BY_WEIGHTS, "batch": frozenset({"samples"})}
    return settings.only(free[source] if source in free else PASSES[source].heeds)


@dataclass(frozen=True)
class Group:
    """Passes under the same settings, and the measured signals wanted of them."""

    settings: Settings
    passes: tuple[Pass, ...]
    signals: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """The passes to run, in groups of equal settings, for some proxies."""

    proxies: tuple[Proxy, ...]
    groups: tuple[Group, ...]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Every pass in the order it is run; one that runs under several settings is repeated."""
        return tuple(step for group in self.groups for step in group.passes)

    @property
    def forwards(self) -> int:
        """How many times the network runs forward."""
        return sum(p.forwards for p in self.passes)

    @property
    def backwards(self) -> int:
        """How many backward runs there are, without those for each sample or output."""
        return sum(p.backwards for p in self.passes)

    def riders(self, name: str, settings: Settings) -> dict[str, list[str]]:
        """For one pass, the signals wanted of it and the proxies that asked for each."""
        asking: dict[str, dict[str, None]] = {}
        for proxy in self.proxies:
            for repeat in repeats(proxy):
                for signal in measured(proxy.signals):
                    if SIGNALS[signal].source == name and relevant_settings(name, repeat) == settings:
                        asking.setdefault(signal, {})[proxy.name] = None
        return {signal: list(asking[signal]) for signal in SIGNALS if signal in asking}

    def __str__(self) -> str:
        count = f"{len(self.proxies)} {'proxy' if len(self.proxies) == 1 else 'proxies'}"
        each = "".join(f", and one backward for each {p.each}" for p in self.passes if p.each)
        lines = [f"{count}: {self.forwards} forward and {self.backwards} backward runs{each}"]
        alike = Counter(
            (step.name, replace(group.settings, repeat=0)) for group in self.groups for step in group.passes
        )
        for group in self.groups:
            if group.settings.repeat:
                continue
            for step in group.passes:
                times = alike[step.name, group.settings]
                told = format_options(group.settings.changed | ({"repeats": times} if times > 1 else {}))
                lines.append(f"  {step.name:<13}{step.runs}{f' ({told})' if told else ''}")
                for signal, proxies in self.riders(step.name, group.settings).items():
                    lines.append(f"  {'':<13}{signal} for {', '.join(proxies)}")
        free = [
            f"{signal} for {', '.join(proxies)}"
            for group in self.groups
            if not group.settings.repeat
            for source in ("model", "batch")
            for signal, proxies in self.riders(source, group.settings).items()
        ]
        if free:
            lines.append(f"  {'(no run)':<13}" + "; ".join(free))
        return "\n".join(lines)


@dataclass
class Wanted:
    """What is wanted under some settings, while a plan is made."""

    passes: set[str] = field(default_factory=set)
    signals: set[str] = field(default_factory=set)


def plan(proxies: Sequence[Proxy]) -> Plan:
    """The fewest passes that deliver every signal the proxies ask for.

    >>> from zerocost.proxies import resolve
    >>> [step.name for step in plan(resolve("snip,grad_norm,synflow")).passes]
    ['data', 'loss', 'flow']
    """
    wanted: dict[Settings, Wanted] = {}
    for proxy in proxies:
        for settings in repeats(proxy):
            for signal in measured(proxy.signals):
                source = SIGNALS[signal].source
                group = wanted.setdefault(relevant_settings(source, settings), Wanted())
                group.signals.add(signal)
                group.passes |= with_predecessors([source])
    groups = [
        Group(settings, tuple(p for name, p in PASSES.items() if name in group.passes), frozenset(group.signals))
        for settings, group in wanted.items()
    ]
    return Plan(tuple(proxies), tuple(sorted(groups, key=lambda group: len(group.settings.changed))))


def repeats(proxy: Proxy) -> list[Settings]:
    """The settings of each of a proxy's repeats."""
    return [replace(proxy.settings, repeat=i) for i in range(proxy.repeats)]


def with_predecessors(names: Iterable[str]) -> set[str]:
    """Pass names together with the passes whose graph they continue."""
    needed = {name for name in names if name in PASSES}
    return needed.union(*(PASSES[name].after for name in needed))
