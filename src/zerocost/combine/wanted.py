"""What rankings are asked to rank by, as a combination; and what they rank by when they are not asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import Tensor
from torch.utils._pytree import tree_leaves
from typing_extensions import TypeIs

from zerocost.combine.combination import Combination, load
from zerocost.engine.proxy import Proxy
from zerocost.proxies.registry import ProxyNames, as_items, portable_proxies, resolve

_Wanted = TypeVar("_Wanted")
_DEFAULT, _TOKENS = "default", "tokens"


def as_proxies(wanted: Combination | Path | ProxyNames) -> ProxyNames:
    """The proxies of a combination or of its .json file; any other choice of proxies is returned as it is.

    >>> as_proxies(Combination({"snip": 0.5, "naswot": 1.0, "params": 0.0})), as_proxies("snip,zen")
    (['snip', 'naswot'], 'snip,zen')
    """
    if _is_combination_file(wanted):
        wanted = load(str(wanted).strip())
    return [wanted.files.get(name, name) for name in wanted.proxies] if isinstance(wanted, Combination) else wanted


def _is_combination_file(wanted: object) -> TypeIs[str | Path]:
    """Whether `wanted` is the path of a combination's file."""
    if not isinstance(wanted, str):
        return isinstance(wanted, Path)
    file = wanted.strip()
    return file.endswith(".json") and ("," not in file or Path(file).is_file())


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
    given = portable_proxies(wanted)
    found = resolve([name if isinstance(item, str) else item for name, item in given.items()])  # runs no file again
    files = {name: item for name, item in given.items() if isinstance(item, str) and ".py:" in item}
    return Combination({p.name: -1.0 if p.is_budget else 1.0 for p in found}, files=files)


def for_inputs(wanted: _Wanted, inputs: Any) -> _Wanted | Combination:
    """The proxies that are wanted; for token ids with `tokens` wherever they are the default or name it.

    Inputs are token ids where all are whole numbers, but for masks: inputs of floats that have at most two values.

    >>> import torch
    >>> for_inputs("default", torch.zeros(2, 8, dtype=torch.long)) is tokens
    True
    >>> for_inputs("default,params", {"ids": torch.zeros(2, 8, dtype=torch.long), "mask": torch.ones(2, 8)})
    'tokens,params'
    """
    if isinstance(wanted, Combination):
        return tokens if wanted is default and _are_ids(inputs) else wanted
    if isinstance(wanted, Mapping) or not isinstance(wanted, Iterable) or not _are_ids(inputs):
        return wanted
    if isinstance(wanted, str) and wanted.strip() == _DEFAULT:
        return tokens
    items = [item.strip() if isinstance(item, str) else item for item in as_items(wanted)]
    if _DEFAULT not in items:
        return wanted
    changed = [_TOKENS if item == _DEFAULT else item for item in items]
    return cast("_Wanted", ",".join(changed) if isinstance(wanted, str) else changed)


def proxies_for(wanted: Combination | Path | ProxyNames, inputs: Any) -> list[Proxy]:
    """The proxies that are scored: those of `for_inputs`, found by name.

    >>> import torch
    >>> [p.name for p in proxies_for("default", torch.zeros(2, 8, dtype=torch.long))]
    ['log_synflow', 'l2_norm', 'dss', 'az_expressivity']
    """
    return resolve(as_proxies(for_inputs(wanted, inputs)))


def _are_ids(inputs: Any) -> bool:
    """Whether inputs are whole numbers, and perhaps masks."""
    values = [value for value in tree_leaves(inputs) if isinstance(value, Tensor)]
    others = [value for value in values if value.is_floating_point() or value.is_complex()]
    return len(others) < len(values) and all(map(_is_mask, others))


def _is_mask(value: Tensor) -> bool:
    """Whether a tensor has at most two real values."""
    if value.is_complex():
        return False
    return not value.numel() or bool(((value == value.min()) | (value == value.max())).all())


default = Combination(dict.fromkeys([p.name for p in resolve(_DEFAULT)], 1.0), "consensus")
"""The combination that rankings and searches use by default; docs/combining.md shows why."""
tokens = Combination(dict.fromkeys([p.name for p in resolve(_TOKENS)], 1.0), "consensus")
"""What takes the place of `default` for token ids, which have no derivative."""
_NAMED = {_DEFAULT: default, _TOKENS: tokens}
