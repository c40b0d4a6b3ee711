"""What all samplers of whole architectures share, beyond their contract."""

from __future__ import annotations

import pickle

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.evolution import EvolutionSampler
from zerocost.samplers.history import History
from zerocost.samplers.random import RandomSampler
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Architecture, Choose, from_function


def grid(choose: Choose) -> nn.Module:
    choose.int("a", 0, 9)
    choose.int("b", 0, 9)
    return nn.Identity()


SPACE = from_function(grid)


class Seeing(SpaceSampler):
    """Random search that keeps the last history it saw."""

    seen: History

    def propose(self, history: History, rng: np.random.Generator) -> Architecture:
        self.seen = history
        return self.space.sample(rng)


def test_a_proposal_that_is_no_architecture_is_refused() -> None:
    class Texts(SpaceSampler):
        def propose(self, history: History, rng: np.random.Generator) -> Architecture:
            return "a=1,b=2"  # type: ignore[return-value]

    with pytest.raises(InputError, match=r"Texts.propose must return an Architecture, .* but got 'a=1,b=2'"):
        optuna.create_study(sampler=Texts(SPACE)).ask()


def told(study: optuna.Study, *values: float, **attributes: object) -> str:
    """Ask, suggest and tell one trial; the architecture's text."""
    trial = study.ask()
    arch = suggest(SPACE, trial)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, values)
    return str(arch)


def test_history_has_finished_trials_and_takes_the_others_for_tried() -> None:
    sampler = Seeing(SPACE)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    first = told(study, 3.0)
    failed, pruned, running, asked = (study.ask() for _ in range(4))
    others = [str(suggest(SPACE, trial)) for trial in (failed, pruned, running)]
    study.tell(failed, state=TrialState.FAIL)
    study.tell(pruned, state=TrialState.PRUNED)
    second = told(study, 1.0)
    last = str(suggest(SPACE, study.ask()))
    assert [(past.number, str(past.architecture), past.fitness) for past in sampler.seen.past] == [
        (0, first, -3.0),
        (5, second, -1.0),
    ]
    assert sampler.seen.tried == {first, *others, str(suggest(SPACE, asked)), second}
    assert last not in sampler.seen.tried


def test_fitness_is_combined_from_raw_scores_anew_for_each_proposal() -> None:
    def combine(scores: pd.DataFrame) -> pd.Series[float]:
        return scores["p"].rank()

    sampler = Seeing(SPACE, combine=combine)
    study = optuna.create_study(sampler=sampler)
    for score in (5.0, 7.0, None, 6.0):
        told(study, 0.0, scores={"q": 1.0} | ({"p": score} if score else {}))
    study.ask()
    assert [past.fitness for past in sampler.seen.past] == [1.0, 3.0, -np.inf, 2.0]


def test_fitness_of_several_objectives_follows_the_fronts() -> None:
    sampler = Seeing(SPACE)
    study = optuna.create_study(sampler=sampler, directions=["maximize", "minimize"])
    for values in ((1.0, 5.0), (2.0, 1.0), (0.0, 9.0)):
        told(study, *values)
    study.ask()
    assert np.argsort([past.fitness for past in sampler.seen.past]).tolist() == [2, 0, 1]


def test_enqueued_trials_keep_their_answers() -> None:
    study = optuna.create_study(sampler=RandomSampler(SPACE))
    study.enqueue_trial({"a": 4, "b": 2})
    study.enqueue_trial({"a": 7})
    assert told(study, 0.0) == "a=4,b=2"
    assert told(study, 0.0).startswith("a=7,")
    assert len({told(study, 0.0) for _ in range(90)} | {"a=4,b=2"}) == 91


def test_a_sampler_can_be_pickled_in_the_middle_of_a_study() -> None:
    study = optuna.create_study(sampler=EvolutionSampler(SPACE, population=3, tournament=2, seed=4))
    for number in range(6):
        told(study, float(number))
    copy = pickle.loads(pickle.dumps(study.sampler))
    live = suggest(SPACE, study.ask())
    study.tell(6, 1.0)
    again = optuna.create_study(sampler=copy)
    again.add_trials(study.trials[:6])
    assert suggest(SPACE, again.ask()) == live


def test_one_sampler_serves_several_studies() -> None:
    sampler = RandomSampler(SPACE)
    one, other = (optuna.create_study(sampler=sampler) for _ in range(2))
    drawn = [[told(study, 0.0) for _ in range(5)] for study in (one, other)]
    assert drawn[0] == drawn[1]
    assert told(one, 0.0) not in drawn[0]


def test_other_seeds_give_other_architectures() -> None:
    studies = [optuna.create_study(sampler=RandomSampler(SPACE, seed=seed)) for seed in (0, 1, -1)]
    assert len({tuple(told(study, 0.0) for _ in range(4)) for study in studies}) == 3


def test_what_is_left_is_found_though_it_is_hardly_ever_drawn() -> None:
    """Sampling reaches the deepest of these sixteen architectures once in 2¹⁵ draws."""
    chain = from_function(lambda choose: nn.Linear(next(i for i in range(16) if i == 15 or choose.bool(f"s{i}")), 1))
    study = optuna.create_study(sampler=RandomSampler(chain))
    study.optimize(lambda trial: float(len(str(suggest(chain, trial)))), n_trials=20)
    assert len({trial.user_attrs["architecture"] for trial in study.trials}) == len(study.trials) == 16


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"warmup": -1}, "warmup >= 0"),
        ({"moves": 0}, "moves >= 1"),
        ({"warmup": 5}, "need a guide"),
        ({"moves": 5}, "need a guide"),
    ],
)
def test_settings_are_checked(settings: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RandomSampler(SPACE, **settings)  # type: ignore[arg-type]
