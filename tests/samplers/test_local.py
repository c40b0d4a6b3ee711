"""Hill climbing goes from better to better neighbour and starts anew at a summit."""

from __future__ import annotations

import optuna
from torch import nn

from zerocost.samplers.local import LocalSampler
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Choose, from_function


def grid(choose: Choose) -> nn.Module:
    for name in "abc":
        choose.int(name, 0, 2)
    return nn.Identity()


SPACE = from_function(grid)


def climb(trials: int, workers: int = 1) -> optuna.Study:
    study = optuna.create_study(sampler=LocalSampler(SPACE, seed=1), direction="maximize")
    for _ in range(trials // workers):
        asked = [study.ask() for _ in range(workers)]
        archs = [suggest(SPACE, trial) for trial in asked]
        for trial, arch in zip(asked, archs, strict=True):
            study.tell(trial, sum(int(str(value)) for _, value in arch.choices))
    return study


def test_each_trial_is_a_neighbour_of_the_best_of_its_climb_until_all_were_tried() -> None:
    study = climb(24)
    archs = [SPACE.parse(trial.user_attrs["architecture"]) for trial in study.trials]
    best = 0
    for number, trial in enumerate(study.trials[1:], start=1):
        if "parent" in trial.user_attrs:
            assert trial.user_attrs["parent"] == best
            assert archs[number] in list(SPACE.neighbors(archs[best]))
            best = max(best, number, key=lambda n: (study.trials[n].value or 0.0, -n))
        else:
            assert set(SPACE.neighbors(archs[best])) <= set(archs[:number])
            best = number
    assert sum("parent" not in trial.user_attrs for trial in study.trials) > 1
    assert study.best_value == 6


def test_several_asks_in_flight_climb_from_the_highest_start() -> None:
    study = climb(9, workers=3)
    starts = [trial for trial in study.trials if "parent" not in trial.user_attrs]
    assert [trial.number for trial in starts] == [0, 1, 2]
    highest = max(starts, key=lambda trial: trial.value or 0.0)
    assert [trial.user_attrs["parent"] for trial in study.trials[3:6]] == [highest.number] * 3
