from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

from train.curves import curve
from zerocost.base.errors import InputError
from zerocost.data import split
from zerocost.scoring.candidates import initialise
from zerocost.scoring.rank import rank
from zerocost.scoring.table import ScoreTable
from zerocost.train import halving, train

Build = Callable[[], nn.Module]


@pytest.mark.parametrize("normalised", [True, False])
def test_small_networks_learn_digits_in_few_epochs(normalised: bool) -> None:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(outputs)] if normalised else []
        return [nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]

    def build() -> nn.Module:
        return nn.Sequential(*block(1, 12), *block(12, 24), nn.Flatten(), nn.Linear(96, 10))

    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) / 16
    [run] = train(
        {"cnn": build}, train=(images[:1000], torch.from_numpy(digits.target[:1000])), epochs=6, batch_size=32
    )
    assert run.failure is None
    assert run.accuracy is not None
    assert run.accuracy > 0.8


def test_a_run_starts_from_the_weights_that_were_scored(data: TensorDataset, build: Build) -> None:
    weights = initialise(build, 5)[0].weight.detach().clone()
    seen: list[Tensor] = []

    class Watch(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(self[0].weight.detach().clone())
            return super().forward(x)

    train({"a": lambda: Watch(*build())}, train=data, epochs=1, seeds=[5])
    assert torch.equal(seen[0], weights)


def test_reported_numbers_are_those_of_the_network(
    data: TensorDataset, validation: TensorDataset, build: Build, tmp_path
):
    [run] = train({"a": build}, train=data, validation=validation, epochs=4, batch_size=16, workdir=tmp_path)
    network = build()
    network.load_state_dict(torch.load(run.checkpoint, weights_only=True))
    inputs, labels = validation.tensors
    outputs = network.eval()(inputs)
    best = max(run.epochs, key=lambda epoch: epoch.validation_metric)
    assert run.accuracy == pytest.approx((outputs.argmax(1) == labels).double().mean().item())
    assert best.validation_loss == pytest.approx(cross_entropy(outputs, labels).item(), rel=1e-5)
    assert [epoch.epoch for epoch in run.epochs] == [1, 2, 3, 4]
    assert run.seconds == pytest.approx(sum(epoch.seconds for epoch in run.epochs))


def test_without_validation_data_a_fifth_is_held_out_in_every_class(data: TensorDataset, build: Build) -> None:
    [held_out] = train({"a": build}, train=data, epochs=2)
    kept, rest = split(data, 0.2, seed=0)
    [explicit] = train({"a": build}, train=kept, validation=rest, epochs=2)
    assert curve(held_out) == curve(explicit)


def test_the_network_keeps_its_own_dtype(data: TensorDataset) -> None:
    seen = set()

    class Watch(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.add((x.dtype, self.weight.dtype))
            return super().forward(x)

    [run] = train({"a": lambda: Watch(6, 2).double()}, train=data, epochs=1)
    assert run.failure is None
    assert seen == {(torch.float64, torch.float64)}


def test_token_inputs_stay_integers() -> None:
    tokens = torch.randint(0, 9, (40, 4), generator=torch.Generator().manual_seed(0))
    embed = lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(16, 2))  # noqa: E731
    [run] = train({"a": embed}, train=TensorDataset(tokens, tokens[:, 0] % 2), epochs=1)
    assert run.failure is None


def test_several_inputs_and_named_outputs() -> None:
    @dataclass
    class Result:
        logits: Tensor

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 2)

        def forward(self, left: Tensor, right: Tensor) -> Result:
            return Result(self.head(torch.cat([left, right], 1)))

    class Pairs(Dataset):
        def __init__(self, named: bool) -> None:
            self.named = named

        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> Any:
            x = torch.full((2,), float(index))
            return ({"left": x, "right": x} if self.named else (x, x)), index % 2

    positional, named = (train({"a": Two}, train=Pairs(n), validation=Pairs(n), epochs=2)[0] for n in (False, True))
    assert positional.failure is None
    assert curve(positional) == curve(named)


def test_a_loss_of_your_own_is_used(data: TensorDataset, build: Build) -> None:
    smooth = nn.CrossEntropyLoss(label_smoothing=0.5)
    [plain], [smoothed] = (train({"a": build}, train=data, epochs=1, loss=loss) for loss in (cross_entropy, smooth))
    assert plain.epochs[0].train_loss != smoothed.epochs[0].train_loss


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_any_batch_size_trains(data: TensorDataset, batch_size: int) -> None:
    [run] = train({"a": lambda: nn.Linear(6, 2)}, train=data, epochs=1, batch_size=batch_size)
    assert run.failure is None
    assert len(run.epochs) == 1


