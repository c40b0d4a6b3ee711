"""Local search: hill climbing with restarts."""

from __future__ import annotations

from itertools import islice

import numpy as np

from zerocost.samplers.base import Combine, Guide, SpaceSampler
from zerocost.samplers.history import FinishedTrial, History
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

MUTATIONS = 20
"""Mutations in a row that may bring nothing new before the neighbours are gone through in their order."""


class LocalSampler(SpaceSampler):
    """Hill climbing with restarts (White et al., "Local search is state of the art for NAS benchmarks", UAI 2021).

    Neighbours of the best architecture of a climb are tried in random order, and the climb goes on from the first that
    is better. When all its neighbours were tried, another climb starts at the best of the warm-up or at random. With
    several asks in flight there may be several climbs; the highest that can go on does. Which trial a trial was made
    from is kept as its attribute "parent".

    >>> import optuna
    >>> from torch import nn
    >>> from zerocost.samplers.suggest import suggest
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("in", 1, 9), choose.int("out", 1, 9)), "linear")
    >>> study = optuna.create_study(sampler=LocalSampler(space))
    >>> study.optimize(lambda trial: sum(size for _, size in suggest(space, trial).choices), n_trials=40)
    >>> study.best_value
    2.0
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        combine: Combine | None = None,
        guide: Guide | None = None,
        warmup: int = 0,
        moves: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, combine=combine, guide=guide, warmup=warmup, moves=moves)
        self._closed: set[tuple[str, int]] = set()  # (study, trial) whose neighbours were all tried

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        seed = int(rng.integers(2**63))  # of each top its own draws, whichever tops are known to be closed
        for top in sorted(_best_of_climbs(history.past), key=lambda past: -past.fitness):
            if (history.study, top.number) not in self._closed:
                near = self._near(top.architecture, history, np.random.default_rng([seed, top.number]))
                if near is not None:
                    self._parent = top.number
                    return near
                self._closed.add((history.study, top.number))
        return self.start(history, rng)

    def _near(self, top: Architecture, history: History, rng: np.random.Generator) -> Architecture | None:
        """A neighbour that was not tried, `None` when all were."""
        near = self.novel(history, lambda: self.space.mutate(top, rng), tries=MUTATIONS)
        if self.space.canonical(near) not in history.tried:
            return near
        left = (arch for arch in self.space.neighbors(top) if self.space.canonical(arch) not in history.tried)
        return next(iter(self.ranking.best_first(islice(left, self.moves))), None)


def _best_of_climbs(past: list[FinishedTrial]) -> list[FinishedTrial]:
    """The best trial of each climb, the first of equals."""
    start: dict[int, int] = {}
    tops: dict[int, FinishedTrial] = {}
    for one in past:
        climb = start[one.number] = one.number if one.parent is None else start.get(one.parent, one.parent)
        if climb not in tops or one.fitness > tops[climb].fitness:
            tops[climb] = one
    return list(tops.values())
