"""The gradient strategy: its objectives and their gradients, what it learns, and how it draws from it."""

from __future__ import annotations

import csv
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from torch import Tensor, nn

from zerocost import data
from zerocost.base.errors import InputError
from zerocost.data import Batch
from zerocost.samplers.gradient import GradientSampler
from zerocost.samplers.objectives import OBJECTIVES
from zerocost.samplers.suggest import suggest
from zerocost.scoring.candidates import initialise
from zerocost.scoring.score import score
from zerocost.spaces import FULL, ChoiceSpace, Fidelity, get
from zerocost.spaces.mixture import Mixed, Mixture, one_hot
from zerocost.testing.samplers import check_sampler

SHARED = Path(__file__).parents[2].parent / "shared"
TINY = Fidelity(width=0.01, depth=0.1, resolution=8, batch=8)
BATCH = data.draw("noise:3x8x8:10", 8)


class Own(ChoiceSpace):
    """A space of one's own, with a mixture."""

    def mixture(self, fidelity: Fidelity = FULL) -> Mixture:
        mixed = Mixed([make() for make in LAYERS.values()])
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), mixed, nn.Linear(4, 10))
        return Mixture(network, {"layer": tuple(LAYERS)}, [([mixed], itemgetter("layer"))])


LAYERS = {"none": nn.Identity, "halved": lambda: nn.Dropout(0.5), "learnt": lambda: nn.Linear(4, 4)}
OWN = Own("own", lambda choose: choose.one_of("layer", tuple(LAYERS)), lambda choose, fidelity: nn.Identity())


def test_contract() -> None:
    make = partial(GradientSampler, batch=BATCH, steps=1, fidelity=TINY)
    check_sampler(lambda space, seed: make(space, seed=seed), OWN)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_space_of_ones_own_can_have_a_mixture(objective: str) -> None:
    sampler = GradientSampler(OWN, BATCH, objective=objective, steps=5, fidelity=TINY)
    assert sampler.logits()["layer"].shape == (3,)
    assert sampler.logits()["layer"].isfinite().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_are_those_of_finite_differences(objective: str) -> None:
    space = get("nasbench201")
    mixture = initialise(partial(space.mixture, TINY)).double()  # type: ignore[attr-defined]
    name, batch = "3<-2", Batch(BATCH.inputs[:4].double(), BATCH.targets[:4])
    weights = {choice: torch.full((5,), 0.2, dtype=torch.float64) for choice in mixture.options}

    def value(one: Tensor) -> Tensor:
        return OBJECTIVES[objective](mixture, batch, weights | {name: one})

    start = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(value(start), start)
    step = 1e-5
    steps = step * torch.eye(5, dtype=torch.float64)
    differences = torch.stack([(value(start + s) - value(start - s)).detach() / (2 * step) for s in steps])
    torch.testing.assert_close(gradient, differences, rtol=1e-3, atol=1e-4)


def test_the_flow_of_one_architecture_is_its_log_synflow() -> None:
    space = get("nasbench201")
    arch = space.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")
    mixture = initialise(partial(space.mixture, TINY))  # type: ignore[attr-defined]
    single = space.build(arch, TINY)
    state = mixture.network.state_dict()
    options = list(mixture.options["1<-0"])
    for i, (_, operation) in enumerate(arch.choices):
        taken = f".layers.{i}.operations.{options.index(operation)}."
        state |= {key.replace(taken, f".layers.{i}."): value for key, value in state.items() if taken in key}
    single.load_state_dict({key: state[key] for key in single.state_dict()})
    flow = OBJECTIVES["log_synflow"](mixture, BATCH, one_hot(mixture, arch))
    assert flow.exp().item() == pytest.approx(score(single, BATCH, ["log_synflow"])["log_synflow"], rel=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_learnt_depends_on_seed_and_batch_alone(objective: str) -> None:
    def learnt(seed: int) -> Tensor:
        sampler = GradientSampler(get("nasbench201"), BATCH, objective=objective, steps=2, fidelity=TINY, seed=seed)
        return torch.stack(list(sampler.logits().values()))

    before = torch.get_rng_state()
    first = learnt(0)
    with torch.no_grad():
        assert torch.equal(first, learnt(0))
    assert not torch.equal(first, learnt(1))
    assert torch.equal(before, torch.get_rng_state())


def test_darts_learns_too() -> None:
    sampler = GradientSampler(get("darts"), BATCH, steps=1, fidelity=TINY)
    logits = sampler.logits()
    assert len(logits) == 24
    assert all(values.isfinite().all() for values in logits.values())
    assert all(values.any() for values in logits.values() if len(values) > 1)


def test_log_synflow_prefers_convolutions_to_nothing_and_the_most_likely_comes_first() -> None:
    space = get("nasbench201")
    sampler = GradientSampler(space, BATCH.inputs, steps=8, fidelity=TINY)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(str(suggest(space, trial))), n_trials=20)
    first, *later = [dict(space.parse(trial.user_attrs["architecture"]).choices) for trial in study.trials]
    assert set(first.values()) == {"nor_conv_3x3"}
    assert len({space.canonical(space.parse(trial.user_attrs["architecture"])) for trial in study.trials}) == 20
    counts = [sum(operation == "nor_conv_3x3" for operation in arch.values()) for arch in later]
    assert np.mean(counts) > 3


def test_bad_input() -> None:
    with pytest.raises(InputError, match="'cnn' does not have; darts, nasbench201 and transnas_micro"):
        GradientSampler(get("cnn"), BATCH)
    with pytest.raises(InputError, match="did you mean 'log_synflow'"):
        GradientSampler(get("nasbench201"), BATCH, objective="synflow")
    with pytest.raises(InputError, match="steps >= 1"):
        GradientSampler(get("nasbench201"), BATCH, steps=0)
    with pytest.raises(InputError, match="no warm-up"):
        GradientSampler(get("nasbench201"), BATCH, guide=len, warmup=3)
    with pytest.raises(InputError, match="needs labels"):
        GradientSampler(get("nasbench201"), BATCH.inputs, objective="ntk_trace", fidelity=TINY).logits()


def test_log_synflow_finds_better_networks_than_chance() -> None:
    table = SHARED / "data" / "nasbench201-cifar10.csv"
    if not table.exists():
        pytest.skip("needs ../shared/data/nasbench201-cifar10.csv, which is not part of the repository")
    with table.open() as file:
        accuracy = {row["arch"]: float(row["test_accuracy_mean"]) for row in csv.DictReader(file)}
    space = get("nasbench201")
    for seed in range(2):
        study = optuna.create_study(sampler=GradientSampler(space, BATCH, steps=8, fidelity=TINY, seed=seed))
        study.optimize(lambda trial: accuracy[str(suggest(space, trial))], n_trials=20)
        assert np.mean([trial.value for trial in study.trials]) > 92.2  # of all: mean 87.0, upper quartile 92.2
