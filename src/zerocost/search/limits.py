"""Limits: what an architecture must keep to before anything of it is scored."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from zerocost.base.conditions import Clause, join_clauses, parse_clauses
from zerocost.base.errors import Failure, InputError, first_line, unknown
from zerocost.base.format import name_of
from zerocost.base.units import unit_of
from zerocost.search.sizes import Cost
from zerocost.spaces import Architecture, SearchSpace

_MOST_MOVES = 200
"""Moves after which an architecture that is over a limit is given up."""
Limit = Callable[[Architecture], object]
"""A limit of the user's own: True or None when an architecture keeps to it, else False, or the reason as a text."""
_FAILED = re.compile(r" is false: (?:.*?, )??(\w+) failed: ")
"""In a reason, the cost that could not be found."""
_NOT_KEPT = " is not kept"
"""How a reason ends where a function gives none."""


def split_conditions(where: str | None, costs: Collection[str]) -> tuple[str | None, str | None]:
    """A condition in two: the clauses that name `costs` alone, for `Limits`, and the others, for `select`.

    Raises `InputError` for a condition that cannot be read.

    >>> where = "snip > 0.5 and params < 4e5 and (raspi4_latency < 12 or params < 1e5)"
    >>> split_conditions(where, ["params", "raspi4_latency"])
    ('params < 4e5 and (raspi4_latency < 12 or params < 1e5)', 'snip > 0.5')
    """
    parts = parse_clauses(where) if where else []
    limits = [part for part in parts if set(part.names) <= set(costs)]
    return join_clauses(limits), join_clauses([part for part in parts if part not in limits])


def count_refusals(reasons: Iterable[str]) -> list[str]:
    """How many architectures were refused, in words: those over a limit, and those without the cost that it is on.

    >>> count_refusals(["params < 9 is false: params = 12", "latency < 5 is false: latency failed: not in the table"])
    ['1 over a limit', '1 whose latency failed']
    """
    costs = Counter(found[1] if (found := _FAILED.search(reason)) else "" for reason in reasons)
    return [
        f"{count:,} whose {cost} failed" if cost else f"{count:,} over a limit" for cost, count in sorted(costs.items())
    ]


