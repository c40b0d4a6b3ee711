"""Each training is one run of a tracker, with what it is and all its epochs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torch.utils.data import TensorDataset

import zerocost as zc
from zerocost.base.errors import InputError, MissingExtraError
from zerocost.train import halving, train
from zerocost.train.tracking import check_logger

Build = Callable[[], nn.Module]


class Recorder:
    """A tracker in memory, with what of a logger of Lightning is used."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, int], list[Any]] = {}

    def __call__(self, name: str, seed: int) -> Recorder:
        assert (name, seed) not in self.runs, "a second run of the same training"
        recorder = Recorder()
        recorder.lines = self.runs[name, seed] = []
        return recorder

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self.lines.append(params)

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.lines.append((step, metrics))

    def finalize(self, status: str) -> None:
        self.lines.append(status)


def test_one_run_a_training_with_scores_settings_and_epochs(data: TensorDataset, build: Build) -> None:
    table = zc.rank({"a": build, "b": build}, data, "snip,zico(parts=4)")
    recorder = Recorder()
    runs = train(table, train=data, epochs=2, seeds=(0, 3), logger=recorder)
    plain = train(table, train=data, epochs=2, seeds=(0, 3))
    assert [run.epochs[-1].train_loss for run in runs] == [run.epochs[-1].train_loss for run in plain]
    assert list(recorder.runs) == [(run.name, run.seed) for run in runs]
    for run in runs:
        said, *epochs, status = recorder.runs[run.name, run.seed]
        assert (said["architecture"], said["seed"], said["epochs"]) == (run.name, run.seed, 2)
        assert said["score.snip"] == table.frame["snip"][run.name] and "score.zico_parts_4_" in said
        assert [(step, values["accuracy"]) for step, values in epochs] == [
            (epoch.epoch, epoch.validation_metric) for epoch in run.epochs
        ]
        assert status == "success"


def test_a_failed_run_ends_as_failed_and_stops_nobody(data: TensorDataset, build: Build) -> None:
    recorder = Recorder()
    train({"bad": lambda: nn.Linear(5, 2), "good": build}, train=data, epochs=1, logger=recorder)
    assert [lines[-1] for lines in recorder.runs.values()] == ["failed", "success"]


def test_halving_goes_on_with_the_run_of_a_training(data: TensorDataset, build: Build) -> None:
    recorder = Recorder()
    runs = halving({"a": build, "b": build}, train=data, epochs=3, reduction=2, logger=recorder)
    for run in runs:
        steps = [line[0] for line in recorder.runs[run.name, run.seed][1:-1]]
        assert steps == [epoch.epoch for epoch in run.epochs]
    assert sorted(len(run.epochs) for run in runs) == [2, 3] or sorted(len(run.epochs) for run in runs) == [1, 3]


def test_what_is_read_is_not_tracked_and_what_goes_on_is_whole(
    data: TensorDataset, build: Build, tmp_path: Path
) -> None:
    settings = {"train": data, "epochs": 3, "workdir": tmp_path}
    train({"a": build}, stop=lambda *_: True, **settings)
    resumed, read = Recorder(), Recorder()
    train({"a": build}, logger=resumed, **settings)
    train({"a": build}, logger=read, **settings)
    assert [line[0] for line in resumed.runs["a", 0][1:-1]] == [1, 2, 3]
    assert read.runs == {}


def test_a_search_names_itself_and_tracks_random_picks_too(build: Build) -> None:
    def tiny(choose: Any) -> nn.Module:
        width = choose.int("width", 2, 16, step=2)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Linear(width, 10))

    recorder = Recorder()
    found = zc.search(tiny, "digits:8", candidates=6, proxies="snip", keep=2, epochs=1, logger=recorder)
    assert {name for name, _ in recorder.runs} == {run.name for run in (*found.survivors, *found.random)}
    said = {name: lines[0] for (name, _), lines in recorder.runs.items()}
    assert all(one["search"] == "tiny" for one in said.values())
    assert {name for name, one in said.items() if one["kept"]} == set(found.kept.frame.index)
    assert all(one["score.snip"] == found.table.frame["snip"][name] for name, one in said.items())
    assert "logger" not in found.settings


def test_csv_files(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    for _ in range(2):
        [run] = train({"a": build}, train=data, epochs=2, logger=f"csv:{tmp_path}")
    files = sorted(tmp_path.rglob("metrics.csv"))
    assert [file.parent.name for file in files] == ["version_0", "version_1"]
    with files[0].open() as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["accuracy"]) for row in rows] == [epoch.validation_metric for epoch in run.epochs]
    assert "architecture: a" in (files[0].parent / "hparams.yaml").read_text()


@pytest.mark.parametrize(
    ("logger", "kind", "message"),
    [
        ("mlfow", InputError, "unknown logger 'mlfow'; did you mean 'mlflow'"),
        (3, InputError, "logger must be one of csv, tensorboard, mlflow, wandb, or a function"),
    ],
)
def test_what_is_no_logger(data: TensorDataset, build: Build, logger: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        train({"a": build}, train=data, logger=logger)
    with pytest.raises(kind, match=message):
        zc.Pipeline("cnn", logger=logger)


def test_an_absent_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"^logger wandb needs the extra wandb: pip install"):
        check_logger("wandb:project")


def test_a_broken_tracker_ends_the_training_in_one_line(data: TensorDataset, build: Build) -> None:
    def broken(*_: object) -> None:
        raise OSError("no server\nat all")

    with pytest.raises(InputError, match=r"^logger your own failed: OSError: no server$"):
        train({"a": build}, train=data, epochs=1, logger=broken)
