"""Our samplers keep the contract over every kind of space, and the contract catches those that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from optuna import Study
from optuna.trial import FrozenTrial
from torch import nn

from zerocost.base.errors import Failure
from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.history import History
from zerocost.samplers.local import LocalSampler
from zerocost.samplers.random import RandomSampler
from zerocost.spaces import Architecture, Choose, SearchSpace, from_function, get
from zerocost.testing.samplers import check_sampler


def mixed(choose: Choose) -> nn.Module:
    """Conditional choices of every kind, one of them with options that depend on another."""
    for layer in range(choose.int("depth", 1, 3)):
        choose.int(f"width{layer}", 8, 24, step=8)
    if choose.bool("dropout"):
        choose.one_of("rate", [0.1, 0.5, None])
    choose.one_of("norm", ["none", "batch", "layer"] if choose.bool("normal") else ["none"])
    return nn.Identity()


def tiny(choose: Choose) -> nn.Module:
    choose.one_of("op", ["a", "b"] if choose.bool("few") else ["a", "b", "c"])
    return nn.Identity()


def single(choose: Choose) -> nn.Module:
    return nn.Identity()


def guide(arch: Architecture) -> float:
    """Half of them fail."""
    if len(str(arch)) % 2:
        raise Failure("nothing is known of it")
    return float(len(str(arch)))


SPACES = {
    "cnn": lambda: get("cnn"),
    "nasbench201": lambda: get("nasbench201"),
    "nasbench101": lambda: get("nasbench101"),
    "darts": lambda: get("darts"),
    "mixed": lambda: from_function(mixed),
    "tiny": lambda: from_function(tiny),
    "single": lambda: from_function(single),
}
SAMPLERS = {
    "random": lambda space, seed: RandomSampler(space, seed=seed),
    "evolution": lambda space, seed: EvolutionSampler(space, seed=seed, population=4, tournament=2),
    "local": lambda space, seed: LocalSampler(space, seed=seed),
    "guided random": lambda space, seed: RandomSampler(space, seed=seed, guide=guide, warmup=6, moves=2),
    "guided evolution": lambda space, seed: EvolutionSampler(
        space, seed=seed, population=4, tournament=2, guide=guide, warmup=6, moves=2
    ),
    "guided local": lambda space, seed: LocalSampler(space, seed=seed, guide=guide, warmup=6, moves=2),
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_our_samplers_keep_the_contract(sampler: str, space: str) -> None:
    check_sampler(SAMPLERS[sampler], SPACES[space](), trials=8 if space in ("nasbench101", "darts") else 12)


class Sound(SpaceSampler):
    """A sampler that keeps every promise; each class below breaks one."""

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        return self.best_new(history, lambda: self.space.sample(rng))


class Forgetful(Sound):
    """Takes nothing for tried."""

    def history(self, study: Study) -> History:
        return History([], frozenset())


class Stateful(Sound):
    """What it proposes depends on how often it was asked."""

    def __init__(self, space: SearchSpace, *, seed: int) -> None:
        super().__init__(space, seed=seed)
        self.asked = 0

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        self.asked += 1
        return super().propose(history, np.random.default_rng(self.asked))


class Unseeded(Sound):
    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        return self.best_new(history, lambda: self.space.sample(np.random.default_rng()))


class GlobalRandomness(Sound):
    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        np.random.random()
        return super().propose(history, rng)


class Endless(Sound):
    """Does not stop the study when nothing is left."""

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(study, "stop", lambda: None)
            super().before_trial(study, trial)


class Signless(Sound):
    """Takes the values as they are, to be maximised or not."""

    def fitness(self, study: Study, trials: Sequence[FrozenTrial]) -> list[float]:
        return [trial.values[0] for trial in trials]

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        return super().propose(history, np.random.default_rng(sum(past.fitness > 0 for past in history.past)))


@pytest.mark.parametrize(
    ("sampler", "space", "said"),
    [
        (Forgetful, "tiny", "a twin of"),
        (Stateful, "cnn", "a new sampler that goes on"),
        (Unseeded, "cnn", "a new sampler that goes on"),
        (GlobalRandomness, "cnn", "a global generator"),
        (Signless, "cnn", "the negative minimised"),
        (Endless, "tiny", "trials were run over 5 architectures"),
    ],
)
def test_a_broken_promise_is_caught_and_named(sampler: Callable[..., Sound], space: str, said: str) -> None:
    check_sampler(lambda space, seed: Sound(space, seed=seed), SPACES[space]())
    with pytest.raises(AssertionError, match=said):
        check_sampler(lambda space, seed: sampler(space, seed=seed), SPACES[space]())
