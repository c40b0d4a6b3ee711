from __future__ import annotations

from typing import Any

import pytest
import torch

from zerocost.base.errors import InputError
from zerocost.tasks import classification
from zerocost.train.settings import TrainingSettings, resolve_device

GOOD: dict[str, Any] = {"epochs": 1, "batch_size": 8, "learning_rate": 0.1, "patience": None, "task": classification}


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": -1},
        {"patience": 0},
        {"epochs": None},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(InputError, match=f"{name} must be .* got {value}"):
        TrainingSettings(**GOOD | wrong)


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")
    assert resolve_device(None).type in {"cpu", "cuda", "mps"}


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta"])
def test_a_device_that_cannot_be_had_is_an_input_error(device: str) -> None:
    with pytest.raises(InputError, match=f"cannot train on device '{device}'"):
        resolve_device(device)
