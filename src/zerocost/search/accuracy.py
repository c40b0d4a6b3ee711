"""The accuracy of one network, trained for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from zerocost.base.errors import Failure
from zerocost.spaces import Architecture, SearchSpace


class DataSplit(NamedTuple):
    """Data in two parts, and the folder in which trainings are kept."""

    fitting: Dataset[Any]
    validation: Dataset[Any]
    workdir: str | Path | None


def trained_accuracy(
    space: SearchSpace, split: DataSplit, epochs: int, device: str | torch.device | None, arch: Architecture
) -> float:
    """The validation accuracy of a network trained from seed 0; `Failure` with the reason where there is none."""
    from zerocost.train import train

    [run] = train(
        {str(arch): partial(space.build, arch)},
        train=split.fitting,
        validation=split.validation,
        epochs=epochs,
        device=device,
        workdir=split.workdir,
        progress=False,
    )
    if run.accuracy is None or run.failure is not None:
        raise Failure(f"training failed: {run.failure}")
    return run.accuracy
