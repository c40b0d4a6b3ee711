"""What may rank in place of a combination at a reduced size: the parts that fewer passes give."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from typing import NamedTuple

from zerocost.combine import Combination, default, tokens
from zerocost.engine.plan import plan
from zerocost.proxies.registry import resolve

_FURTHER = ("naswot", "az_expressivity")
"""What may join the parts of the default: it reads the forward pass on the batch, and keeps its order when small."""
_MOST_KINDS = 8
"""Of parts that differ in more ways in their passes, only all together are tried."""


class PartSet(NamedTuple):
    """Proxies that rank together.

    Attributes:
        combination: the proxies and how they are combined.
        passes: how often the network runs forward or backward for them, at least once.
    """

    combination: Combination
    passes: int


def part_sets(combination: Combination, samples: int) -> list[PartSet]:
    """For each set of passes, all parts of a combination that it gives, fewest passes first.

    Sizes alone are no such set: among networks of one size they have no order. Where the passes of the default also
    give `naswot` and `az_expressivity`, its parts are there with and without these. A combination with conditions or a
    reference is there as it is.

    Args:
        combination: what ranks at full size.
        samples: in the batch; some proxies run backward once for each.

    >>> sets = part_sets(Combination({"params": 1.0, "naswot": 1.0, "snip": 1.0}), 16)
    >>> [(one.combination.proxies, one.passes) for one in sets]
    [(['params', 'naswot'], 1), (['params', 'naswot', 'snip'], 2)]
    """
    names = combination.proxies
    further = [name for name in _FURTHER if name not in names] if combination in (default, tokens) else []
    needed = {name: _passes(combination.files.get(name, name), samples) for name in (*names, *further)}
    kinds = set(map(frozenset, needed.values()))
    chosen = {tuple(names)}
    if len(kinds) <= _MOST_KINDS and not combination.where and combination.reference is None:
        for some in chain.from_iterable(combinations(kinds, size) for size in range(len(kinds) + 1)):
            reached = frozenset[object]().union(*some)
            own = tuple(name for name in names if reached.issuperset(needed[name]))
            more = tuple(name for name in further if reached.issuperset(needed[name]))
            chosen |= {own, own + more} if own and reached else set()
    passes = {one: dict(chain.from_iterable(needed[name].items() for name in one)) for one in chosen}
    sets = [PartSet(_of_parts(combination, one), max(1, sum(passes[one].values()))) for one in sorted(chosen)]
    return sorted(sets, key=lambda one: (one.passes, len(one.combination.proxies)))


def _of_parts(combination: Combination, names: tuple[str, ...]) -> Combination:
    """The combination of some parts, and of others that it lacks."""
    if list(names) == combination.proxies:
        return combination
    return replace(combination, weights={name: combination.weights.get(name, 1.0) for name in names})


def _passes(proxy: str, samples: int) -> dict[object, int]:
    """How often each pass of a proxy runs the network, without those that only look at shapes."""
    runs = {
        (step.name, group.settings): step.forwards + step.backwards + (samples if step.backward_each else 0)
        for group in plan(resolve([proxy])).groups
        for step in group.passes
    }
    return {step: times for step, times in runs.items() if times}
