"""The contract every sampler of whole architectures keeps, as one function: anyone's sampler can face it."""

from __future__ import annotations

import pickle
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
import torch
from optuna import Trial
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from zerocost.samplers.suggest import ARCHITECTURE, suggest
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

_Make = Callable[[SearchSpace, int], BaseSampler]
_SMALL = 60
"""A space with at most this many architectures is tried to the last."""


def check_sampler(make: _Make, space: SearchSpace, trials: int = 16) -> None:
    """Check a sampler of whole architectures against the promises of one.

    Proposals are architectures of the space, none a twin of another until the space is exhausted, and then the study
    stops. The same seed gives the same proposals to the same study, also when a new sampler goes on with it, and when
    the negatives of its values are minimised. Several asks in flight, failed and pruned trials, several objectives and
    several threads do no harm; no global generator is used.

    Args:
        make: makes a sampler out of a space and a seed.
        space: what is sampled.
        trials: how many trials each study has; fewer where the space has fewer architectures.

    Raises:
        AssertionError: a promise is broken; the message says which.

    >>> from torch import nn
    >>> from zerocost.samplers.random import RandomSampler
    >>> from zerocost.spaces import from_function
    >>> space = from_function(lambda choose: nn.Linear(choose.int("in", 1, 6), choose.int("out", 1, 6)), "linear")
    >>> check_sampler(lambda space, seed: RandomSampler(space, seed=seed), space)
    """
    before = _generators()
    size = _size(space)
    most = min(trials, size)
    _check_repeatable(make, space, most)
    if size <= _SMALL:
        _check_exhaustion(make, space, size)
    assert _generators() == before, "a global generator of random numbers was used"
    _check_threads(make, space, most)


def _size(space: SearchSpace) -> int:
    """How many architectures there are but for twins; more than `_SMALL` of them are not counted."""
    keys: set[str] = set()
    for arch in space:
        keys.add(space.canonical(arch))
        if len(keys) > _SMALL:
            break
    return len(keys)


def _values(arch: Architecture) -> tuple[float, float]:
    """What the studies maximise: the same for the same text, and different for different ones."""
    return zlib.crc32(str(arch).encode()) / 2**32, float(len(str(arch)))


@dataclass(frozen=True)
class _Ask:
    """How a study asks for proposals.

    Attributes:
        batch: how many trials are in flight at a time.
        failures: whether one trial in four fails and one in four is pruned.
        signs: a factor for each objective's values; those of a positive one are maximised, the others minimised.
        resumed: whether a new sampler goes on after each batch.
    """

    batch: int
    failures: bool
    signs: Sequence[int]
    resumed: bool = False

    def __str__(self) -> str:
        failures = "with" if self.failures else "without"
        return f"asked {self.batch} at a time, {failures} failed trials, {len(self.signs)} objectives"


def _proposals(make: _Make, space: SearchSpace, trials: int, ask: _Ask) -> list[str]:
    """What a sampler from seed 0 proposes."""
    study = optuna.create_study(
        sampler=make(space, 0), directions=["maximize" if sign > 0 else "minimize" for sign in ask.signs]
    )
    proposed: list[Architecture] = []
    while len(proposed) < trials:
        in_flight = [study.ask() for _ in range(min(ask.batch, trials - len(proposed)))]
        archs = [suggest(space, trial) for trial in in_flight]
        for trial, arch in reversed(list(zip(in_flight, archs, strict=True))):
            state = {1: TrialState.FAIL, 3: TrialState.PRUNED}.get(trial.number % 4) if ask.failures else None
            values = [sign * value for sign, value in zip(ask.signs, _values(arch), strict=False)]
            study.tell(trial, None if state else values, state)
        proposed += archs
        if ask.resumed:
            study.sampler = make(space, 0)
    _check_architectures(space, proposed)
    return [str(arch) for arch in proposed]


def _check_architectures(space: SearchSpace, found: Sequence[Architecture]) -> None:
    """Each is an architecture of the space by its text and its choices, and none has a twin."""
    keys: dict[str, Architecture] = {}
    for arch in found:
        parsed = space.parse(str(arch))
        assert parsed.choices == arch.choices, f"{arch} was proposed with the choices {arch.choices}"
        twin = keys.setdefault(space.canonical(arch), arch)
        assert twin is arch, f"{arch} was proposed, a twin of {twin}, which had been tried"


def _check_repeatable(make: _Make, space: SearchSpace, trials: int) -> None:
    """The same study gets the same proposals, also from a sampler that did not live through it."""
    for ask in (_Ask(1, False, (1,)), _Ask(4, False, (1,)), _Ask(1, True, (1, -1)), _Ask(4, True, (1, 1))):
        found = _proposals(make, space, trials, ask)
        resumed = _proposals(make, space, trials, replace(ask, resumed=True))
        assert resumed == found, f"a new sampler that goes on proposes something else ({ask})"
        turned = _proposals(make, space, trials, replace(ask, signs=[-sign for sign in ask.signs]))
        assert turned == found, f"the negative minimised gets something else than the value maximised ({ask})"


def _check_threads(make: _Make, space: SearchSpace, trials: int) -> None:
    """Threads of one study get different proposals; parameters that are not of the space are answered too."""

    def objective(trial: Trial) -> float:
        arch = suggest(space, trial)
        rate = trial.suggest_float("a parameter of the caller", 1e-4, 1e-1, log=True)
        assert 1e-4 <= rate <= 1e-1, f"a parameter from 1e-4 to 1e-1 was answered with {rate}"
        return _values(arch)[0]

    study = optuna.create_study(sampler=make(space, 0))
    study.optimize(objective, n_trials=trials, n_jobs=2)
    assert len(study.trials) == trials, f"{len(study.trials)} of {trials} trials were run by two threads"
    _check_architectures(space, [space.parse(trial.user_attrs[ARCHITECTURE]) for trial in study.trials])


def _check_exhaustion(make: _Make, space: SearchSpace, size: int) -> None:
    """A study that is optimised without end stops when each architecture was tried once; asking on does no harm."""
    sampler = make(space, 0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: _values(suggest(space, trial))[0], n_trials=size + 5)
    _check_architectures(space, [space.parse(trial.user_attrs[ARCHITECTURE]) for trial in study.trials[:size]])
    assert len(study.trials) == size, f"{len(study.trials)} trials were run over {size} architectures"
    assert getattr(sampler, "exhausted", False), "the space is exhausted, but the sampler does not say so"
    suggest(space, study.ask())


def _generators() -> tuple[object, ...]:
    """The states of the global generators of Python, numpy and torch."""
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().numpy().tobytes()
