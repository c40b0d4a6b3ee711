"""A guide: what is cheap to know of an architecture decides which one is tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from zerocost.base.errors import Failure
from zerocost.spaces.architecture import Architecture

Guide = Callable[[Architecture], float]


class BatchGuide:
    """A guide that scores many architectures at once, in several processes for instance.

    `many` takes a list of architectures and returns a number for each, higher is better, NaN where there is none.

    >>> guide = BatchGuide(lambda archs: [len(str(arch)) for arch in archs])
    >>> guide(Architecture("depth=3", ()))
    7
    """

    def __init__(self, many: Callable[[list[Architecture]], Sequence[float]]) -> None:
        self.many = many

    def __call__(self, arch: Architecture) -> float:
        return self.many([arch])[0]


class GuideOrder:
    """Puts architectures in the order of a guide, which is asked once about each of them.

    One that the guide has no number for (NaN, or a `Failure` raised) comes last; equals stay in the order they came.
    Without a guide the order is left alone.

    >>> ranking = GuideOrder(lambda arch: len(str(arch)))
    >>> [str(arch) for arch in ranking.best_first([Architecture("a", ()), Architecture("ccc", ())])]
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
        scores = (
            self.guide.many(new) if isinstance(self.guide, BatchGuide) else [_score_or_nan(self.guide, a) for a in new]
        )
        for arch, score in zip(new, scores, strict=True):
            self._scores[str(arch)] = -math.inf if math.isnan(score) else float(score)
        return sorted(archs, key=lambda arch: -self._scores[str(arch)])


def _score_or_nan(guide: Guide, arch: Architecture) -> float:
    try:
        return guide(arch)
    except Failure:
        return math.nan
