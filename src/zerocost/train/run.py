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
        validation_accuracy: in [0, 1].
        seconds: wall-clock time.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Run:
    """One candidate trained from one seed.

    Attributes:
        name: of the candidate.
        seed: that it was trained from.
        accuracy: the best validation accuracy in [0, 1]; None if no epoch was completed.
        epochs: the curve.
        seconds: its total time.
        checkpoint: file with the weights of the best epoch (a state dict), where a working directory was given.
        failure: why the run ended early; what was trained before is kept.
        stopped: whether it was ended on purpose, by `stop`, before it had all its epochs.

    >>> run = Run.of("tiny", 0, [Epoch(1, 1.9, 1.8, 0.30, 2.0), Epoch(2, 1.2, 1.4, 0.55, 2.0)])
    >>> run.accuracy, run.seconds
    (0.55, 4.0)
    >>> Run.from_dict(run.to_dict()) == run
    True
    """

    name: str
    seed: int
    accuracy: float | None
    epochs: tuple[Epoch, ...]
    seconds: float
    checkpoint: Path | None = None
    failure: str | None = None
    stopped: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        seed: int,
        epochs: Sequence[Epoch],
        checkpoint: Path | None = None,
        failure: str | None = None,
        stopped: bool = False,
    ) -> Run:
        """The run with this curve."""
        accuracy = max((epoch.validation_accuracy for epoch in epochs), default=None)
        seconds = float(sum(epoch.seconds for epoch in epochs))
        return cls(name, seed, accuracy, tuple(epochs), seconds, checkpoint, failure, stopped)

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end, without a failure."""
        return self.accuracy is not None and self.failure is None and not self.stopped

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


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted (Ctrl-C); `runs` holds the runs that had ended by then.

    >>> TrainingInterrupted([])
    TrainingInterrupted('training was interrupted; the 0 finished runs are in `.runs`')
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__(f"training was interrupted; the {len(runs)} finished runs are in `.runs`")
        self.runs = list(runs)


def frame(runs: Iterable[Run]) -> pd.DataFrame:
    """A table with one row a run: name, seed, accuracy, number of epochs, seconds, failure.

    >>> frame([Run.of("tiny", 0, [Epoch(1, 1.9, 1.8, 0.30, 2.0)])])
       name  seed  accuracy  epochs  seconds failure
    0  tiny     0       0.3       1      2.0    None
    """
    rows = [(run.name, run.seed, run.accuracy, len(run.epochs), run.seconds, run.failure) for run in runs]
    table = pd.DataFrame(rows, columns=["name", "seed", "accuracy", "epochs", "seconds", "failure"], dtype=object)
    return table.astype({"seed": "int64", "accuracy": "float64", "epochs": "int64", "seconds": "float64"})
