from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from torch import nn
from torch.utils.data import TensorDataset

from zerocost.base.errors import Failure, InputError
from zerocost.base.pool import Pool
from zerocost.train import Run, train
from zerocost.train.parallel import kept_processes

Build = Callable[[], nn.Module]


def told(runs: list[Run]) -> list[Run]:
    """Runs without what differs from time to time."""
    return [replace(run, seconds=0.0, epochs=tuple(replace(one, seconds=0.0) for one in run.epochs)) for run in runs]


@pytest.mark.usefixtures("one_thread")
def test_processes_give_the_same_runs(data: TensorDataset, build: Build, tmp_path: Path) -> None:
    candidates = {"a": build, "broken": lambda: 1 / 0, "b": build}
    settings = {"train": data, "epochs": 2, "seeds": (1,)}
    told_alone, told_together = [], []
    alone = train(candidates, progress=lambda *told: told_alone.append(told), **settings)
    place = {"workdir": tmp_path / "kept", "logger": f"csv:{tmp_path / 'logs'}"}
    together = train(candidates, progress=lambda *told: told_together.append(told), workers=2, **place, **settings)
    assert told([replace(run, checkpoint=None) for run in together]) == told(alone)
    assert told_together == told_alone
    tracked = list((tmp_path / "logs").rglob("metrics.csv"))
    assert sorted(pd.read_csv(file)["accuracy"].tolist() for file in tracked) == sorted(
        [epoch.validation_metric for epoch in run.epochs] for run in together if run.epochs
    )
    again = train(candidates, workdir=place["workdir"], **settings)
    assert again[:2] == together[:2]  # read, not trained again


def test_processes_go_on_to_the_next_training_where_they_are_kept(data: TensorDataset, build, tmp_path: Path) -> None:
    def noting() -> nn.Module:
        with (tmp_path / "processes").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return build()

    def processes() -> int:
        return len(set((tmp_path / "processes").read_text().split()))

    with kept_processes():
        first = [train({name: noting}, train=data, epochs=1, workers=2)[0].metric for name in "ab"]
        assert processes() == 1
        train({"c": noting}, train=data, epochs=2, workers=2)
        assert processes() == 2  # other settings
    assert [train({name: build}, train=data, epochs=1)[0].metric for name in "ab"] == first


def test_a_run_whose_process_dies_has_failed(data: TensorDataset, build: Build, monkeypatch) -> None:
    died = Future()
    died.set_exception(Failure("its worker process died twice: exit code 3"))
    monkeypatch.setattr(Pool, "submit", lambda *_: died)
    runs = train({"a": build, "b": build}, train=data, epochs=1, workers=2)
    assert [(run.name, run.metric, run.failure) for run in runs] == [
        (name, None, "its worker process died twice: exit code 3") for name in "ab"
    ]


def test_workers_are_counted(data: TensorDataset, build: Build) -> None:
    with pytest.raises(InputError, match=r"workers must be a whole number from 1 on, but got 0"):
        train({"a": build}, train=data, workers=0)