class Limits:
    """Conditions on the costs of an architecture, checked one by one until one does not hold.

    The functions come first: they are usually about the architecture's choices. Then come the clauses of `where`,
    those of the cheapest costs first, so that no latency is measured of a network that has too many parameters already.

    Args:
        where: conditions as in `zerocost.select`, on `costs` alone: "params < 4e5 and raspi4_latency < 12".
        costs: a function from an architecture to its number for each name, cheapest first: those of `table_costs`,
            `size_costs` and `measured_latency`, or your own.
        functions: your own limits: from an architecture to True or None when it keeps to the limit, and to False, or
            the reason as a text, when it does not.

    Raises:
        InputError: a condition that cannot be read or names another cost.

    >>> import torch
    >>> from zerocost import spaces
    >>> from zerocost.search.sizes import size_costs
    >>> space = spaces.get("nats_size")
    >>> limits = Limits("params < 4e5", size_costs(space, torch.zeros(1, 3, 32, 32)))
    >>> limits.check(space.parse("8:8:16:40:40"))
    >>> limits.check(space.parse("64:64:64:64:64"))
    'params < 4e5 is false: params = 713,674'
    """

    def __init__(
        self,
        where: str | None = None,
        costs: Mapping[str, Cost] | None = None,
        functions: Sequence[Limit] = (),
    ) -> None:
        self.costs = dict(costs or {})
        self.functions = tuple(functions)
        places = {name: place for place, name in enumerate(self.costs)}
        parts = parse_clauses(where) if where else []
        for part in parts:
            for name in part.names:
                if name not in places:
                    raise unknown("cost", name, places)
            part.holds(dict.fromkeys(part.names, math.nan))
        self.clauses = sorted(parts, key=lambda part: max((places[name] for name in part.names), default=-1))

    def check(self, arch: Architecture) -> str | None:
        """Why an architecture is over a limit; None when it keeps to all.

        An architecture without a cost keeps to no condition on it. Raises `InputError` when a
        function of the user's raises, or returns something else than a truth value or a reason.
        """
        for function in self.functions:
            reason = _reason_against(function, arch)
            if reason is not None:
                return reason
        return next((reason for part in self.clauses if (reason := self.why_broken(part, arch)) is not None), None)

    def excess(self, arch: Architecture) -> float:
        """How far an architecture is from keeping to all limits; 0 for one that does.

        Conditions are asked for in order up to the first that is broken; those after it count 1 each.
        """
        if any(_reason_against(function, arch) is not None for function in self.functions):
            return 1.0 + len(self.clauses)
        for place, clause in enumerate(self.clauses):
            found = {name: self.costs[name](arch) for name in clause.names}
            over = clause.excess({name: math.nan if isinstance(v, Failure) else v for name, v in found.items()})
            if over:
                return (1.0 - 1.0 / (1.0 + over)) + len(self.clauses) - place - 1
        return 0.0

    def repair(self, arch: Architecture, space: SearchSpace, rng: np.random.Generator) -> Architecture | None:
        """An architecture that keeps to all limits, near one that does not, by moves that never lead further away.

        None where there is none within `_MOST_MOVES` moves.
        """
        over = self.excess(arch)
        for _ in range(_MOST_MOVES):
            if not over:
                return arch
            moved = space.mutate(arch, rng)
            further = self.excess(moved)
            if further <= over:
                arch, over = moved, further
        return arch if not over else None

    def refusals(self, rejected: Mapping[str, str], space: SearchSpace) -> str:
        """Which limit refuses most of what was proposed, and what is nearest to the limits, in words."""
        counts = Counter(map(_refusing_limit, rejected.values()))
        parts = [f"{limit} refuses {count:,} of {len(rejected):,}" for limit, count in counts.most_common(3)]
        proposed = [space.parse(text) for text in rejected if not text.startswith("trial ")]
        near = sorted(proposed, key=self.excess)[:3]
        nearest = "; ".join(f"{arch} ({rejected[str(arch)]})" for arch in near)
        return f"no architecture keeps to the limits: {', '.join(parts)}; nearest: {nearest}"

    def why_broken(self, clause: Clause, arch: Architecture) -> str | None:
        """Why a clause does not hold for an architecture; None when it does."""
        found = {name: self.costs[name](arch) for name in clause.names}
        if clause.holds({name: math.nan if isinstance(v, Failure) else v for name, v in found.items()}):
            return None
        return f"{clause.text} is false: {', '.join(_cost_text(name, value) for name, value in found.items())}"


def _reason_against(function: Limit, arch: Architecture) -> str | None:
    """Why a user's function refuses an architecture; None when it does not."""
    name = name_of(function)
    try:
        answer = function(arch)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InputError(f"limit {name} raised {type(error).__name__} for {arch}: {first_line(error)}") from error
    if isinstance(answer, str):
        return answer
    if answer is not None and not isinstance(answer, bool | np.bool_):
        raise InputError(f"limit {name} must return True, False or a reason, but got {answer!r} for {arch}")
    return None if answer is None or answer else f"limit {name}{_NOT_KEPT}"


def _refusing_limit(reason: str) -> str:
    """The limit that a reason is of, and the cost that could not be found for it, if any."""
    failed = _FAILED.search(reason)
    return reason.partition(" is false")[0].removesuffix(_NOT_KEPT) + (f", as {failed[1]} failed," if failed else "")


def _cost_text(name: str, value: float | Failure) -> str:
    """A cost as it is written in a reason."""
    if isinstance(value, Failure):
        return f"{name} failed: {value}"
    text = f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"
    return f"{name} = {text} {unit_of(name)}".rstrip()
