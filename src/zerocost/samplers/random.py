"""Random search."""

from __future__ import annotations

import numpy as np

from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.history import History
from zerocost.spaces.architecture import Architecture


class RandomSampler(SpaceSampler):
    """Architectures drawn at random, none twice: the baseline of every other strategy.

    With a guide, the architectures of the warm-up come first, best first. Arguments are those of `SpaceSampler`.

    >>> import optuna
    >>> from torch import nn
    >>> from zerocost.samplers.suggest import suggest
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("width", 1, 4), 1), "linear")
    >>> study = optuna.create_study(sampler=RandomSampler(space))
    >>> study.optimize(lambda trial: len(str(suggest(space, trial))), n_trials=10)
    >>> sorted(trial.params["width"] for trial in study.trials)
    [1, 2, 3, 4]
    """

    window = 0

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        return self.best_start(history, rng)
