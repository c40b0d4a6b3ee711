from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from zerocost.train import TrainingInterrupted, train
from zerocost.train.isolate import LOGGERS, isolate_lightning


def process_state() -> dict[str, Any]:
    return {
        "environment": dict(os.environ),
        "filters": list(warnings.filters),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "levels": [logging.getLogger(name).level for name in LOGGERS],
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
    }


def interrupt(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("how", ["well", "badly", "interrupted"])
def test_training_gives_the_process_back_as_it_was(
    data: TensorDataset, build: Callable[[], nn.Module], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pytorch_lightning  # noqa: F401

    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    candidates = {"a": build if how != "badly" else lambda: nn.Linear(5, 2)}
    with torch.no_grad():
        before = process_state()
        if how == "interrupted":
            with pytest.raises(TrainingInterrupted):
                train(candidates, train=data, epochs=1, progress=interrupt)
        else:
            train(candidates, train=data, epochs=1)
        assert process_state() == before


def test_training_says_nothing_and_leaves_nothing_in_the_current_folder(
    data: TensorDataset, build: Callable[[], nn.Module], tmp_path, monkeypatch, capfd, caplog
) -> None:
    monkeypatch.chdir(tmp_path)
    train({"a": build, "bad": lambda: nn.Linear(5, 2)}, train=data, epochs=1)
    assert list(tmp_path.iterdir()) == []
    assert "".join(capfd.readouterr()) == ""
    assert not [record for record in caplog.records if record.name.startswith(LOGGERS)]


def test_what_a_network_warns_of_is_not_hidden(data: TensorDataset, build: Callable[[], nn.Module]) -> None:
    class Warns(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            warnings.warn("my own warning", UserWarning, stacklevel=1)
            return super().forward(x)

    with pytest.warns(UserWarning, match="my own warning"):
        train({"a": lambda: Warns(6, 2)}, train=data, epochs=1)


def test_what_is_changed_inside_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROCOST_OLD", "1")
    with isolate_lightning(torch.device("cpu")):
        os.environ |= {"ZEROCOST_OLD": "2", "ZEROCOST_NEW": "1"}
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        warnings.simplefilter("ignore")
    assert os.environ["ZEROCOST_OLD"] == "1"
    assert "ZEROCOST_NEW" not in os.environ
    assert signal.getsignal(signal.SIGINT) is handler
    with pytest.raises(UserWarning):
        warnings.warn("heard", stacklevel=1)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_training_works_in_any_grad_mode(data: TensorDataset, build: Callable[[], nn.Module], mode: Any) -> None:
    with mode():
        [run] = train({"a": build}, train=data, epochs=1)
        assert not torch.is_grad_enabled()
    assert run.failure is None


def test_training_works_outside_the_main_thread(data: TensorDataset, build: Callable[[], nn.Module]) -> None:
    with ThreadPoolExecutor(1) as pool:
        [run] = pool.submit(train, {"a": build}, train=data, epochs=1).result()
    assert run.failure is None


def test_a_cluster_job_is_one_process_to_a_run(
    data: TensorDataset, build: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SLURM_NTASKS", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_LOCALID", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "3")
    [run] = train({"a": build}, train=data, epochs=1, workdir=tmp_path)
    assert run.failure is None
    assert run.checkpoint is not None
    assert run.checkpoint.exists()