def test_a_run_does_not_depend_on_what_ran_before(data: TensorDataset, build: Build) -> None:
    [alone] = train({"a": build}, train=data, epochs=3, seeds=[1])
    torch.rand(5)
    others = {"bad": lambda: nn.Linear(5, 2), "b": lambda: nn.Linear(6, 2), "a": build}
    runs = train(others, train=data, epochs=3, seeds=[0, 1])
    assert [(run.name, run.seed) for run in runs] == [(n, s) for n in others for s in (0, 1)]
    assert curve(runs[-1]) == curve(alone)
    assert curve(runs[-2]) != curve(alone)


def test_every_epoch_and_seed_has_an_order_of_its_own(data: TensorDataset, validation: TensorDataset) -> None:
    seen: list[Tensor] = []

    class Watch(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                seen.append(x.detach().clone())
            return super().forward(x)

    train({"a": lambda: Watch(6, 2)}, train=data, validation=validation, epochs=2, batch_size=96, seeds=[0, 1])
    assert len(seen) == 4
    assert all(torch.equal(x.sort(0).values, data.tensors[0].sort(0).values) for x in seen)
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(seen, 2))


def test_datasets_that_draw_random_numbers_are_reproducible(data: TensorDataset, build: Build) -> None:
    class Jittered(Dataset):
        def __len__(self) -> int:
            return len(data)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            x, y = data[index]
            return x + 0.1 * torch.randn(6), int(y)

    first, second = (train({"a": build}, train=Jittered(), validation=data, epochs=2)[0] for _ in range(2))
    assert curve(first) == curve(second)


def test_a_finished_module_is_left_as_it_was(data: TensorDataset, build: Build) -> None:
    module = build()
    [expected] = train({"a": module}, train=data, epochs=2)
    module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    runs = [train({"a": candidate}, train=data, epochs=2)[0] for candidate in (module, module, lambda: module)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(curve(run) == curve(expected) for run in runs)
    assert len({epoch.train_loss for epoch in expected.epochs}) == 2


def test_patience_ends_a_run_that_no_longer_improves(
    data: TensorDataset, validation: TensorDataset, build: Build
) -> None:
    settings: dict[str, Any] = {"train": data, "validation": validation, "epochs": 40, "learning_rate": 1e-9}
    [stopped] = train({"a": build}, patience=3, **settings)
    accuracies = [epoch.validation_metric for epoch in stopped.epochs]
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 3 < 40
    [whole] = train({"a": build}, **settings | {"epochs": 6})
    assert len(whole.epochs) == 6


def test_a_table_of_candidates_is_trained(data: TensorDataset, build: Build) -> None:
    class Table:
        candidates = {"a": build}  # noqa: RUF012

    [run] = train(Table(), train=data, epochs=1)
    assert run.name == "a"


@pytest.mark.parametrize("seeds", [(), (0, 0)])
def test_no_seeds_and_equal_ones_are_refused(data: TensorDataset, build: Build, seeds: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"seeds must be one or more, each different.* but got \["):
        train({"a": build}, train=data, seeds=seeds)


@pytest.mark.parametrize("seeds", [3, "01", (-1,), (1.5,), (True,)])
def test_what_are_no_seeds_is_refused(data: TensorDataset, build: Build, seeds: Any) -> None:
    for way in (train, halving):
        with pytest.raises(InputError, match=r"seeds? must be a (list of )?whole number"):
            way({"a": build}, train=data, epochs=3, seeds=seeds)


def test_seeds_of_numpy_are_those_of_python(data: TensorDataset, build: Build) -> None:
    runs = [train({"a": build}, train=data, epochs=1, seeds=seeds)[0] for seeds in ([1], np.arange(1, 2))]
    assert runs[0].seed is runs[1].seed and runs[0].epochs[0].train_loss == runs[1].epochs[0].train_loss


@pytest.mark.parametrize(("name", "value"), [("stop", 3), ("learning_rate", "1")])
def test_settings_of_another_kind_are_refused(data: TensorDataset, build: Build, name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} must be a .*, but got {value!r}"):
        train({"a": build}, train=data, epochs=1, **{name: value})


def test_no_candidates_are_refused(data: TensorDataset, build: Build) -> None:
    with pytest.raises(InputError, match="there are no candidates"):
        train({}, train=data)
    table = ScoreTable.from_dict(rank({"a": build}, data, "params", progress=False).to_dict())
    with pytest.raises(InputError, match="loaded from a file has no builders to train; rank"):
        train(table, train=data)
    with pytest.raises(InputError, match="there are no candidates"):
        train(table.narrow([], {}), train=data)
