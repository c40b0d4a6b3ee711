from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from train.curves import curve
from zerocost.train import TrainingInterrupted, train

Build = Callable[[], nn.Module]


def stop_after_an_epoch(*_: object) -> None:
    raise KeyboardInterrupt


def test_finished_runs_are_read_not_trained_again(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train": data, "epochs": 2, "seeds": [0, 1], "workdir": tmp_path}
    names = {"|nor_conv_3x3~0|+|none~0|": build, "|nor_conv_3x3~0|+|none~0": build}
    first = train(names, **settings)
    told: list[object] = []
    assert train(names, progress=lambda *now: told.append(now), **settings) == first
    assert told == []
    files = sorted(path.name for path in first[0].checkpoint.parent.iterdir())
    assert files == ["best.pt", "last.ckpt", "run.json"]
    assert len({run.checkpoint for run in first}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"batch_size": 16},
        {"learning_rate": 1e-2},
        {"patience": 2},
        {"loss": nn.CrossEntropyLoss()},
        {"train": TensorDataset(torch.randn(96, 6), torch.arange(96) % 2)},
        {"candidates": {"a": lambda: nn.Linear(6, 2)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_result_of_other_settings_is_never_reused(data: TensorDataset, build: Build, tmp_path, change) -> None:
    settings: dict[str, Any] = {"candidates": {"a": build}, "train": data, "epochs": 2, "workdir": tmp_path}
    train(**settings)
    [again] = train(**settings | change)
    [fresh] = train(**settings | change | {"workdir": tmp_path / "fresh"})
    assert curve(again) == curve(fresh)
    record = json.loads((again.checkpoint.parent / "run.json").read_text())
    assert record["run"]["metric"] == again.accuracy


def test_a_result_whose_weights_were_overwritten_is_not_reused(data: TensorDataset, build: Build, tmp_path) -> None:
    settings: dict[str, Any] = {"train": data, "epochs": 2, "workdir": tmp_path}
    [first] = train({"a": build}, **settings)
    weights = torch.load(first.checkpoint, weights_only=True)
    with pytest.raises(TrainingInterrupted):
        train({"a": build}, progress=stop_after_an_epoch, **settings | {"learning_rate": 0.1})
    [again] = train({"a": build}, **settings)
    assert curve(again) == curve(first)
    kept = torch.load(again.checkpoint, weights_only=True)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in weights.items())


def test_the_same_shape_with_other_operations_is_another_network(data: TensorDataset, tmp_path: Path) -> None:
    networks = [nn.Sequential(nn.Linear(6, 6), act, nn.Linear(6, 2)) for act in (nn.ReLU(), nn.Tanh())]
    networks[1].load_state_dict(networks[0].state_dict())
    relu, tanh = (train({"a": network}, train=data, epochs=1, workdir=tmp_path)[0] for network in networks)
    assert curve(relu) != curve(tanh)


def network_of(code: str) -> Callable[[], nn.Module]:
    scope = {"__name__": "__main__", "nn": nn}
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x):
        return {}
"""
    exec(source.format(code), scope)
    return scope["Net"]


def test_a_network_whose_code_was_mended_is_trained_anew(data: TensorDataset, tmp_path: Path) -> None:
    wrong, mended, same = (
        train({"a": network_of(code)}, train=data, epochs=1, workdir=tmp_path)[0]
        for code in ("self.layer(x) * 0", "self.layer(x)", "self.layer(x)  # as before")
    )
    assert curve(wrong) != curve(mended)
    assert same == mended


def test_data_with_mended_labels_is_trained_on_anew(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    inputs, targets = data.tensors
    mended = TensorDataset(inputs, targets.index_fill(0, torch.tensor([1, 2, 3]), 0))
    first, again = (train({"a": build}, train=part, epochs=1, workdir=tmp_path)[0] for part in (data, mended))
    assert curve(first) != curve(again)


@pytest.mark.parametrize(
    "limits", [{"epochs": 5}, {"epochs": 30, "patience": 2, "learning_rate": 1e-9}], ids=["epochs", "patience"]
)
def test_an_interrupted_run_goes_on_to_the_same_result(
    data: TensorDataset, build: Build, tmp_path: Path, limits: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"train": data, "batch_size": 16, **limits}
    [unbroken] = train({"a": build}, workdir=tmp_path / "unbroken", **settings)
    assert len(unbroken.epochs) < 30
    for _ in unbroken.epochs:
        with pytest.raises(TrainingInterrupted):
            train({"a": build}, workdir=tmp_path / "broken", progress=stop_after_an_epoch, **settings)
    [resumed] = train({"a": build}, workdir=tmp_path / "broken", **settings)
    assert curve(resumed) == curve(unbroken)
    expected, got = (torch.load(run.checkpoint, weights_only=True) for run in (unbroken, resumed))
    assert all(torch.equal(tensor, got[name]) for name, tensor in expected.items())


def test_a_failed_run_is_tried_again_from_its_last_good_epoch(
    data: TensorDataset, build: Build, tmp_path: Path
) -> None:
    class Limited(Dataset):
        """Data that cannot be read for long, until the limit is lifted."""

        reads, limit = 0, 3 * len(data)

        def __len__(self) -> int:
            return len(data)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            self.reads += 1
            if self.reads > self.limit:
                raise OSError("the disk is gone")
            x, y = data[index]
            return x, int(y)

    limited = Limited()
    settings: dict[str, Any] = {"train": limited, "validation": data, "epochs": 5, "workdir": tmp_path}
    [failed] = train({"a": build}, **settings)
    assert failed.failure == "OSError: the disk is gone"
    limited.limit = 10**9
    told: list[int] = []
    [again] = train({"a": build}, progress=lambda n, s, epoch, *_: told.append(epoch), **settings)
    assert again.failure is None
    assert told == list(range(len(failed.epochs) + 1, 6))
    assert again.epochs[: len(failed.epochs)] == failed.epochs


KILLED = """
import os, signal, sys, torch
from torch import nn
from torch.utils.data import TensorDataset
from zerocost.train import train

torch.set_num_threads(1)
inputs = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
data = TensorDataset(inputs, (inputs[:, 0] + inputs[:, 1] > 0).long())

def build():
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 2))

steps = 0
def count(network, inputs):
    global steps
    steps += network.training and isinstance(network, nn.Sequential)
    if steps == 13:  # five steps an epoch: in the middle of the third
        os.kill(os.getpid(), signal.SIGKILL)

nn.modules.module.register_module_forward_pre_hook(count)
train({"a": build}, train=data, epochs=5, batch_size=16, workdir=sys.argv[1], device="cpu")
"""


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_goes_on_to_the_same_result(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "killed"], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    told: list[int] = []
    settings: dict[str, Any] = {"train": data, "epochs": 5, "batch_size": 16, "device": "cpu"}
    [unbroken] = train({"a": build}, **settings)
    [resumed] = train(
        {"a": build},
        workdir=tmp_path / "killed",
        progress=lambda name, seed, epoch, *_: told.append(epoch),
        **settings,
    )
    assert told == [3, 4, 5]
    assert resumed.accuracy == unbroken.accuracy
    assert curve(resumed) == curve(unbroken)
