"""What all samplers of whole architectures share: Optuna's interface, the fitness of trials, no twin proposed twice."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import RLock
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from zerocost.base.errors import InputError
from zerocost.samplers.guide import Guide, GuideOrder
from zerocost.samplers.history import PARENT, FinishedTrial, History, StudyReader
from zerocost.samplers.suggest import ARCHITECTURE, choice_name
from zerocost.spaces.architecture import Architecture, Value
from zerocost.spaces.base import SearchSpace, distinct
from zerocost.statistics.pareto import crowded_fitness

SCORES = "scores"
"""The attribute of a trial that holds its raw scores, by name; failed ones are absent."""
TRIES = 100
"""Draws in a row without anything new, after which something else is tried."""
_LOCK = RLock()
"""Held while a proposal is made, so that threads of one study do not propose the same."""

_Combine = Callable[[pd.DataFrame], "pd.Series[float]"]


class ProposalOptions(TypedDict, total=False):
    """Keyword arguments of every sampler; `SpaceSampler` explains them."""

    seed: int
    combine: _Combine | None
    guide: Guide | None
    moves: int


class SamplerOptions(ProposalOptions, total=False):
    """Keyword arguments of the samplers that start from a warm-up."""

    warmup: int


class SpaceSampler(BaseSampler):
    """An Optuna sampler that proposes whole architectures of a `SearchSpace`.

    The objective asks for its architecture with `zerocost.samplers.suggest(space, trial)`. A subclass chooses it in
    `propose`, from the history of the study and a random generator. The same seed, trial number and history give the
    same proposal, in one process or many. No proposal is a twin of an earlier one until the space is exhausted; a study
    that is being optimised stops then.

    A `guide` is a cheap measure of an architecture, such as a zero-cost score. With one, the search starts from the
    best of `warmup` random architectures, and each proposal is the best of `moves` drawn ones (Abdelfattah et al.,
    ICLR 2021).

    Args:
        space: the space of the architectures.
        seed: seeds all proposals.
        combine: computes the fitness of finished trials from their raw scores (attribute "scores"), such as
            `zerocost.combine.log_rank`. It is called again with all trials whenever one is added; those outside
            `window` are left out. Without it the fitness is the trial's value or, with several objectives, the place in
            the order of the fronts (see `zerocost.statistics.pareto`).
        guide: from an architecture to a number, higher is better; called once for each. Architectures without a number
            (NaN, or a `Failure` raised) rank last. A `BatchGuide` takes many at once.
        warmup: how many random architectures the guide ranks at the start.
        moves: how many architectures the guide ranks for each proposal.

    Attributes:
        exhausted: whether the last proposal was the last new one.
        window: how many of the last finished trials a history holds; None for all.

    Raises:
        InputError: `warmup` below 0 or `moves` below 1, or either of them without a guide.
    """

    window: int | None = None

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        combine: _Combine | None = None,
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
        self.order = GuideOrder(guide)
        self._warmup: dict[str, Architecture] | None = None
        self._reader: StudyReader | None = None
        self._parsed: dict[str, tuple[Architecture, str]] = {}
        self._plans: dict[int, Architecture] = {}
        self._parent: int | None = None
        self._past: list[FinishedTrial] = []
        self._done = 0

    @abstractmethod
    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        """The next architecture to try. If it is a twin of one that was tried, another is drawn instead.

        Args:
            history: what the study knows.
            rng: the only source of randomness.
        """

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if "fixed_params" in trial.system_attrs:  # enqueued: it brings answers of its own
            return
        with _LOCK:
            history = self.history(study)
            first_untried = self._reader_of(study).first_untried
            rng = np.random.default_rng([self.seed % 2**64, trial.number])
            arch = self._plans[trial.number] = self._next(history, rng, first_untried(history.tried))
            if self._parent is not None:
                study._storage.set_trial_user_attr(trial._trial_id, PARENT, self._parent)
            self.exhausted = first_untried(history.tried | {self.space.canonical(arch)}) is None
        if self.exhausted:
            with suppress(RuntimeError):  # there is nothing to stop outside study.optimize
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
        """The planned answer; a random one for a parameter that is not of the space."""
        plan = dict(self._plans[trial.number].choices) if trial.number in self._plans else {}
        name = choice_name(param_name)
        if name in plan and _fits_distribution(plan[name], param_distribution):
            return plan[name]
        own = RandomSampler(seed=zlib.crc32(f"{self.seed} {trial.number} {param_name}".encode()))
        return own.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        with _LOCK:  # a proposal being made must find each trial among the plans or in the study
            self._plans.pop(trial.number, None)

    def history(self, study: Study) -> History:
        """What the study knows now. Trials that this sampler has proposed count as tried, also before they begin."""
        reader = self._reader_of(study)
        done, tried = reader.read(study)
        if len(done) != self._done:
            last = done if self.window is None else done[max(0, len(done) - self.window) :]
            self._done = len(done)
            self._past = [
                FinishedTrial(
                    trial.number, self.parse(trial.user_attrs[ARCHITECTURE])[0], fitness, trial.user_attrs.get(PARENT)
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
        return [float(value) for value in crowded_fitness(np.array([trial.values for trial in trials]) * signs)]

    def parse(self, text: str) -> tuple[Architecture, str]:
        """The architecture that a text names, and the key that its twins share."""
        if text not in self._parsed:
            arch = self.space.parse(text)
            self._parsed[text] = arch, self.space.canonical(arch)
        return self._parsed[text]

    def best_start(self, history: History, rng: np.random.Generator) -> Architecture:
        """An architecture to start from: the best of the warm-up that was not tried, later a random one."""
        if self._warmup is None:
            drawn = distinct(self.space, self.warmup, np.random.default_rng([self.seed % 2**64]))
            self._warmup = {self.space.canonical(arch): arch for arch in self.order.best_first(drawn)}
        best = next((arch for key, arch in self._warmup.items() if key not in history.tried), None)
        return best or self.best_new(history, lambda: self.space.sample(rng))

    def best_new(self, history: History, draw: Callable[[], Architecture], tries: int = TRIES) -> Architecture:
        """The best by the guide of `moves` architectures that have no twin among those tried.

        Draws until there are `moves` of them, or until `tries` draws in a row bring nothing new. The last one drawn if
        none is new.
        """
        new: dict[str, Architecture] = {}
        failed = 0
        while len(new) < self.moves and failed < tries:
            arch = draw()
            key = self.space.canonical(arch)
            failed = failed + 1 if key in history.tried or key in new else 0
            if not failed:
                new[key] = arch
        return self.order.best_first(new.values())[0] if new else arch

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read of a study, which another process reads again."""
        return self.__dict__ | {"_reader": None, "_plans": {}, "_past": [], "_done": 0}

    def _next(self, history: History, rng: np.random.Generator, left: Architecture | None) -> Architecture:
        """The strategy's proposal or, if that was tried, a random new one, at last `left`.

        `left` is an architecture that was not tried; None if there is none, and then any random one is returned.
        """
        self._parent = None
        if left is None:
            return self.space.sample(rng)
        arch: object = self.propose(history, rng)
        if not isinstance(arch, Architecture):
            name = type(self).__name__
            raise InputError(f"{name}.propose must return an Architecture, such as space.parse(text), but got {arch!r}")
        if self.space.canonical(arch) in history.tried:
            arch = self.best_new(history, lambda: self.space.sample(rng))
        return left if self.space.canonical(arch) in history.tried else arch

    def _reader_of(self, study: Study) -> StudyReader:
        """The reader of this study; another study gets a new one."""
        if self._reader is None or self._reader.study != study.study_name:
            self._reader, self._plans = StudyReader(self.space, study.study_name, self.parse), {}
        return self._reader


def _fits_distribution(value: Value, distribution: BaseDistribution) -> bool:
    """Whether a distribution has a value."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
