"""The history of a study: its finished trials, and all that was tried."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from zerocost.samplers.suggest import ARCHITECTURE
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

PARENT = "parent"
"""The attribute of a trial that holds the number of the trial it was made from, for samplers that need it."""

_Parse = Callable[[str], tuple[Architecture, str]]


class FinishedTrial(NamedTuple):
    """One finished trial.

    Attributes:
        number: of the trial.
        architecture: that it tried.
        fitness: higher is better.
        parent: the number of the trial that it was made from, where the sampler records that.
    """

    number: int
    architecture: Architecture
    fitness: float
    parent: int | None = None


class History(NamedTuple):
    """What a sampler proposes from.

    Attributes:
        past: the finished trials in the order of their numbers.
        tried: the keys of all architectures that a trial was started with, whether it runs, has finished, was pruned or
            failed.
        study: name of the study.
    """

    past: list[FinishedTrial]
    tried: AbstractSet[str]
    study: str = ""


class StudyReader:
    """Reads one study again and again, each trial only once after it has ended."""

    def __init__(self, space: SearchSpace, study: str, parse: _Parse) -> None:
        self.space = space
        self.study = study
        self.parse = parse
        self._ended = 0  # the first trials, this many, have ended and are in `_done` and `_tried`
        self._done: list[FrozenTrial] = []
        self._tried: set[str] = set()
        self._order = iter(space)
        self._first = next(self._order, None)

    def read(self, study: Study) -> tuple[list[FrozenTrial], set[str]]:
        """The finished trials, and the keys of all that was tried."""
        trials = study.get_trials(deepcopy=False)
        while self._ended < len(trials) and trials[self._ended].state.is_finished():
            self._add(trials[self._ended], self._done, self._tried)
            self._ended += 1
        done, tried = list(self._done), set(self._tried)
        for trial in trials[self._ended :]:
            self._add(trial, done, tried)
        return done, tried

    def first_untried(self, tried: AbstractSet[str]) -> Architecture | None:
        """The first architecture, in the order of the space, without a twin in `tried`, which may only grow."""
        while self._first is not None and self.space.canonical(self._first) in tried:
            self._first = next(self._order, None)
        return self._first

    def _add(self, trial: FrozenTrial, done: list[FrozenTrial], tried: set[str]) -> None:
        if ARCHITECTURE in trial.user_attrs:
            tried.add(self.parse(trial.user_attrs[ARCHITECTURE])[1])
            if trial.state == TrialState.COMPLETE:
                done.append(trial)
