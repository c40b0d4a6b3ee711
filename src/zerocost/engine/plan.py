"""From the signals that proxies ask for to the fewest passes that deliver them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zerocost.engine.options import format_options
from zerocost.engine.passes.base import PASSES, Pass, with_predecessors
from zerocost.engine.proxy import Proxy
from zerocost.engine.settings import Settings
from zerocost.engine.signals import SIGNALS, SOURCES, measured_signals


def relevant_settings(source: str, settings: Settings) -> Settings:
    """The settings that make a difference to what a source of signals delivers."""
    return settings.only(SOURCES[source].settings)


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
        """How many backward passes there are, without those for each sample or output."""
        return sum(p.backwards for p in self.passes)

    def requests(self, source: str, settings: Settings) -> dict[str, list[str]]:
        """For each signal that is wanted of one source under these settings, the proxies that ask for it."""
        asking: dict[str, dict[str, None]] = {}
        for proxy in self.proxies:
            for signal, relevant in _measured_under(proxy):
                if SIGNALS[signal].source == source and relevant == settings:
                    asking.setdefault(signal, {})[proxy.name] = None
        return {signal: list(asking[signal]) for signal in SIGNALS if signal in asking}

    def __str__(self) -> str:
        count = f"{len(self.proxies)} {'proxy' if len(self.proxies) == 1 else 'proxies'}"
        each = "".join(f", and one backward for each {p.backward_each}" for p in self.passes if p.backward_each)
        lines = [f"{count}: {self.forwards} forward and {self.backwards} backward passes{each}"]
        repeats = Counter(
            (step.name, replace(group.settings, repeat=0)) for group in self.groups for step in group.passes
        )
        first_repeats = [group for group in self.groups if not group.settings.repeat]
        for group in first_repeats:
            for step in group.passes:
                times = repeats[step.name, group.settings]
                options = format_options(group.settings.changed | ({"repeats": times} if times > 1 else {}))
                lines.append(f"  {step.name:<13}{step.description}{f' ({options})' if options else ''}")
                for signal, proxies in self.requests(step.name, group.settings).items():
                    lines.append(f"  {'':<13}{signal} for {', '.join(proxies)}")
        without_pass = [
            f"{signal} for {', '.join(proxies)}"
            for group in first_repeats
            for source in SOURCES
            if source not in PASSES
            for signal, proxies in self.requests(source, group.settings).items()
        ]
        if without_pass:
            lines.append(f"  {'(no pass)':<13}" + "; ".join(without_pass))
        return "\n".join(lines)


def plan(proxies: Sequence[Proxy]) -> Plan:
    """The fewest passes that deliver every signal the proxies ask for.

    >>> from zerocost.proxies import resolve
    >>> [step.name for step in plan(resolve("snip,grad_norm,synflow")).passes]
    ['data', 'loss', 'flow']
    """
    wanted: dict[Settings, dict[str, None]] = {}
    for proxy in proxies:
        for signal, settings in _measured_under(proxy):
            wanted.setdefault(settings, {})[signal] = None
    groups = []
    for settings, signals in wanted.items():
        passes = with_predecessors(SIGNALS[signal].source for signal in signals)
        groups.append(Group(settings, tuple(PASSES[name] for name in passes), frozenset(signals)))
    return Plan(tuple(proxies), tuple(sorted(groups, key=lambda group: len(group.settings.changed))))


def _measured_under(proxy: Proxy) -> Iterator[tuple[str, Settings]]:
    """Each measured signal that a proxy needs, once for each of its repeats, and the settings that matter to it."""
    for settings in repeat_settings(proxy):
        for signal in measured_signals(proxy.signals):
            yield signal, relevant_settings(SIGNALS[signal].source, settings)


def repeat_settings(proxy: Proxy) -> list[Settings]:
    """The settings of each of a proxy's repeats."""
    return [replace(proxy.settings, repeat=i) for i in range(proxy.repeats)]
