"""What rankings are asked to rank by, as a combination; and what they rank by when they are not asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._pytree import tree_leaves
from typing_extensions import TypeIs

from zerocost.combine.combination import Combination, load
from zerocost.proxies.registry import ProxyNames, resolve

_Wanted = TypeVar("_Wanted")


def as_proxies(wanted: Combination | Path | ProxyNames) -> ProxyNames:
    """The proxies of a combination or of its .json file; any other choice of proxies is returned as it is.

    >>> as_proxies(Combination({"snip": 0.5, "naswot": 1.0, "params": 0.0})), as_proxies("snip,zen")
    (['snip', 'naswot'], 'snip,zen')
    """
    if _is_combination_file(wanted):
        wanted = load(str(wanted).strip())
    return wanted.proxies if isinstance(wanted, Combination) else wanted


def _is_combination_file(wanted: object) -> TypeIs[str | Path]:
    """Whether `wanted` is the path of a combination's file."""
    return isinstance(wanted, Path) or (isinstance(wanted, str) and wanted.strip().endswith(".json"))


def as_combination(wanted: Combination | Mapping[str, float] | Path | ProxyNames) -> Combination:
    """A combination from a `Combination`, weights by name, a .json file, or proxies of equal weight.

    "default" and "tokens" are those of this module. Proxies of the group "budgets" have the weight −1: less of them is
    better.

    >>> print(as_combination("snip,naswot"))
    the log-rank sum of snip, naswot
    >>> print(as_combination("snip,peak_memory"))
    the log-rank sum of snip, peak_memory (less is better)
    """
    if isinstance(wanted, Combination):
        return wanted
    if isinstance(wanted, Mapping):
        return Combination(wanted)
    if _is_combination_file(wanted):
        return load(str(wanted).strip())
    if isinstance(wanted, str) and wanted.strip() in _NAMED:
        return _NAMED[wanted.strip()]
    return Combination({p.name: -1.0 if p.group == "budgets" else 1.0 for p in resolve(wanted)})


def for_inputs(wanted: _Wanted, inputs: Any) -> _Wanted | Combination:
    """The proxies that are wanted; where that is the default, `tokens` for inputs that are whole numbers.

    >>> import torch
    >>> for_inputs("default", torch.zeros(2, 8, dtype=torch.long)) is tokens
    True
    """
    ids = [not value.is_floating_point() for value in tree_leaves(inputs) if isinstance(value, Tensor)]
    is_default = wanted is default or (isinstance(wanted, str) and wanted.strip() == "default")
    return tokens if is_default and ids and all(ids) else wanted


default = Combination(dict.fromkeys([p.name for p in resolve("default")], 1.0), "consensus")
"""The combination that rankings and searches use by default; docs/combining.md shows why."""
tokens = Combination(dict.fromkeys([p.name for p in resolve("tokens")], 1.0), "consensus")
"""What takes the place of `default` for token ids, which have no derivative."""
_NAMED = {"default": default, "tokens": tokens}
