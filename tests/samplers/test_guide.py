"""Warm-up and move proposal: what is cheap to know decides which architecture is tried."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from torch import nn

from zerocost.base.errors import Failure
from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.guide import BatchGuide, GuideOrder
from zerocost.samplers.local import LocalSampler
from zerocost.samplers.random import RandomSampler
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Architecture, Choose, distinct, from_function


def grid(choose: Choose) -> nn.Module:
    choose.int("a", 0, 30)
    choose.int("b", 0, 30)
    return nn.Identity()


SPACE = from_function(grid)


def total(arch: Architecture) -> float:
    return float(sum(int(str(value)) for _, value in arch.choices))


def run(sampler: SpaceSampler, trials: int) -> list[Architecture]:
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(lambda trial: total(suggest(SPACE, trial)), n_trials=trials)
    return [SPACE.parse(trial.user_attrs["architecture"]) for trial in study.trials]


def test_the_guide_is_asked_once_about_each_and_failures_rank_last() -> None:
    asked: list[str] = []

    def guide(arch: Architecture) -> float:
        asked.append(str(arch))
        if str(arch) == "bad":
            raise Failure("no number")
        return math.nan if str(arch) == "nan" else float(str(arch))

    ranking = GuideOrder(guide)
    archs = [Architecture(text, ()) for text in ("bad", "1", "nan", "-3", "2")]
    for _ in range(2):
        assert [str(arch) for arch in ranking.best_first(archs)] == ["2", "1", "-3", "bad", "nan"]
    assert asked == ["bad", "1", "nan", "-3", "2"]


def test_a_batch_guide_is_asked_about_all_new_ones_together() -> None:
    asked: list[list[str]] = []

    def many(archs: list[Architecture]) -> list[float]:
        asked.append([str(arch) for arch in archs])
        return [float(str(arch)) for arch in archs]

    ranking = GuideOrder(BatchGuide(many))
    one, two, three = (Architecture(text, ()) for text in "123")
    assert ranking.best_first([one, two]) == [two, one]
    assert ranking.best_first([one, three, two]) == [three, two, one]
    assert asked == [["1", "2"], ["3"]]


@pytest.mark.parametrize("kind", [RandomSampler, EvolutionSampler])
def test_the_first_trials_are_the_best_of_the_warmup(kind: type[RandomSampler | EvolutionSampler]) -> None:
    first = run(kind(SPACE, seed=3, guide=total, warmup=50), 30)
    pool = distinct(SPACE, 50, np.random.default_rng([3]))
    assert first == sorted(pool, key=total, reverse=True)[:30]


def test_a_climb_starts_at_the_best_of_the_warmup() -> None:
    pool = distinct(SPACE, 50, np.random.default_rng([3]))
    assert run(LocalSampler(SPACE, seed=3, guide=total, warmup=50), 1) == [max(pool, key=total)]


@pytest.mark.parametrize("kind", [RandomSampler, EvolutionSampler, LocalSampler])
def test_moves_are_guided(kind: type[RandomSampler | EvolutionSampler | LocalSampler]) -> None:
    """The best of five draws is better than one draw, by far, over forty trials of three seeds."""
    for seed in range(3):
        free, guided = (run(kind(SPACE, seed=seed, **keys), 40) for keys in ({}, {"guide": total, "moves": 5}))
        assert np.mean([total(arch) for arch in guided]) > 5 + np.mean([total(arch) for arch in free])
