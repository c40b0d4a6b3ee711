"""From the signals that proxies ask for to the passes that deliver them, each run once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zerocost.engine.signals import SIGNALS, measured
from zerocost.proxies.registry import Proxy


@dataclass(frozen=True)
class Pass:
    """One forward or backward run: the passes whose graph it continues, and how often the network runs."""

    name: str
    after: tuple[str, ...]
    forwards: int
    backwards: int
    runs: str


PASSES = {
    p.name: p
    for p in (
        Pass("shape", (), 0, 0, "one sample on the meta device: no arithmetic is done"),
        Pass("data", (), 1, 0, "the batch, train mode, activations observed"),
        Pass("loss", ("data",), 0, 1, "backward of the mean loss to the weight matrices"),
        Pass("curvature", ("data", "loss"), 0, 1, "backward of gᵀ·stop(g) through the loss pass's own graph: H·g"),
        Pass("jacobian", ("data",), 0, 1, "backward of the summed outputs to the input"),
        Pass("flow", (), 1, 1, "an input of ones, |θ|, normalisation as identity, float64"),
    )
}


@dataclass(frozen=True)
class Plan:
    """The passes to run, in order, and the measured signals wanted of them."""

    proxies: tuple[Proxy, ...]
    passes: tuple[Pass, ...]
    signals: frozenset[str]

    @property
    def forwards(self) -> int:
        """How many times the network runs forward."""
        return sum(p.forwards for p in self.passes)

    @property
    def backwards(self) -> int:
        """How many backward runs there are."""
        return sum(p.backwards for p in self.passes)

    def riders(self, name: str) -> dict[str, list[str]]:
        """For one pass, the signals wanted of it and the proxies that asked for each."""
        return {
            signal: [p.name for p in self.proxies if signal in measured(p.signals)]
            for signal in SIGNALS
            if signal in self.signals and SIGNALS[signal].source == name
        }

    def __str__(self) -> str:
        lines = [f"{len(self.proxies)} proxies: {self.forwards} forward and {self.backwards} backward runs"]
        for step in self.passes:
            lines.append(f"  {step.name:<10}{step.runs}")
            for signal, proxies in self.riders(step.name).items():
                lines.append(f"  {'':<10}{signal} for {', '.join(proxies)}")
        free = self.riders("model")
        if free:
            lines.append(f"  {'(no run)':<10}" + "; ".join(f"{s} for {', '.join(p)}" for s, p in free.items()))
        return "\n".join(lines)


def plan(proxies: Sequence[Proxy]) -> Plan:
    """The fewest passes that deliver every signal the proxies ask for.

    >>> from zerocost.proxies import resolve
    >>> [step.name for step in plan(resolve("snip,grad_norm,synflow")).passes]
    ['data', 'loss', 'flow']
    """
    signals = frozenset(measured(signal for proxy in proxies for signal in proxy.signals))
    needed = with_predecessors(SIGNALS[signal].source for signal in signals)
    return Plan(tuple(proxies), tuple(p for name, p in PASSES.items() if name in needed), signals)


def with_predecessors(names: Iterable[str]) -> set[str]:
    """Pass names together with the passes whose graph they continue."""
    needed = {name for name in names if name in PASSES}
    return needed.union(*(PASSES[name].after for name in needed))
