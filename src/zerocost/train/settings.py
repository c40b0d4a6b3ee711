"""How every run of one call is trained, and where."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zerocost.base.errors import InputError

Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingSettings:
    """Epochs, batch size, peak learning rate, patience in epochs and loss; `InputError` for values out of range."""

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int | None
    loss: Loss

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1) and (name, value) != ("patience", None):
                raise InputError(f"{name} must be a whole number from 1 on, but got {value!r}")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InputError(f"learning_rate must be a positive number, but got {self.learning_rate!r}")


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device to train on; `None` takes the accelerator when there is one, else the CPU.

    Raises `InputError` for a device that does not exist here.
    """
    if device is None:
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found if found is not None and found.type in {"cuda", "mps"} else torch.device("cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"cannot train on device {str(device)!r}: {reason}; device=None takes what is there"
        ) from error
    if found.type not in {"cpu", "cuda", "mps"}:
        raise InputError(f"cannot train on device {str(device)!r}; expected 'cpu', 'cuda', 'cuda:1' or 'mps'")
    return found
