"""Costs by functions of the user's own, such as a latency predictor or a meter of energy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import isfinite
from typing import Any

from zerocost.base.errors import Failure, describe_error
from zerocost.base.format import name_of
from zerocost.base.units import is_cost
from zerocost.search.sizes import Cost
from zerocost.spaces import Architecture

OwnCost = Callable[[Architecture], float]
"""A number for an architecture, of which less is better."""


def cost_name(function: Callable[..., Any]) -> str:
    """What a function's numbers are called: by its name, which ends in `_cost` unless it is that of a cost already.

    >>> def joules(arch): ...
    >>> def pi_latency(arch): ...
    >>> cost_name(joules), cost_name(pi_latency)
    ('joules_cost', 'pi_latency')
    """
    name = name_of(function).strip("<>_")
    return name if is_cost(name) else f"{name}_cost"


def own_cost(function: OwnCost) -> Cost:
    """The numbers of a function, each asked for once; a `Failure` where it raises or returns no number.

    >>> own_cost(lambda arch: 2 * len(str(arch)))(Architecture("ab", ()))
    4.0
    >>> own_cost(lambda arch: 1 / 0)(Architecture("ab", ()))
    Failure('function lambda raised ZeroDivisionError: division by zero')
    """
    name = name_of(function).strip("<>")

    @cache
    def cost(arch: Architecture) -> float | Failure:
        return as_number(name, lambda: function(arch))

    return cost


def as_number(name: str, ask: Callable[[], Any]) -> float | Failure:
    """What a function returns as a finite number, or why it is none."""
    try:
        value = ask()
    except Failure as error:
        return error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  whatever the user's function raises
        return Failure(f"function {name} raised {describe_error(error)}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Failure(f"function {name} returned {value!r:.60}, expected a number")
    return number if isfinite(number) else Failure(f"function {name} returned {number}")
