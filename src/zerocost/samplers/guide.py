"""Guides: a cheap measure of architectures decides which of them is tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from zerocost.base.errors import Failure
from zerocost.spaces.architecture import Architecture

Guide = Callable[[Architecture], float]


class BatchGuide:
    """A guide that scores many architectures at once, in several processes for instance.

    Args:
        many: takes a list of architectures and returns a number for each, higher is better, NaN for none.

    >>> guide = BatchGuide(lambda archs: [len(str(arch)) for arch in archs])
    >>> guide(Architecture("depth=3", ()))
    7
    """

    def __init__(self, many: Callable[[list[Architecture]], Sequence[float]]) -> None:
        self.many = many

    def __call__(self, arch: Architecture) -> float:
        return self.many([arch])[0]


class GuideOrder:
    """Sorts architectures by a guide, which is called once for each of them.

    Architectures without a number (NaN, or a `Failure` raised) come last; equal ones keep their order. Without a guide
    the order stays as it is.

    >>> order = GuideOrder(lambda arch: len(str(arch)))
    >>> [str(arch) for arch in order.best_first([Architecture("a", ()), Architecture("ccc", ())])]
    ['ccc', 'a']
    """

    def __init__(self, guide: Guide | None) -> None:
        self.guide = guide
        self._scores: dict[str, float] = {}

    def best_first(self, archs: Iterable[Architecture]) -> list[Architecture]:
        archs = list(archs)
        if self.guide is None or len(archs) < 2:
            return archs
        new = list({str(arch): arch for arch in archs if str(arch) not in self._scores}.values())
        for arch, score in zip(new, _call(self.guide, new), strict=True):
            self._scores[str(arch)] = -math.inf if math.isnan(score) else float(score)
        return sorted(archs, key=lambda arch: -self._scores[str(arch)])


def _call(guide: Guide, archs: list[Architecture]) -> Sequence[float]:
    return guide.many(archs) if isinstance(guide, BatchGuide) else [_call_once(guide, arch) for arch in archs]


def _call_once(guide: Guide, arch: Architecture) -> float:
    try:
        return guide(arch)
    except Failure:
        return math.nan
