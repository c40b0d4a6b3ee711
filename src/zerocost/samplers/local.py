"""Local search: hill climbing with restarts."""

from __future__ import annotations

from itertools import islice
from typing import Unpack

import numpy as np

from zerocost.samplers.base import SamplerOptions, SpaceSampler
from zerocost.samplers.history import FinishedTrial, History
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

_MUTATIONS = 20
"""Mutations in a row without anything new, after which the neighbours are tried in their order."""


class LocalSampler(SpaceSampler):
    """Hill climbing with restarts (White et al., "Local search is state of the art for NAS benchmarks", UAI 2021).

    Neighbours of the best architecture of a climb are tried in random order, and the climb goes on from the first that
    is better. When all its neighbours were tried, another climb starts at the best of the warm-up or at random. When
    several trials run at once there may be several climbs; the best one that can go on does. A trial's attribute
    "parent" is the number of the trial that it was made from.

    Args:
        space: the space of the architectures.
        options: `seed`, `combine`, `guide`, `warmup` and `moves`; see `SpaceSampler`.

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

    def __init__(self, space: SearchSpace, **options: Unpack[SamplerOptions]) -> None:
        super().__init__(space, **options)
        self._closed: set[tuple[str, int]] = set()  # (study, trial) whose neighbours were all tried

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        seed = int(rng.integers(2**63))  # each top has its own draws, whichever tops are known to be closed
        for top in sorted(_best_of_climbs(history.past), key=lambda past: -past.fitness):
            if (history.study, top.number) not in self._closed:
                near = self._untried_neighbor(top.architecture, history, np.random.default_rng([seed, top.number]))
                if near is not None:
                    self._parent = top.number
                    return near
                self._closed.add((history.study, top.number))
        return self.best_start(history, rng)

    def _untried_neighbor(self, top: Architecture, history: History, rng: np.random.Generator) -> Architecture | None:
        """A neighbour that was not tried; None if all were."""
        near = self.best_new(history, lambda: self.space.mutate(top, rng), tries=_MUTATIONS)
        if self.space.canonical(near) not in history.tried:
            return near
        left = (arch for arch in self.space.neighbors(top) if self.space.canonical(arch) not in history.tried)
        return next(iter(self.order.best_first(islice(left, self.moves))), None)


def _best_of_climbs(past: list[FinishedTrial]) -> list[FinishedTrial]:
    """The best trial of each climb, the first of equals."""
    start: dict[int, int] = {}
    tops: dict[int, FinishedTrial] = {}
    for one in past:
        climb = start[one.number] = one.number if one.parent is None else start.get(one.parent, one.parent)
        if climb not in tops or one.fitness > tops[climb].fitness:
            tops[climb] = one
    return list(tops.values())
