"""The contract every sampler of whole architectures keeps, as one function: anyone's sampler can face it."""

from __future__ import annotations

import pickle
import random
import zlib
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import optuna
import torch
from optuna import Trial
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from zerocost.samplers.suggest import ARCHITECTURE, suggest
from zerocost.spaces.architecture import Architecture
from zerocost.spaces.base import SearchSpace

Make = Callable[[SearchSpace, int], BaseSampler]
SMALL = 60
"""A space with at most this many architectures is tried to the last."""


def check_sampler(make: Make, space: SearchSpace, trials: int = 16) -> None:
    """Check the samplers that `make(space, seed)` gives over `space`, in studies of `trials` trials.

    Proposals are architectures of the space, none a twin of another until the space is exhausted, and then the study
    stops. The same seed gives the same proposals to the same study, also when a new sampler goes on with it, and when
    the negatives of its values are minimised. Several asks in flight, failed and pruned trials, several objectives and
    several threads do no harm; no global generator is used. Raises `AssertionError` that says which promise is broken.

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
    if size <= SMALL:
        _check_exhaustion(make, space, size)
    assert _generators() == before, "a global generator of random numbers was used"
    _check_threads(make, space, most)


def _size(space: SearchSpace) -> int:
    """How many architectures there are but for twins; more than `SMALL` of them are not counted."""
    keys: set[str] = set()
    for arch in space:
        keys.add(space.canonical(arch))
        if len(keys) > SMALL:
            break
    return len(keys)


def _values(arch: Architecture) -> tuple[float, float]:
    """What the studies maximise: the same for the same text, and different for different ones."""
    return zlib.crc32(str(arch).encode()) / 2**32, float(len(str(arch)))


def _run(
    make: Make, space: SearchSpace, trials: int, *, batch: int, bad: bool, signs: Sequence[int], anew: bool
) -> list[str]:
    """What is proposed when asked in batches.

    Values are those of `_values` times `signs`, as many as there are; of `bad` trials one in four fails and one is
    pruned; `anew`, a new sampler goes on after each batch.
    """
    study = optuna.create_study(
        sampler=make(space, 0), directions=["maximize" if sign > 0 else "minimize" for sign in signs]
    )
    found: list[Architecture] = []
    while len(found) < trials:
        asked = [study.ask() for _ in range(min(batch, trials - len(found)))]
        archs = [suggest(space, trial) for trial in asked]
        for trial, arch in reversed(list(zip(asked, archs, strict=True))):
            state = {1: TrialState.FAIL, 3: TrialState.PRUNED}.get(trial.number % 4) if bad else None
            values = [sign * value for sign, value in zip(signs, _values(arch), strict=False)]
            study.tell(trial, None if state else values, state)
        found += archs
        if anew:
            study.sampler = make(space, 0)
    _check_architectures(space, found)
    return [str(arch) for arch in found]


def _check_architectures(space: SearchSpace, found: Sequence[Architecture]) -> None:
    """Each is an architecture of the space by its text and its choices, and none has a twin."""
    keys: dict[str, Architecture] = {}
    for arch in found:
        parsed = space.parse(str(arch))
        assert parsed.choices == arch.choices, f"{arch} was proposed with the choices {arch.choices}"
        twin = keys.setdefault(space.canonical(arch), arch)
        assert twin is arch, f"{arch} was proposed, a twin of {twin}, which had been tried"


def _check_repeatable(make: Make, space: SearchSpace, trials: int) -> None:
    """The same study gets the same proposals, also from a sampler that did not live through it."""
    for batch, bad, signs in ((1, False, (1,)), (4, False, (1,)), (1, True, (1, -1)), (4, True, (1, 1))):
        run = partial(_run, make, space, trials, batch=batch, bad=bad)
        found = run(signs=signs, anew=False)
        what = f"asked {batch} at a time, {'with' if bad else 'without'} failed trials, {len(signs)} objectives"
        assert run(signs=signs, anew=True) == found, f"a new sampler that goes on proposes something else ({what})"
        turned = run(signs=[-sign for sign in signs], anew=False)
        assert turned == found, f"the negative minimised gets something else than the value maximised ({what})"


def _check_threads(make: Make, space: SearchSpace, trials: int) -> None:
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


def _check_exhaustion(make: Make, space: SearchSpace, size: int) -> None:
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
