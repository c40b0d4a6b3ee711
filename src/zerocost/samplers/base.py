"""What all samplers of whole architectures share: Optuna's interface, the fitness of trials, no twin twice."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import RLock
from typing import Any

import numpy as np
import pandas as pd
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from zerocost.base.errors import InputError
from zerocost.samplers.guided import Guide, GuideOrder
from zerocost.samplers.history import PARENT, FinishedTrial, History, StudyReader
from zerocost.samplers.suggest import ARCHITECTURE, choice_name
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace, distinct
from zerocost.statistics.pareto import crowded

__all__ = ["Combine", "FinishedTrial", "Guide", "History", "SpaceSampler"]

SCORES = "scores"
"""The attribute of a trial that holds its raw scores, by name; failed ones are absent."""
TRIES = 100
"""Draws in a row that may bring nothing new before something else is tried."""
LOCK = RLock()
"""Held while a proposal is made, so that threads of one study do not propose the same."""

Combine = Callable[[pd.DataFrame], "pd.Series[float]"]


class SpaceSampler(BaseSampler):
    """An Optuna sampler that proposes whole architectures of a `SearchSpace`.

    The objective asks for its architecture with `zerocost.samplers.suggest(space, trial)`. A subclass says in `propose`
    which one it is, from the history of the study and a generator; the same seed, trial number and history give the
    same proposal, in one process or many. None is a twin of another until the space is exhausted: `exhausted` is set
    with the last proposal that is new, and a study that is being optimised stops after it.

    With a `guide`, something cheap to know such as a zero-cost score, the search starts from the best of `warmup`
    random architectures, and each proposal is the best of `moves` drawn ones (Abdelfattah et al., ICLR 2021).

    Args:
        space: the space that the objective asks.
        seed: draws all proposals.
        combine: makes the fitness of finished trials from their raw scores (attribute "scores"), all of them anew
            whenever one is added, such as `zerocost.combine.log_rank`; those a strategy has forgotten (see `window`)
            are left out. Without it the fitness is the trial's value or, of several objectives, the place in the order
            of the fronts (see `zerocost.statistics.pareto`).
        guide: a number for an architecture, higher is better; asked once about each. One it has none for (NaN, or a
            `Failure` raised) ranks last. A `BatchGuide` is asked about many at once.
        warmup: how many random architectures the guide ranks at the start.
        moves: how many architectures the guide ranks for each proposal.

    Raises `InputError` for `warmup` below 0 or `moves` below 1, and for either of them without a guide.
    """

    window: int | None = None
    """How many of the last finished trials a history holds, where a strategy forgets the others."""

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
        if warmup < 0 or moves < 1:
            raise InputError(f"a sampler needs warmup >= 0 and moves >= 1, but got warmup={warmup}, moves={moves}")
        if guide is None and (warmup > 0 or moves > 1):
            raise InputError(f"warmup={warmup} and moves={moves} need a guide to rank architectures; give guide=…")
        self.space = space
        self.seed = seed
        self.combine = combine
        self.warmup = warmup
        self.moves = moves
        self.exhausted = False
        self.ranking = GuideOrder(guide)
        self._pool: dict[str, Architecture] | None = None
        self._reader: StudyReader | None = None
        self._known: dict[str, tuple[Architecture, str]] = {}
        self._plans: dict[int, Architecture] = {}
        self._parent: int | None = None
        self._past: list[FinishedTrial] = []
        self._seen = 0

    @abstractmethod
    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        """The next architecture to try; where it is a twin of one that was tried, another is drawn in its place."""

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if "fixed_params" in trial.system_attrs:  # enqueued: it brings answers of its own
            return
        with LOCK:
            history = self.history(study)
            left = self._read(study).left
            rng = np.random.default_rng([self.seed % 2**64, trial.number])
            arch = self._plans[trial.number] = self._next(history, rng, left(history.tried))
            if self._parent is not None:
                study._storage.set_trial_user_attr(trial._trial_id, PARENT, self._parent)
            self.exhausted = left(history.tried | {self.space.canonical(arch)}) is None
        if self.exhausted:
            with suppress(RuntimeError):  # where nobody optimises there is nothing to stop
                study.stop()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The planned answer; for a parameter that is not of the space, one drawn at random."""
        plan = dict(self._plans[trial.number].choices) if trial.number in self._plans else {}
        name = choice_name(param_name)
        if name in plan and fits_distribution(plan[name], param_distribution):
            return plan[name]
        own = RandomSampler(seed=zlib.crc32(f"{self.seed} {trial.number} {param_name}".encode()))
        return own.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        with LOCK:  # a proposal being made must find each trial among the plans or in the study
            self._plans.pop(trial.number, None)

    def history(self, study: Study) -> History:
        """What the study knows now; trials that this sampler was asked for are tried, even when they have not begun."""
        reader = self._read(study)
        done, tried = reader.read(study)
        if len(done) != self._seen:
            last = done if self.window is None else done[max(0, len(done) - self.window) :]
            self._seen = len(done)
            self._past = [
                FinishedTrial(
                    trial.number, self.known(trial.user_attrs[ARCHITECTURE])[0], fitness, trial.user_attrs.get(PARENT)
                )
                for trial, fitness in zip(last, self.fitness(study, last), strict=True)
            ]
        return History(self._past, tried | {self.space.canonical(arch) for arch in self._plans.values()}, reader.study)

    def fitness(self, study: Study, trials: Sequence[FrozenTrial]) -> list[float]:
        """How good each finished trial is; higher is better, -inf where `combine` has no number."""
        if not trials:
            return []
        if self.combine is not None:
            scores = pd.DataFrame([t.user_attrs.get(SCORES, {}) for t in trials], dtype=float)
            return [float(value) for value in self.combine(scores).fillna(-np.inf)]
        signs = [1.0 if direction == StudyDirection.MAXIMIZE else -1.0 for direction in study.directions]
        if len(signs) == 1:
            return [signs[0] * trial.values[0] for trial in trials]
        return [float(value) for value in crowded(np.array([trial.values for trial in trials]) * signs)]

    def known(self, text: str) -> tuple[Architecture, str]:
        """The architecture of a text, and the key that its twins share."""
        if text not in self._known:
            arch = self.space.parse(text)
            self._known[text] = arch, self.space.canonical(arch)
        return self._known[text]

    def start(self, history: History, rng: np.random.Generator) -> Architecture:
        """A point to start from: the best of the warm-up that was not tried, afterwards one at random."""
        if self._pool is None:
            drawn = distinct(self.space, self.warmup, np.random.default_rng([self.seed % 2**64]))
            self._pool = {self.space.canonical(arch): arch for arch in self.ranking.best_first(drawn)}
        best = next((arch for key, arch in self._pool.items() if key not in history.tried), None)
        return best or self.novel(history, lambda: self.space.sample(rng))

    def novel(self, history: History, draw: Callable[[], Architecture], tries: int = TRIES) -> Architecture:
        """The best by the guide of the first `moves` architectures drawn that have no twin among those tried.

        Draws until `tries` in a row bring nothing new; the last one drawn, when none is new.
        """
        new: dict[str, Architecture] = {}
        failed = 0
        while len(new) < self.moves and failed < tries:
            arch = draw()
            key = self.space.canonical(arch)
            failed = failed + 1 if key in history.tried or key in new else 0
            if not failed:
                new[key] = arch
        return self.ranking.best_first(new.values())[0] if new else arch

    def __getstate__(self) -> dict[str, Any]:
        """What was read of a study is left out: whoever goes on in another process reads it anew."""
        return self.__dict__ | {"_reader": None, "_plans": {}, "_past": [], "_seen": 0}

    def _next(self, history: History, rng: np.random.Generator, left: Architecture | None) -> Architecture:
        """What the strategy proposes or, where that was tried, one at random or what is `left`, `None` for nothing."""
        self._parent = None
        if left is None:
            return self.space.sample(rng)
        arch = self.propose(history, rng)
        if self.space.canonical(arch) in history.tried:
            arch = self.novel(history, lambda: self.space.sample(rng))
        return left if self.space.canonical(arch) in history.tried else arch

    def _read(self, study: Study) -> StudyReader:
        """The reader of this study; another study starts with a new one."""
        if self._reader is None or self._reader.study != study.study_name:
            self._reader, self._plans = StudyReader(self.space, study.study_name, self.known), {}
        return self._reader


def fits_distribution(value: Value, distribution: BaseDistribution) -> bool:
    """Whether a parameter of the distribution can have the value."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
