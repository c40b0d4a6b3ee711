"""REINFORCE: it learns, forgets what is no longer so, copes with every kind of space, and is repeatable."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
import torch
from optuna import Study
from torch import nn

from zerocost.base.errors import InputError
from zerocost.samplers.base import SpaceSampler
from zerocost.samplers.controller import ChoiceStep, Controller
from zerocost.samplers.random import RandomSampler
from zerocost.samplers.reinforce import ReinforceSampler
from zerocost.samplers.suggest import suggest
from zerocost.spaces import Architecture, Choose, SearchSpace, from_function, get
from zerocost.testing.samplers import check_sampler

POINTS = {"none": 0.0, "skip_connect": 1.0, "avg_pool_3x3": 1.0, "nor_conv_1x1": 2.0, "nor_conv_3x3": 3.0}


def mixed(choose: Choose) -> nn.Module:
    """Conditional choices of every kind, one of them with options that depend on another."""
    for layer in range(choose.int("depth", 1, 3)):
        choose.int(f"width{layer}", 8, 24, step=8)
    if choose.bool("dropout"):
        choose.one_of("rate", [0.1, 0.5, None])
    choose.one_of("norm", ["none", "batch", "layer"] if choose.bool("normal") else ["none"])
    return nn.Identity()


def points(arch: Architecture) -> float:
    """A smooth objective of nasbench201: the sum over its edges."""
    return sum(POINTS[str(operation)] for _, operation in arch.choices)


def searched(sampler: SpaceSampler, trials: int, space: SearchSpace, study: Study | None = None) -> list[str]:
    study = study or optuna.create_study(direction="maximize", sampler=sampler)
    study.sampler = sampler
    study.optimize(lambda trial: points(suggest(space, trial)), n_trials=trials)
    return [trial.user_attrs["architecture"] for trial in study.trials]


def paths(controller: Controller, space: SearchSpace, count: int) -> list[list[ChoiceStep]]:
    rng, drawn = np.random.default_rng(0), []
    for _ in range(count):
        choose = Choose(lambda name, options: options[int(rng.integers(len(options)))])
        space.choose(choose)
        drawn.append([ChoiceStep(n, options, options.index(value)) for n, (options, value) in choose.asked.items()])
    return drawn


@pytest.mark.parametrize("space", ["mixed", "nasbench101"])
def test_contract(space: str) -> None:
    spaces = {"mixed": lambda: from_function(mixed)}
    made = spaces[space]() if space in spaces else get(space)
    check_sampler(lambda space, seed: ReinforceSampler(space, seed=seed, batch=2, hidden=8), made, trials=5)


def test_it_learns_what_is_good_and_random_search_does_not() -> None:
    space, late = get("nasbench201"), []
    for seed in range(2):
        for kind in (ReinforceSampler, RandomSampler):
            study = optuna.create_study(direction="maximize")
            searched(kind(space, seed=seed), 150, space, study)
            late.append(np.mean([trial.value for trial in study.trials[-50:]]))
    learnt, random = late[::2], late[1::2]
    assert min(learnt) > max(random) + 2


def test_a_new_sampler_goes_on_as_the_old_one_would_have() -> None:
    space = get("nasbench201")
    whole = searched(ReinforceSampler(space, seed=1, batch=5), 31, space)
    study = optuna.create_study(direction="maximize")
    for trials in (12, 1, 18):
        resumed = searched(ReinforceSampler(space, seed=1, batch=5), trials, space, study)
    assert resumed == whole


def test_a_trial_that_finishes_late_is_learnt_from_in_its_place() -> None:
    space = get("nasbench201")
    study = optuna.create_study(direction="maximize", sampler=ReinforceSampler(space, batch=4))
    asked = [study.ask() for _ in range(9)]
    archs = [suggest(space, trial) for trial in asked]
    for i in (1, 2, 3, 4, 5, 6, 7, 8):
        study.tell(asked[i], points(archs[i]))
    suggest(space, study.ask())
    study.tell(asked[0], points(archs[0]))
    lived = suggest(space, study.ask())
    study.tell(study.trials[-1].number, state=optuna.trial.TrialState.FAIL)
    fresh = ReinforceSampler(space, batch=4)
    fresh.history(study)
    study.sampler.history(study)  # type: ignore[attr-defined]
    ours: Controller = study.sampler._controller  # type: ignore[attr-defined]
    assert torch.equal(ours.gates, fresh._controller.gates)
    assert str(lived) not in map(str, archs)


def test_only_the_order_of_fitness_counts() -> None:
    space = get("nasbench201")
    found = []
    for scale in (1.0, 1e-6):
        study = optuna.create_study(direction="maximize", sampler=ReinforceSampler(space, batch=5))
        study.optimize(lambda trial, scale=scale: scale * points(suggest(space, trial)) - 3, n_trials=25)
        found.append([trial.user_attrs["architecture"] for trial in study.trials])
    assert found[0] == found[1]


def test_a_fitness_relative_to_the_pool_is_learnt_the_same_in_one_go() -> None:
    space = get("nasbench201")

    def sampler() -> ReinforceSampler:
        return ReinforceSampler(space, batch=5, combine=lambda scores: scores.rank()["points"])

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr("scores", {"points": points(suggest(space, trial))})
        return 0.0

    study = optuna.create_study(sampler=sampler())
    study.optimize(objective, n_trials=22)
    fresh = sampler()
    fresh.history(study)
    assert torch.equal(study.sampler._controller.gates, fresh._controller.gates)  # type: ignore[attr-defined]


def test_scores_do_not_depend_on_what_else_is_in_the_batch() -> None:
    controller = Controller(0, 8, 0.01)
    batch = paths(controller, from_function(mixed), 12)
    together, entropies = controller.log_probabilities(batch)
    alone = [controller.log_probabilities([path]) for path in batch]
    torch.testing.assert_close(together, torch.cat([chance for chance, _ in alone]))
    torch.testing.assert_close(entropies, torch.cat([entropy for _, entropy in alone]))


def test_probabilities_of_all_architectures_sum_to_one() -> None:
    controller, space = Controller(0, 8, 0.01), from_function(mixed)
    every = []
    for arch in space:
        choose = Choose(lambda name, options, arch=arch: dict(arch.choices)[name])
        space.choose(choose)
        every.append([ChoiceStep(n, options, options.index(value)) for n, (options, value) in choose.asked.items()])
    assert controller.log_probabilities(every)[0].exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_rewarded_architecture_becomes_more_likely_than_a_punished_one() -> None:
    controller = Controller(0, 8, 0.01)
    batch = paths(controller, get("nasbench201"), 2)
    for _ in range(5):
        controller.learn(batch, [1.0, -1.0], entropy=0.0)
    good, bad = controller.log_probabilities(batch)[0].tolist()
    assert good > 6 * np.log(1 / 5) > bad


def test_an_enqueued_genotype_that_the_space_never_draws_is_not_learnt_from() -> None:
    cell = "[('none', 0), ('none', 1), ('none', 0), ('none', 1), ('none', 0), ('none', 1), ('none', 0), ('none', 1)]"
    text = f"Genotype(normal={cell}, normal_concat=[2, 3, 4, 5], reduce={cell}, reduce_concat=[2, 3, 4, 5])"
    space = get("darts")
    study = optuna.create_study(sampler=ReinforceSampler(space, batch=1, hidden=8))
    trial = study.ask()
    trial.set_user_attr("architecture", text)
    study.tell(trial, 1.0)
    assert space.parse(str(suggest(space, study.ask())))


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"hidden": 0}, {"learning_rate": 0.0}, {"baseline": 1.0}])
def test_bad_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="batch >= 1"):
        ReinforceSampler(get("nasbench201"), **wrong)  # type: ignore[arg-type]


def test_works_where_the_caller_wants_no_gradients() -> None:
    space = get("nasbench201")
    usual = searched(ReinforceSampler(space, batch=5), 16, space)
    with torch.inference_mode():
        assert searched(ReinforceSampler(space, batch=5), 16, space) == usual
