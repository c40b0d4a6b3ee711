"""Regularised evolution."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from zerocost.base.errors import InputError
from zerocost.samplers.base import SamplerOptions, SpaceSampler
from zerocost.samplers.history import FinishedTrial, History
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace


class EvolutionSampler(SpaceSampler):
    """Regularised evolution (Real et al., "Regularized evolution for image classifier architecture search", AAAI 2019).

    The population is the last `population` finished trials: the oldest dies, not the worst. A parent is the best of
    `tournament` of them drawn at random; its child is one mutation away, or, with probability `crossover`, a mix of
    two parents' choices. The first `population` trials are the best of the warm-up, then random. Several trials may
    run at once; they are not repeated, and join the population when they have finished. With several objectives the
    best one is on the first front, where it is least crowded.

    Args:
        space: the space of the architectures.
        population: how many finished trials can have children.
        tournament: how many of them compete to be a parent.
        crossover: the probability that a child has two parents.
        options: `seed`, `combine`, `guide`, `warmup` and `moves`; see `SpaceSampler`.

    Raises:
        InputError: unless 1 <= `tournament` <= `population` and 0 <= `crossover` <= 1, and as `SpaceSampler` does.

    >>> import optuna
    >>> from torch import nn
    >>> from zerocost.samplers.suggest import suggest
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("in", 1, 50), choose.int("out", 1, 50)), "linear")
    >>> study = optuna.create_study(sampler=EvolutionSampler(space, population=10))
    >>> study.optimize(lambda trial: sum(size for _, size in suggest(space, trial).choices), n_trials=60)
    >>> study.best_value < 10
    True
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population: int = 30,
        tournament: int = 10,
        crossover: float = 0.25,
        **options: Unpack[SamplerOptions],
    ) -> None:
        super().__init__(space, **options)
        if not 1 <= tournament <= population:
            raise InputError(
                f"a tournament is held among 1 to population={population} trials, but got tournament={tournament}"
            )
        if not 0 <= crossover <= 1:
            raise InputError(f"crossover is a probability, 0 to 1, but got {crossover}")
        self.population = self.window = population
        self.tournament = tournament
        self.crossover = crossover

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        if len(history.past) < self.population:
            return self.best_start(history, rng)
        return self.best_new(history, lambda: self._child(history.past, rng))

    def _child(self, alive: list[FinishedTrial], rng: np.random.Generator) -> Architecture:
        if rng.random() < self.crossover:
            return self.space.crossover(self._winner(alive, rng), self._winner(alive, rng), rng)
        return self.space.mutate(self._winner(alive, rng), rng)

    def _winner(self, alive: list[FinishedTrial], rng: np.random.Generator) -> Architecture:
        drawn = rng.choice(len(alive), self.tournament, replace=False)
        return max([alive[int(i)] for i in drawn], key=lambda past: past.fitness).architecture
