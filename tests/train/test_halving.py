from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from train.curves import curve
from zerocost.base.errors import InputError
from zerocost.train import Run, TrainingInterrupted, halving, train

Build = Callable[[], nn.Module]


class Noisy(nn.Linear):
    """A linear layer that sees its inputs through more or less noise."""

    def __init__(self, noise: float) -> None:
        super().__init__(6, 2)
        self.noise = noise

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.noise * torch.randn_like(x))

    def extra_repr(self) -> str:
        return f"noise={self.noise}"


def raises() -> nn.Module:
    raise ValueError("no such network")


CANDIDATES: dict[str, Build] = {
    f"noise-{noise}": lambda noise=noise: Noisy(noise)  # type: ignore[misc]
    for noise in (9.0, 2.0, 30.0, 0.0, 5.0, 1.0)
}


@pytest.fixture
def settings(data: TensorDataset, validation: TensorDataset) -> dict[str, Any]:
    return {"train": data, "validation": validation, "epochs": 8, "learning_rate": 0.05, "batch_size": 32}


def lengths(runs: list[Run]) -> dict[str, int]:
    return {run.name: len(run.epochs) for run in runs}


def accuracy(run: Run, epochs: int) -> float:
    return max(epoch.validation_metric for epoch in run.epochs[:epochs])


def test_it_is_the_best_of_each_rung_that_go_on(settings: dict[str, Any]) -> None:
    whole = {run.name: run for run in train(CANDIDATES, **settings)}
    runs = halving(CANDIDATES, reduction=2, least=2, **settings)
    assert [run.name for run in runs] == list(CANDIDATES)
    alive = list(CANDIDATES)
    expected: dict[str, int] = {}
    for rung in (2, 4, 8):
        expected |= dict.fromkeys(alive, rung)
        alive.sort(key=lambda name, rung=rung: -accuracy(whole[name], rung))
        alive = alive[: (len(alive) + 1) // 2]
    assert lengths(runs) == expected
    assert sorted(expected.values()) == [2, 2, 2, 4, 8, 8]
    for run in runs:
        assert curve(run) == curve(whole[run.name])[: len(run.epochs)]
        assert run.stopped == (len(run.epochs) < 8)
        assert run.checkpoint is None and run.failure is None


def test_candidates_go_by_the_mean_over_their_seeds(settings: dict[str, Any]) -> None:
    runs = halving(CANDIDATES, reduction=6, least=4, seeds=[0, 1, 2], **settings)
    assert [(run.name, run.seed) for run in runs] == [(name, seed) for name in CANDIDATES for seed in (0, 1, 2)]
    means = {name: sum(accuracy(run, 4) for run in runs if run.name == name) / 3 for name in CANDIDATES}
    best = max(means, key=lambda name: means[name])
    assert all(run.stopped == (run.name != best) for run in runs)


def test_a_candidate_that_fails_goes_no_further(settings: dict[str, Any]) -> None:
    runs = halving({"broken": raises, "good": CANDIDATES["noise-0.0"]}, reduction=2, **settings)
    assert lengths(runs) == {"broken": 0, "good": 8}
    assert "no such network" in str(runs[0].failure)


@pytest.mark.parametrize("calls", [1, 7, 12])
def test_after_a_break_it_comes_to_the_same_result(settings: dict[str, Any], tmp_path: Path, calls: int) -> None:
    unbroken = halving(CANDIDATES, workdir=tmp_path / "unbroken", **settings)
    told: list[tuple[str, int]] = []

    def interrupt(name: str, seed: int, epoch: int, *_: object) -> None:
        told.append((name, epoch))
        if len(told) == calls:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted) as caught:
        halving(CANDIDATES, workdir=tmp_path / "broken", progress=interrupt, **settings)
    assert len(caught.value.runs) == min(calls - 1, len(CANDIDATES))
    runs = halving(CANDIDATES, workdir=tmp_path / "broken", progress=interrupt, **settings)
    assert [curve(run) for run in runs] == [curve(run) for run in unbroken]
    assert [run.stopped for run in runs] == [run.stopped for run in unbroken]
    assert len(told) == len(set(told)), "an epoch was trained twice"
    for one, other in zip(runs, unbroken, strict=True):
        assert one.checkpoint is not None and other.checkpoint is not None
        mine, theirs = (torch.load(run.checkpoint, weights_only=True) for run in (one, other))
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert halving(CANDIDATES, workdir=tmp_path / "broken", progress=interrupt, **settings) == runs


def test_with_a_single_rung_all_are_trained_to_the_end(settings: dict[str, Any]) -> None:
    runs = halving({"a": CANDIDATES["noise-0.0"], "b": CANDIDATES["noise-9.0"]}, **settings | {"epochs": 2, "least": 2})
    assert lengths(runs) == {"a": 2, "b": 2}
    with pytest.raises(InputError, match="there are no candidates"):
        halving({}, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reduction": 1}, "reduction must be a whole number from 2"),
        ({"least": 0}, r"least must be a whole number from 1 to epochs \(8\)"),
        ({"least": 9}, "least must be"),
        ({"batch_size": 0}, "batch_size"),
        ({"candidates": [1]}, "candidate 'int' is a int"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        halving(**{"candidates": CANDIDATES} | settings | change)
