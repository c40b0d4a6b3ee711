"""Proxies with the settings their papers score with; without a preset a proxy has our recommended ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zerocost.base.errors import unknown
from zerocost.engine.proxy import Proxy, get, names
from zerocost.proxies.aggregates import AGGREGATES

_NOISE = {"initialisation": "kaiming", "inputs": "noise"}
PAPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "az_expressivity": ("az_expressivity", _NOISE),
    "az_progressivity": ("az_progressivity", _NOISE),
    "az_trainability": ("az_trainability", _NOISE),
    "meco": ("meco_modules", {"inputs": "noise", "samples": 1, "pixels": 64}),
    "meco_opt": ("meco_opt", {"inputs": "noise", "samples": 1, "pixels": 64}),
    "ntk_condition": ("ntk_condition", {"initialisation": "kaiming", "samples": 72, "repeats": 3}),
    "swap": ("swap", {"initialisation": "gaussian", "samples": 16, "repeats": 32}),
    "swap_regularised": ("swap_regularised", {"initialisation": "gaussian", "samples": 16, "repeats": 32}),
    "vkdnw": ("vkdnw", {"initialisation": "kaiming", "samples": 64}),
    "vkdnw_single": ("vkdnw_single", {"initialisation": "kaiming", "samples": 64}),
    "zen": ("zen", {"initialisation": "gaussian", "inputs": "noise", "samples": 16, "repeats": 32}),
}
"""For each proxy whose paper scores otherwise than our default: the formula, and the options."""


def paper(name: str) -> list[Proxy]:
    """The proxy of that name with the settings of its paper, called "paper:name"; the parts of an aggregate.

    Settings are those of the passes and the number of repeats. The size of a batch, and how many there are, is in what
    you score on: 64 or 128 images for most, two batches of 128 for `zico`. A proxy whose paper scores the network as
    it is, on one batch, is unchanged. At the shell: `--proxies paper:zen`.

    Raises:
        InputError: there is no such proxy.

    >>> [p.settings for p in paper("zen")]
    [Settings(inputs=noise, initialisation=gaussian, samples=16)]
    >>> [p.name for p in paper("az_nas")]
    ['paper:az_expressivity', 'paper:az_progressivity', 'paper:az_trainability', 'paper:flops']
    """
    if name not in AGGREGATES and name not in names():
        raise unknown("proxy", name, [*names(), *AGGREGATES], "`zerocost proxies`")
    return [_with_paper_settings(part) for part in AGGREGATES.get(name, (name,))]


def _with_paper_settings(name: str) -> Proxy:
    """One proxy with the settings of its paper."""
    base, options = PAPERS.get(name, (name, {}))
    return replace(get(base).using(**options), name=f"paper:{name}")
