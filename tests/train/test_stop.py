from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from train.curves import curve
from zerocost.train import Run, TrainingInterrupted, train

Build = Callable[[], nn.Module]


def after(last: int) -> Callable[[str, int, int, float], bool]:
    return lambda name, seed, epoch, accuracy: epoch >= last


def weights(run: Run) -> dict[str, torch.Tensor]:
    assert run.checkpoint is not None
    return torch.load(run.checkpoint, weights_only=True)


def same(one: Run, other: Run) -> bool:
    """Whether two trainings came to the same result: curve, end and weights."""
    a, b = weights(one), weights(other)
    return (
        curve(one) == curve(other)
        and one.stopped == other.stopped
        and a.keys() == b.keys()
        and all(torch.equal(a[name], b[name]) for name in a)
    )


@pytest.fixture
def settings(data: TensorDataset, validation: TensorDataset, build: Build) -> dict[str, Any]:
    return {"candidates": {"a": build}, "train": data, "validation": validation, "epochs": 5, "batch_size": 16}


def test_stop_is_asked_after_every_epoch_and_ends_the_run(settings: dict[str, Any]) -> None:
    asked: list[tuple[Any, ...]] = []

    def stop(*now: Any) -> bool:
        asked.append(now)
        return now[1:3] == (7, 2)

    one, other = train(**settings, seeds=[7, 8], stop=stop)
    assert (one.stopped, len(one.epochs), other.stopped, len(other.epochs)) == (True, 2, False, 5)
    assert one.failure is None
    assert asked == [
        ("a", run.seed, epoch.epoch, epoch.validation_metric) for run in (one, other) for epoch in run.epochs
    ]
    [whole] = train(**settings, seeds=[7])
    assert curve(one) == curve(whole)[:2]


def test_a_run_that_has_all_its_epochs_was_not_stopped(settings: dict[str, Any]) -> None:
    [run] = train(**settings, stop=after(5))
    assert (run.stopped, len(run.epochs)) == (False, 5)


def test_the_same_decisions_again_train_nothing(settings: dict[str, Any], tmp_path: Path) -> None:
    [first] = train(**settings, workdir=tmp_path, stop=after(2))
    assert first.checkpoint is not None
    assert json.loads((first.checkpoint.parent / "run.json").read_text())["run"]["stopped"] is True
    told: list[object] = []
    [again] = train(**settings, workdir=tmp_path, stop=after(2), progress=lambda *now: told.append(now))
    assert again == first and again.stopped
    assert told == []


@pytest.mark.parametrize("later", [None, after(4), after(9)], ids=["no stop", "later", "never"])
def test_a_stopped_run_goes_on_as_if_it_had_never_been_stopped(
    settings: dict[str, Any], tmp_path: Path, later: Callable[..., bool] | None
) -> None:
    train(**settings, workdir=tmp_path / "on", stop=after(2))
    told: list[int] = []
    [on] = train(**settings, workdir=tmp_path / "on", stop=later, progress=lambda n, s, epoch, *_: told.append(epoch))
    [whole] = train(**settings, workdir=tmp_path / "whole", stop=later)
    assert told == list(range(3, len(whole.epochs) + 1))
    assert same(on, whole)


def test_a_stopped_run_that_is_interrupted_when_it_goes_on_ends_as_an_unbroken_one(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    [whole] = train(**settings, workdir=tmp_path / "whole", stop=after(4))
    train(**settings, workdir=tmp_path / "broken", stop=after(1))
    for _ in range(3):
        with pytest.raises(TrainingInterrupted):
            train(**settings, workdir=tmp_path / "broken", stop=after(4), progress=interrupt)
        assert not list((tmp_path / "broken").rglob("run.json"))
    told: list[object] = []
    [on] = train(**settings, workdir=tmp_path / "broken", stop=after(4), progress=lambda *now: told.append(now))
    assert told == []
    assert same(on, whole)


def test_a_run_that_was_trained_further_is_returned_as_it_is(settings: dict[str, Any], tmp_path: Path) -> None:
    [whole] = train(**settings, workdir=tmp_path)
    asked: list[int] = []

    def stop(name: str, seed: int, epoch: int, accuracy: float) -> bool:
        asked.append(epoch)
        return epoch == 3

    assert train(**settings, workdir=tmp_path, stop=stop) == [whole]
    assert asked == [1, 2, 3]


def test_what_stop_raises_ends_the_training(settings: dict[str, Any], tmp_path: Path) -> None:
    def stop(*_: object) -> bool:
        raise LookupError("no such trial")

    for workdir in (None, tmp_path, tmp_path):
        with pytest.raises(LookupError, match="no such trial"):
            train(**settings, workdir=workdir, stop=stop)
