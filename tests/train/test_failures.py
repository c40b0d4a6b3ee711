from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from zerocost.base.errors import InputError
from zerocost.train import TrainingInterrupted, train

Build = Callable[[], nn.Module]


def nan_after(steps: int) -> nn.Module:
    """A network that learns, and returns NaN once it was trained for some steps."""

    class Breaks(nn.Linear):
        def __init__(self) -> None:
            super().__init__(6, 2)
            self.register_buffer("steps", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.steps += int(self.training)
            return super().forward(x) * (1.0 if self.steps <= steps else float("nan"))

    return Breaks()


class OutOfMemory(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        torch.empty(2**52)
        return super().forward(x)


class Captured(nn.Module):
    """Computes by a function that a deep copy shares."""

    def __init__(self) -> None:
        super().__init__()
        layer = self.layer = nn.Linear(6, 2)
        self.run = lambda x: 2 * layer(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


def test_a_network_whose_copy_would_learn_nothing_has_failed(data: TensorDataset) -> None:
    [run] = train({"captured": Captured}, train=data, epochs=1)
    assert "computes with the weights of what it was copied from" in str(run.failure)


def test_a_candidate_that_fails_does_not_stop_the_others(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    candidates: dict[str, Build | nn.Module] = {
        "broken": lambda: 1 / 0,  # type: ignore[dict-item, return-value]
        "not a network": lambda: "hello",  # type: ignore[dict-item, return-value]
        "wrong shape": lambda: nn.Linear(5, 2),
        "nothing to train": nn.Identity,
        "lazy": lambda: nn.LazyConv2d(2, 3),
        "too large": lambda: OutOfMemory(6, 2),
        "good": build,
    }
    *failed, good = train(candidates, train=data, epochs=1, workdir=tmp_path)
    assert [run.failure for run in failed] == [
        "building the network raised ZeroDivisionError: division by zero",
        "a candidate must build a torch.nn.Module, but got str",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (39x6 and 5x2)",
        "nothing to train: the network has no weights whose requires_grad is true",
        "the network raised RuntimeError: Expected 3D (unbatched) or 4D (batched) input to LazyConv2d, but got "
        "input of size: torch.Size([2, 6]), when its lazy layers saw a batch",
        "out of memory at batch_size=64; try a smaller one",
    ]
    assert all(run.accuracy is None and run.checkpoint is None and run.epochs == () for run in failed)
    assert good.failure is None
    assert good.accuracy is not None


def test_a_loss_that_is_no_single_number_is_named(data: TensorDataset, build: Build) -> None:
    [run] = train({"a": build}, train=data, epochs=1, loss=nn.CrossEntropyLoss(reduction="none"))
    assert run.failure == (
        "the loss must return a tensor with one number, the mean over the samples, but got shape (39,)"
    )
    [run] = train({"a": build}, train=data, epochs=1, loss=lambda outputs, targets: outputs.mean().reshape(1))
    assert run.failure is None


def test_a_run_that_diverges_keeps_what_was_trained_before(data: TensorDataset, tmp_path: Path) -> None:
    [run] = train(
        {"a": lambda: nan_after(5)}, train=data, epochs=5, batch_size=40, workdir=tmp_path
    )  # two steps an epoch
    assert run.failure == "diverged: loss became nan at epoch 3"
    assert len(run.epochs) == 2
    assert run.accuracy == max(epoch.validation_metric for epoch in run.epochs)
    assert run.checkpoint is not None
    assert all(tensor.isfinite().all() for tensor in torch.load(run.checkpoint, weights_only=True).values())


def test_an_error_in_the_middle_keeps_what_was_trained_before(data: TensorDataset) -> None:
    class Raises(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            if self.calls > 8:
                raise ValueError("enough\nsecond line")
            return super().forward(x)

    [run] = train({"a": lambda: Raises(6, 2)}, train=data, epochs=5)
    assert run.failure == "ValueError: enough"
    assert 0 < len(run.epochs) < 5
    assert run.accuracy is not None


@pytest.mark.parametrize("how", ["signal", "raised"])
def test_ctrl_c_keeps_the_finished_runs(data: TensorDataset, build: Build, how: str) -> None:
    def stop(name: str, seed: int, epoch: int, epochs: int, accuracy: float) -> None:
        if (name, epoch) == ("b", 1):
            if how == "raised":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(TrainingInterrupted) as caught:
        train({"a": build, "b": build, "c": build}, train=data, epochs=2, progress=stop)
    assert [(run.name, len(run.epochs)) for run in caught.value.runs] == [("a", 2)]


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()])
def test_a_candidate_that_exits_does_not_stop_the_others(
    data: TensorDataset, build: Build, error: BaseException
) -> None:
    class Exits(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise error

    bad, good = train({"bad": lambda: Exits(6, 2), "good": build}, train=data, epochs=1)
    assert (bad.failure or "").startswith(type(error).__name__) and good.failure is None


def test_sigterm_ends_the_training(data: TensorDataset, build: Build) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        train({"a": build, "b": build}, train=data, epochs=2, progress=stop)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_exit_is_not_taken_for_ctrl_c(data: TensorDataset, build: Build) -> None:
    def leave(*_: object) -> None:
        sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        train({"a": build}, train=data, epochs=1, progress=leave)
    assert caught.value.code == 3


def test_progress_is_told_of_every_epoch_and_may_stop_it_all(data: TensorDataset, build: Build) -> None:
    told: list[tuple[object, ...]] = []
    [run] = train({"a": build}, train=data, epochs=2, seeds=[4], progress=lambda *now: told.append(now))
    assert told == [("a", 4, epoch.epoch, 2, epoch.validation_metric) for epoch in run.epochs]

    def stop(*_: object) -> None:
        raise LookupError("pruned")

    with pytest.raises(LookupError, match="pruned"):
        train({"a": build}, train=data, epochs=2, progress=stop)


@pytest.mark.parametrize("candidates", [None, [1], {"a": 3}])
def test_candidates_that_are_none_are_refused(data: TensorDataset, candidates: Any) -> None:
    with pytest.raises(InputError, match="candidate"):
        train(candidates, train=data)


def test_unusable_data_and_folders_are_refused_before_training(
    data: TensorDataset, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="classification labels are expected"):
        train({"a": build}, train=TensorDataset(data.tensors[0], torch.rand(len(data))), task="classification")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file is a file"):
        train({"a": build}, train=data, workdir=tmp_path / "file")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.full((96,), 3), "the 77 targets to train on are of one class, so there is nothing to learn"),
        (torch.full((96, 2), 0.5), "the 77 targets to train on are the same"),
    ],
)
def test_targets_that_do_not_differ_are_refused(build: Build, targets: Tensor, message: str) -> None:
    data = TensorDataset(torch.rand(96, 6), targets)
    with pytest.raises(InputError, match=message):
        train({"a": build}, train=data)
    [run] = train({"a": build}, train=data, epochs=1, loss=lambda outputs, targets: outputs.square().mean())
    assert run.failure is None


def test_validation_targets_of_one_class_are_refused(data: TensorDataset, build: Build) -> None:
    one = TensorDataset(data.tensors[0], torch.ones(96, dtype=torch.long))
    with pytest.raises(InputError, match="the 96 targets to validate on are of one class, of which accuracy tells"):
        train({"a": build}, train=data, validation=one)
    [run] = train({"a": build}, train=data, validation=TensorDataset(*one[:1]), epochs=1)
    assert run.failure is None
