"""Twins among candidates: architectures of a space whose networks compute the same family of functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import torch

from zerocost.base.seeding import seeded
from zerocost.base.torch_state import neutral_torch
from zerocost.spaces import SearchSpace


def first_twins(builders: Mapping[str, Any]) -> dict[str, str]:
    """For each candidate the first one that it is a twin of, itself where there is none before it.

    Twins are known among candidates built by `partial(space.build, arch)`, at the same fidelity. Those that differ in
    size, because one has a branch that leads nowhere, do not count as twins, so that sizes are each candidate's own.

    >>> from zerocost import spaces
    >>> space = spaces.get("nasbench201")
    >>> form = "|{}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    >>> cells = {name: space.parse(form.format(name)) for name in ("none", "avg_pool_3x3", "nor_conv_1x1")}
    >>> first_twins({name: partial(space.build, cell) for name, cell in cells.items()})
    {'none': 'none', 'avg_pool_3x3': 'none', 'nor_conv_1x1': 'nor_conv_1x1'}
    """
    keys = {name: _key(build) or name for name, build in builders.items()}
    counts = Counter(keys.values())
    first: dict[Hashable, str] = {}
    return {
        name: first.setdefault((key, _parameters(builders[name])) if counts[key] > 1 else key, name)
        for name, key in keys.items()
    }


def twin_notes(first: Mapping[str, str]) -> list[str]:
    """A line where candidates are twins of others."""
    networks = len(set(first.values()))
    if networks == len(first):
        return []
    return [f"{len(first):,} candidates are {networks:,} different networks; twins share their scores"]


def _key(build: Any) -> Hashable:
    """What the builders of twins share; None for a builder that is not known to be of a space."""
    space = getattr(build.func, "__self__", None) if isinstance(build, partial) else None
    if not isinstance(space, SearchSpace) or build.func != space.build or not build.args:
        return None
    arch, *fidelity = build.args
    return id(space), space.canonical(arch), *fidelity, *sorted(build.keywords.items())


def _parameters(build: Any) -> int:
    """How many parameters a network has, found without initialising it; −1 where it cannot be built."""
    try:
        with neutral_torch(), seeded(0), torch.device("meta"):
            return sum(p.numel() for p in build().parameters())
    except Exception:  # noqa: BLE001  scoring says what is wrong with it
        return -1
