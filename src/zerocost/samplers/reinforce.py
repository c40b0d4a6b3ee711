"""REINFORCE: a recurrent controller that learns which answers lead to good architectures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Unpack

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial
from scipy.stats import rankdata

from zerocost.base.errors import InputError
from zerocost.samplers.base import TRIES, SamplerOptions, SpaceSampler
from zerocost.samplers.controller import ChoiceStep, Controller
from zerocost.samplers.history import History
from zerocost.samplers.suggest import ARCHITECTURE
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace
from zerocost.spaces.choose import Choose, Options

_TEMPERATURE_STEP = 0.2
"""How much the temperature rises, from 1, with each draw that brings nothing new."""


class ReinforceSampler(SpaceSampler):
    """A recurrent controller trained by REINFORCE (Zoph & Le, "Neural architecture search with RL", ICLR 2017).

    The controller answers choice by choice. It learns from finished trials in the order of their numbers, `batch` at
    a time: an architecture's reward is the rank of its fitness among those finished so far, from -1 to 1, less a moving
    average of earlier rewards. The first `batch` trials are the best of the warm-up, then random. Once the policy is
    so sure that it draws only what was tried, it draws at a higher temperature. When several trials run at once and one
    finishes after a trial with a higher number, batches are learnt again in the right order.

    Args:
        space: the space of the architectures.
        batch: finished trials an update.
        hidden: size of the controller's LSTM.
        learning_rate: of Adam.
        entropy: weight of the policy's entropy, which keeps it from being sure too early.
        baseline: how much of the moving average of rewards is kept from one batch to the next.
        options: `seed`, `combine`, `guide`, `warmup` and `moves`; see `SpaceSampler`.

    Raises:
        InputError: `batch` or `hidden` below 1, `learning_rate` not above 0, `baseline` not in [0, 1), and as
            `SpaceSampler` does.

    >>> import optuna
    >>> from torch import nn
    >>> from zerocost.samplers.suggest import suggest
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("in", 1, 20), choose.int("out", 1, 20)), "linear")
    >>> study = optuna.create_study(sampler=ReinforceSampler(space))
    >>> study.optimize(lambda trial: sum(size for _, size in suggest(space, trial).choices), n_trials=60)
    >>> study.best_value < 10
    True
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        batch: int = 10,
        hidden: int = 32,
        learning_rate: float = 0.02,
        entropy: float = 0.1,
        baseline: float = 0.9,
        **options: Unpack[SamplerOptions],
    ) -> None:
        super().__init__(space, **options)
        if batch < 1 or hidden < 1 or learning_rate <= 0 or not 0 <= baseline < 1:
            raise InputError(
                "a controller needs batch >= 1, hidden >= 1, learning_rate > 0 and 0 <= baseline < 1, but got "
                f"batch={batch}, hidden={hidden}, learning_rate={learning_rate}, baseline={baseline}"
            )
        self.batch = batch
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.entropy = entropy
        self.baseline = baseline
        self._reset()

    def history(self, study: Study) -> History:
        done, _ = self._reader_of(study).read(study)
        self._learn(study, done)
        return super().history(study)

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        if len(history.past) < self.batch:
            return self.best_start(history, rng)
        draws = itertools.count()
        return self.best_new(history, lambda: self._draw(rng, 1 + _TEMPERATURE_STEP * next(draws)))

    def _draw(self, rng: np.random.Generator, temperature: float) -> Architecture:
        """An architecture drawn by the controller; a random one if its answers make none `TRIES` times in a row."""
        for _ in range(TRIES):
            try:
                return self._controller.draw(self.space, rng, temperature)
            except InputError:
                continue
        return self.space.sample(rng)

    def _reset(self) -> None:
        self._controller = Controller(self.seed, self.hidden, self.learning_rate)
        self._learnt: list[tuple[str, int]] = []  # (study, trial), in the order they were learnt from
        self._average = 0.0

    def _learn(self, study: Study, done: Sequence[FrozenTrial]) -> None:
        """Learn from the new batches of finished trials; from all of them again if the earlier ones have changed."""
        numbers = [(study.study_name, trial.number) for trial in done]
        if numbers[: len(self._learnt)] != self._learnt:
            self._reset()
        for end in range(len(self._learnt) + self.batch, len(done) + 1, self.batch):
            ranks = rankdata(self.fitness(study, done[:end]))[-self.batch :]
            rewards = (2 * ranks - 1) / end - 1
            taken = zip(done[end - self.batch : end], rewards - self._average, strict=True)
            paths = [(path, advantage) for trial, advantage in taken if (path := self._steps_to(trial))]
            if paths:
                self._controller.learn([path for path, _ in paths], [advantage for _, advantage in paths], self.entropy)
            self._average = self.baseline * self._average + (1 - self.baseline) * float(rewards.mean())
            self._learnt = numbers[:end]

    def _steps_to(self, trial: FrozenTrial) -> list[ChoiceStep]:
        """The choices that lead to a trial's architecture; none if the space can parse it but not choose it."""
        answers = dict(self.parse(trial.user_attrs[ARCHITECTURE])[0].choices)
        steps: list[ChoiceStep] = []

        def pick(name: str, options: Options) -> Value:
            steps.append(ChoiceStep(name, options, options.index(answers[name])))  # type: ignore[arg-type]
            return answers[name]

        try:
            self.space.choose(Choose(pick))
        except ValueError:
            return []
        return steps
