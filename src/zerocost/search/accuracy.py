"""The metric of one network, trained for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from zerocost.base.errors import Failure
from zerocost.spaces import Architecture, SearchSpace
from zerocost.tasks import Task, classification


class DataSplit(NamedTuple):
    """Data in two parts, the folder in which trainings are kept, and what networks are trained for."""

    fitting: Dataset[Any]
    validation: Dataset[Any]
    workdir: str | Path | None
    task: Task = classification


def trained_metric(
    space: SearchSpace, split: DataSplit, epochs: int, device: str | torch.device | None, arch: Architecture
) -> float:
    """The validation metric of a network trained from seed 0; `Failure` with the reason where there is none."""
    from zerocost.train import train

    [run] = train(
        {str(arch): partial(space.build, arch)},
        train=split.fitting,
        validation=split.validation,
        epochs=epochs,
        device=device,
        workdir=split.workdir,
        task=split.task,
        progress=False,
    )
    if run.metric is None or run.failure is not None:
        raise Failure(f"training failed: {run.failure}")
    return run.metric
