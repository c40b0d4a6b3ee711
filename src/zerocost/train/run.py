"""The result of one training: its curve, its best accuracy, and why it failed if it did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Epoch:
    """One epoch of training.

    Attributes:
        epoch: its number, from 1 on.
        train_loss: mean over the training data.
        validation_loss: mean over the validation data.
        validation_metric: the metric of the task on the validation data.
        seconds: wall-clock time.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_metric: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """One candidate trained from one seed.

    Attributes:
        name: of the candidate.
        seed: that it was trained from.
        metric: the best value of the metric on the validation data; None if no epoch was completed.
        epochs: the curve.
        seconds: its total time.
        checkpoint: file with the weights of the best epoch (a state dict), where a working directory was given.
        failure: why the run ended early; what was trained before is kept.
        stopped: whether it was ended on purpose, by `stop`, before it had all its epochs.
        metric_name: what `metric` is.
        higher_is_better: whether more of it is better.

    >>> run = Run.of("tiny", 0, [Epoch(1, 1.9, 1.8, 0.30, 2.0), Epoch(2, 1.2, 1.4, 0.55, 2.0)])
    >>> run.metric, run.seconds
    (0.55, 4.0)
    >>> Run.from_dict(run.to_dict()) == run
    True
    """

    name: str
    seed: int
    metric: float | None
    epochs: tuple[Epoch, ...]
    seconds: float
    checkpoint: Path | None = None
    failure: str | None = None
    stopped: bool = False
    metric_name: str = "accuracy"
    higher_is_better: bool = True

    @property
    def accuracy(self) -> float | None:
        """The metric, where it is accuracy; else None."""
        return self.metric if self.metric_name == "accuracy" else None

    @property
    def ended_well(self) -> bool:
        """Whether it was trained to its end."""
        return self.metric is not None and self.failure is None and not self.stopped

    @classmethod
    def of(
        cls,
        name: str,
        seed: int,
        epochs: Sequence[Epoch],
        checkpoint: Path | None = None,
        **others: Any,
    ) -> Run:
        """The run with this curve; `others` are the fields after `checkpoint`."""
        higher = others.get("higher_is_better", True)
        best = best_epoch(epochs, higher).validation_metric if epochs else None
        return cls(name, seed, best, tuple(epochs), float(sum(epoch.seconds for epoch in epochs)), checkpoint, **others)

    def to_dict(self) -> dict[str, Any]:
        """The run in plain types that JSON can hold."""
        checkpoint = None if self.checkpoint is None else str(self.checkpoint)
        return asdict(self) | {"checkpoint": checkpoint, "epochs": [asdict(epoch) for epoch in self.epochs]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Run:
        """The run that `to_dict` described."""
        checkpoint = None if values["checkpoint"] is None else Path(values["checkpoint"])
        epochs = tuple(Epoch(**epoch) for epoch in values["epochs"])
        return cls(**values | {"checkpoint": checkpoint, "epochs": epochs})


def best_epoch(epochs: Sequence[Epoch], higher_is_better: bool) -> Epoch:
    """The first epoch of the best value of the metric."""
    return (max if higher_is_better else min)(epochs, key=lambda epoch: epoch.validation_metric)


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted (Ctrl-C); `runs` holds the runs that had ended by then.

    >>> TrainingInterrupted([])
    TrainingInterrupted('training was interrupted; the 0 finished runs are in `.runs`')
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__(f"training was interrupted; the {len(runs)} finished runs are in `.runs`")
        self.runs = list(runs)


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """A table with one row a run: name, seed, the metric by its name, number of epochs, seconds, failure.

    >>> frame([Run.of("tiny", 0, [Epoch(1, 1.9, 1.8, 0.30, 2.0)])])
       name  seed  accuracy  epochs  seconds failure
    0  tiny     0       0.3       1      2.0    None
    """
    runs = list(runs)
    metric = runs[0].metric_name if runs else "accuracy"
    rows = [(run.name, run.seed, run.metric, len(run.epochs), run.seconds, run.failure) for run in runs]
    table = pd.DataFrame(rows, columns=["name", "seed", metric, "epochs", "seconds", "failure"], dtype=object)
    return table.astype({"seed": "int64", metric: "float64", "epochs": "int64", "seconds": "float64"})
