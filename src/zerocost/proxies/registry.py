"""The decorator that makes a function a zero-cost proxy, and the table of what is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from zerocost.engine.signals import requested
from zerocost.errors import InputError, unknown

Formula = TypeVar("Formula", bound=Callable[..., Any])


@dataclass(frozen=True)
class Proxy:
    """A registered proxy: its formula and what is declared about it."""

    name: str
    formula: Callable[..., Any]
    paper: str
    higher_is_better: bool
    signals: tuple[str, ...]
    summary: str


REGISTRY: dict[str, Proxy] = {}


def proxy(*, paper: str, higher_is_better: bool = True) -> Callable[[Formula], Formula]:
    r"""Register a function as a proxy. Its parameter names are the signals it asks for; it returns one number.

    `paper` is the source of the formula. With `higher_is_better=False` scores carry the formula's value negated, so
    that for every score higher is better. The function itself is returned unchanged, so it can be called and tested
    alone. Raises `InputError` when a parameter names no signal; a name registered twice replaces the first.

    >>> from zerocost.proxies import registry
    >>> @proxy(paper="this example")
    ... def weight_sum(weights):
    ...     r"Sum of all weights, :math:`\sum_k w_k`."
    ...     return sum(w.sum() for w in weights)
    >>> registry.get("weight_sum").signals
    ('weights',)
    >>> del registry.REGISTRY["weight_sum"]
    """

    def register(formula: Formula) -> Formula:
        summary = (inspect.getdoc(formula) or "").partition("\n")[0]
        name = formula.__name__
        REGISTRY[name] = Proxy(name, formula, paper, higher_is_better, requested(formula, "proxy"), summary)
        return formula

    return register


def get(name: str) -> Proxy:
    """The registered proxy of that name; `InputError` with the nearest match when there is none."""
    if name not in REGISTRY:
        raise unknown("proxy", name, REGISTRY)
    return REGISTRY[name]


def names() -> list[str]:
    """Names of all registered proxies, built-in ones first.

    >>> "snip" in names()
    True
    """
    return list(REGISTRY)


def resolve(wanted: Iterable[str] | str) -> list[Proxy]:
    """The proxies of the given names in their order, each once; a single string may hold several, comma-separated.

    >>> [p.name for p in resolve("snip,grasp")]
    ['snip', 'grasp']
    """
    listed = wanted.split(",") if isinstance(wanted, str) else list(wanted)
    chosen = dict.fromkeys(name.strip() for name in listed if name.strip())
    if not chosen:
        raise InputError(f"no proxy was named; choose from {', '.join(names())}")
    return [get(name) for name in chosen]
