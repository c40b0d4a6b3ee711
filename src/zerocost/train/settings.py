"""How every run of one call is trained, on what and where."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import torch

from zerocost.base.errors import InputError
from zerocost.base.progress import report_steps
from zerocost.base.seeding import check_seed
from zerocost.base.whole import is_whole
from zerocost.tasks import Task
from zerocost.train.batches import Batches
from zerocost.train.tracking import Tracking

Progress = Callable[[str, int, int, int, float], object]
"""Called with name, seed, epoch, epochs and the metric on the validation data."""
Stop = Callable[[str, int, int, float], bool]
"""Called with name, seed, epoch and the metric on the validation data; says whether the run ends."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one run.

    Attributes:
        epochs: number of epochs.
        batch_size: samples a step.
        learning_rate: its peak.
        patience: epochs without a better metric on the validation data after which a run stops; None for no such stop.
        task: what the networks are trained for.

    Raises:
        InputError: a value out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int | None
    task: Task

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if not is_whole(value) and (name, value) != ("patience", None):
                raise InputError(f"{name} must be a whole number from 1 on, but got {value!r}")
        rate: Any = self.learning_rate
        if not isinstance(rate, Real) or not 0 < float(rate) < math.inf:
            raise InputError(f"learning_rate must be a positive number, but got {self.learning_rate!r}")


class TrainingSetup(NamedTuple):
    """What all runs of one call share.

    Attributes:
        settings: how a run is trained.
        train: training data in batches.
        validation: validation data in batches.
        workdir: folder for results; None writes nothing.
        device: where networks are trained.
        progress: called after every epoch.
        stop: asked after every epoch whether the run ends.
        tracking: what is told of every training.
    """

    settings: TrainingSettings
    train: Batches
    validation: Batches
    workdir: Path | None
    device: torch.device
    progress: Progress
    stop: Stop | None
    tracking: Tracking


@contextmanager
def report_epochs(progress: Progress | bool | None, total: int) -> Iterator[Progress]:
    """The function to report epochs to: the caller's own, or one that counts them in a bar, of `total` steps.

    `progress` is as in `zerocost.base.progress.report_stages`.
    """
    if callable(progress):
        yield progress
        return
    with report_steps(progress, "training, epochs") as report:
        done = 0

        def count(_name: str, _seed: int, _epoch: int, _epochs: int, _metric: float) -> None:
            nonlocal done
            done += 1
            report(done, max(done, total))

        yield count


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device to train on; `None` takes the accelerator if there is one, else the CPU.

    Raises:
        InputError: a device that this machine does not have.
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
            f"cannot train on device {str(device)!r}: {reason}; device=None takes the accelerator or the CPU"
        ) from error
    if found.type not in {"cpu", "cuda", "mps"}:
        raise InputError(f"cannot train on device {str(device)!r}; expected 'cpu', 'cuda', 'cuda:1' or 'mps'")
    return found


def as_seeds(seeds: Any) -> list[int]:
    """Seeds to train from, as Python's numbers; `InputError` for none, equal ones, and what are no seeds.

    >>> as_seeds(range(2))
    [0, 1]
    """
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise InputError(f"seeds must be a list of whole numbers, such as range(3) for 0, 1 and 2, but got {seeds!r}")
    given = list(seeds)
    for seed in given:
        check_seed(seed)
    if not given or len(set(given)) < len(given):
        raise InputError(f"seeds must be one or more, each different from the others, but got {given}")
    return [int(seed) for seed in given]
