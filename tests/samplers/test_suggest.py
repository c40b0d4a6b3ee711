"""suggest(): any sampler of Optuna answers the choices of any space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna import samplers
from optuna.trial import FixedTrial, TrialState
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Choose, SearchSpace, from_function, get
from zerocost.spaces.nasbench201 import OPERATIONS


def mixed(choose: Choose) -> nn.Module:
    for layer in range(choose.int("depth", 1, 3)):
        choose.int(f"width{layer}", 8, 24, step=8)
    if choose.bool("dropout"):
        choose.one_of("rate", [0.1, 0.5, None])
    choose.one_of("norm", ["none", "batch", "layer"] if choose.bool("normal") else ["none", "other"])
    return nn.Identity()


def cmaes() -> samplers.BaseSampler:
    pytest.importorskip("cmaes", reason="Optuna's CmaEsSampler needs the package cmaes")
    return samplers.CmaEsSampler(seed=0, n_startup_trials=4)


OPTUNA: dict[str, Callable[[], samplers.BaseSampler]] = {
    "random": lambda: samplers.RandomSampler(seed=0),
    "tpe": lambda: samplers.TPESampler(seed=0, n_startup_trials=4),
    "nsga2": lambda: samplers.NSGAIISampler(seed=0, population_size=4),
    "gp": lambda: samplers.GPSampler(seed=0, n_startup_trials=8, independent_sampler=samplers.RandomSampler(seed=0)),
    "cmaes": cmaes,
}


def spaces() -> dict[str, SearchSpace]:
    return {name: get(name) for name in ("cnn", "nasbench201", "nasbench101", "darts")} | {
        "mixed": from_function(mixed)
    }


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("space", spaces())
@pytest.mark.parametrize("sampler", OPTUNA)
def test_every_sampler_of_optuna_searches_every_space(sampler: str, space: str) -> None:
    searched = spaces()[space]
    study = optuna.create_study(sampler=OPTUNA[sampler](), direction="maximize")
    study.optimize(lambda trial: float(len(str(suggest(searched, trial)))), n_trials=10)
    assert len(study.trials) == 10
    for trial in study.trials:
        if trial.state == TrialState.COMPLETE:
            arch = searched.parse(trial.user_attrs["architecture"])
            assert trial.value == len(str(arch))
        else:
            assert space == "nasbench101"
            assert "no cell" in trial.user_attrs["rejected"]


def test_options_that_depend_on_another_choice_are_asked_under_another_name() -> None:
    space = from_function(mixed)
    study = optuna.create_study(sampler=samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: float(len(str(suggest(space, trial)))), n_trials=20)
    asked = [trial.user_attrs["architecture"].partition("norm=")[2] for trial in study.trials]
    answered = [value for t in study.trials for name, value in t.params.items() if name.partition("=")[0] == "norm"]
    assert answered == asked
    assert {"other", "batch"} <= set(asked)
    names = {name for trial in study.trials for name in trial.params if name.startswith("norm")} - {"normal", "norm"}
    assert names in ({"norm=none|batch|layer"}, {"norm=none|other"})


def test_answers_that_make_no_architecture_are_an_input_error() -> None:
    trial = FixedTrial({"vertices": 2, "edge0-1": False})
    with pytest.raises(InputError, match="no cell of space nasbench101"):
        suggest(get("nasbench101"), trial)
    assert "no cell" in trial.user_attrs["rejected"]


def test_a_missing_answer_is_named() -> None:
    with pytest.raises(InputError, match="does not answer choice 'norm'"):
        suggest(from_function(mixed), FixedTrial({"depth": 1, "width0": 8, "dropout": False, "normal": True}))


def test_a_sampler_of_numbers_is_asked_for_places():
    space = get("nasbench201")
    places = {name: 0 for name, _ in space.sample(np.random.default_rng(0)).choices}
    trial = optuna.trial.FixedTrial(places | {"1<-0": 3})
    arch = suggest(space, trial, numeric=True)
    assert dict(arch.choices)["1<-0"] == list(OPERATIONS)[3]
    assert all(isinstance(value, int) for value in trial.params.values())
