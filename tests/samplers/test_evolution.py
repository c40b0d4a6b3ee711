"""Regularised evolution: who lives, who has children, and that searching beats drawing."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import pytest
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.history import FinishedTrial, History
from zerocost.samplers.local import LocalSampler
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Choose, from_function, get

TABLE = Path(__file__).parents[2].parent / "shared" / "data" / "nasbench201-cifar10.csv"


def grid(choose: Choose) -> nn.Module:
    for name in "abcd":
        choose.int(name, 0, 99)
    return nn.Identity()


SPACE = from_function(grid)


def past(*fitness: float) -> list[FinishedTrial]:
    """Trial i has the value i for all its choices."""
    return [FinishedTrial(i, SPACE.parse(f"a={i},b={i},c={i},d={i}"), value) for i, value in enumerate(fitness)]


def children(sampler: EvolutionSampler, trials: list[FinishedTrial], n: int = 60) -> list[dict[str, object]]:
    archs = [sampler.propose(History(trials, frozenset()), np.random.default_rng(seed)) for seed in range(n)]
    return [dict(arch.choices) for arch in archs]


def test_the_winner_of_the_tournament_has_a_child_one_mutation_away() -> None:
    trials = past(0.1, 0.9, 0.5, 0.3)
    sampler = EvolutionSampler(SPACE, population=4, tournament=4, crossover=0.0)
    for child in children(sampler, trials):
        assert sum(value == 1 for value in child.values()) == 3


def test_a_tournament_of_one_draws_any_parent() -> None:
    sampler = EvolutionSampler(SPACE, population=4, tournament=1, crossover=0.0)
    kinds = {max(child.values(), key=list(child.values()).count) for child in children(sampler, past(1, 2, 3, 4))}  # type: ignore[type-var]
    assert kinds == {0, 1, 2, 3}


def test_a_child_of_two_parents_has_choices_of_both() -> None:
    sampler = EvolutionSampler(SPACE, population=2, tournament=1, crossover=1.0)
    made = children(sampler, past(1, 2))
    assert {value for child in made for value in child.values()} == {0, 1}
    assert any(len(set(child.values())) == 2 for child in made)


@pytest.mark.parametrize(
    "settings", [{"tournament": 0}, {"population": 5, "tournament": 6}, {"crossover": 1.5}, {"crossover": -0.1}]
)
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(InputError):
        EvolutionSampler(SPACE, **settings)  # type: ignore[arg-type]


def test_the_population_is_the_last_finished_trials() -> None:
    """The best trial of all, the first, has no children once it is too old."""
    study = optuna.create_study(sampler=EvolutionSampler(SPACE, population=3, tournament=3, crossover=0.0))
    for i, value in enumerate((0.0, 5.0, 5.0, 1.0)):
        study.enqueue_trial(dict.fromkeys("abcd", i))
        trial = study.ask()
        suggest(SPACE, trial)
        study.tell(trial, value)
    child = suggest(SPACE, study.ask())
    assert [value for _, value in child.choices].count(3) == 3


@cache
def truth() -> dict[str, float]:
    """Accuracy of all of nasbench201 where the table is at hand, else how many edges are like those of a good cell."""
    space = get("nasbench201")
    if TABLE.exists():
        with TABLE.open() as file:
            return {row["arch"]: float(row["test_accuracy_mean"]) for row in csv.DictReader(file)}
    good = space.parse(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    return {str(arch): -float(((space.encode(arch) - space.encode(good)) ** 2).sum()) for arch in space}


@pytest.mark.parametrize("kind", [EvolutionSampler, LocalSampler])
def test_searching_beats_drawing_by_more_than_chance(kind: type[EvolutionSampler | LocalSampler]) -> None:
    """The mean of the best of 80 trials over 8 seeds is above that of all but one in a thousand groups of 8 draws."""
    space, seeds, trials = get("nasbench201"), 8, 80

    def best(seed: int) -> float:
        study = optuna.create_study(sampler=kind(space, seed=seed), direction="maximize")
        study.optimize(lambda trial: truth()[str(suggest(space, trial))], n_trials=trials)
        return study.best_value

    rng = np.random.default_rng(0)
    drawn = rng.choice(list(truth().values()), (2000, seeds, trials)).max(axis=2).mean(axis=1)
    assert np.mean([best(seed) for seed in range(seeds)]) > np.quantile(drawn, 0.999)
